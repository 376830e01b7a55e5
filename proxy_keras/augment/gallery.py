"""`python -m proxy_keras.augment.gallery`, the command; see `explaining.augmentation_gallery`."""

import importlib
import sys

if __name__ != "__main__":
    raise ImportError(
        "proxy_keras.augment.gallery is a command, `python -m proxy_keras.augment.gallery`."
    )

# Imported by name: the command lives in this package, but its work needs data and networks, which
# modules of this package must not import.
sys.exit(importlib.import_module("proxy_keras.explaining.augmentation_gallery").main())
