"""Server that forks searches with stub training, to import TensorFlow only once.

Each request is a JSON line: {"arguments": [...], "environment": {...}, "log": FILE} starts a
search and returns its process id; {"wait": PID} waits for it and returns its exit code.
"""

from __future__ import annotations

import json
import os
import sys

from tuner import search
from tuner.searching import search as preloaded  # noqa: F401


def start(arguments: list[str], environment: dict[str, str], log: str) -> int:
    """Start a search in a new process, and return its id."""
    pid = os.fork()
    if pid:
        return pid
    os.environ.update(environment)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, handle), (2, handle)):
        os.dup2(source, target)
    code = 1
    try:
        code = search.main(arguments, module="stub_training")
    finally:
        sys.stdout.flush()
        os._exit(code)


def main() -> None:
    """Answer requests until there are no more."""
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = start(**request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
