"""`python -m proxy_keras.augment.gallery`, the command; its work is in `proxy_keras.gallery`."""

import importlib
import sys

if __name__ != "__main__":
    raise ImportError(
        "proxy_keras.augment.gallery is a command, `python -m proxy_keras.augment.gallery`."
    )

# By its name: the command bears that of this package, but knows data and networks, which the
# modules of the package must not.
sys.exit(importlib.import_module("proxy_keras.gallery").main())
