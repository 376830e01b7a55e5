"""Server that forks Python commands, to import TensorFlow and the other large packages only once.

A command still has a process of its own, in which this project's modules are imported anew, and
onnxruntime: it leaves threads behind, without which a forked process cannot end.

Each request is a JSON line, and so is its answer:
    {"words": ["-m", MODULE, ...], "environment": {...}, "folder": DIR, "out": FILE,
     "errors": FILE} starts `python WORDS...` and returns its process id;
    {"ended": PID} returns its exit code, or null while it runs.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import sys
import types

import keras_hub  # noqa: F401
import keras_tuner  # noqa: F401
import matplotlib.pyplot  # noqa: F401
import onnx  # noqa: F401
import pandas  # noqa: F401
import scipy.stats  # noqa: F401
import sklearn.metrics  # noqa: F401
import tensorboard.summary.writer.event_file_writer  # noqa: F401
import tensorflow  # noqa: F401
import tf2onnx  # noqa: F401


def become(
    words: list[str], environment: dict[str, str], folder: str, out: str, errors: str
) -> None:
    """Make this process one that was started as `python WORDS...`, and run it."""
    for target, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, out, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        (2, errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    ):
        handle = os.open(path, flags, 0o644)
        os.dup2(handle, target)
        os.close(handle)
    sys.stdin = open(0, closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    paths = list(filter(None, environment.get("PYTHONPATH", "").split(os.pathsep)))
    how, *rest = words
    if how == "-m":
        sys.argv = rest
        sys.path[:1] = [folder, *paths]
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif how == "-c":
        sys.argv = ["-c", *rest[1:]]
        sys.path[:1] = ["", *paths]
        sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), vars(sys.modules["__main__"]))
    else:
        sys.argv = words
        sys.path[:1] = [os.path.dirname(os.path.abspath(how)), *paths]
        runpy.run_path(how, run_name="__main__")


def ended(pid: int) -> int | None:
    """Return the exit code of a command, or None while it runs."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def main() -> None:
    """Answer requests until there are no more."""
    # What is shared with the commands stays so: the collector would write into all of it.
    gc.collect()
    gc.freeze()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "ended" in request:
            answer = ended(request["ended"])
        else:
            answer = os.fork()
            if not answer:
                become(**request)
                return
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
