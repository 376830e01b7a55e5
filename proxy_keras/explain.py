"""`python -m proxy_keras.explain`, the command; the function is `proxy_keras.explain`."""

import sys

if __name__ != "__main__":
    # Imported, this module would take the place of the function of the same name.
    raise ImportError(
        "proxy_keras.explain is a command, `python -m proxy_keras.explain`. For the function: "
        "from proxy_keras import explain"
    )

from proxy_keras.io.extras import command_extra
from proxy_keras.io.quiet_start import start_quietly

start_quietly()
with command_extra("explain", __name__):
    from proxy_keras.explaining.image_files import main

sys.exit(main())
