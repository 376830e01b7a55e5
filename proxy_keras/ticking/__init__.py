"""The command `python -m proxy_keras.cues`: cues are found, shown on a page, and ticked."""
