"""The command `python -m proxy_keras.augment.gallery`, see `explaining.augmentation_gallery`."""

import importlib
import sys

from proxy_keras.io.quiet_start import start_quietly

if __name__ != "__main__":
    raise ImportError(
        "proxy_keras.augment.gallery is a command, `python -m proxy_keras.augment.gallery`."
    )

# Imported by name, because modules of this package must not depend on data and models.
start_quietly()
sys.exit(importlib.import_module("proxy_keras.explaining.augmentation_gallery").main())
