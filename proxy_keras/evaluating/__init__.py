"""What `python -m proxy_keras.evaluate` measures, and the report that it makes of it."""
