"""The command `python -m proxy_keras.augment.gallery`, see `explaining.augmentation_gallery`."""

import importlib
import sys

if __name__ != "__main__":
    raise ImportError(
        "proxy_keras.augment.gallery is a command, `python -m proxy_keras.augment.gallery`."
    )

# Imported by name, because modules of this package must not depend on data and models.
sys.exit(importlib.import_module("proxy_keras.explaining.augmentation_gallery").main())
