"""Measurements and report of `python -m proxy_keras.evaluate`."""
