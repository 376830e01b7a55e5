"""`python -m proxy_keras.cues`, the command."""

import sys

from proxy_keras.ticking.command import main

if __name__ == "__main__":
    sys.exit(main())
