"""`python -m tuner.search`: a hyperparameter search that resumes after interruptions."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from proxy_keras.io.any_text import allow_any_text
from proxy_keras.io.extras import MissingExtra, extra
from proxy_keras.io.quiet_start import start_quietly
from tuner.job import TRAINING
from tuner.searching.objectives import SearchError
from tuner.searching.search_options import read_options


def main(arguments: Sequence[str] | None = None, *, module: str = TRAINING) -> int:
    """Run the command.

    Args:
        arguments: Command-line arguments; None: those of this process.
        module: The training module, run as `python -m MODULE`; see `Job`.

    Returns:
        0: done; 2: invalid arguments or data, or no successful trial; 130: interrupted.
    """
    allow_any_text()
    try:
        options = read_options(arguments)
        # KerasTuner imports TensorFlow, which takes seconds: wrong settings are named before it.
        start_quietly(arguments)
        with extra("tuner"):
            from tuner.searching.search import run_search

        run_search(options, module)
    except (MissingExtra, ValueError, OSError, SearchError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        words = sys.argv[1:] if arguments is None else arguments
        print(f"\nstopped. Resume with: python -m tuner.search {shlex.join(words)}")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
