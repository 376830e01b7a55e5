"""Peak memory of the trials of a search, and of the search itself: trial 30 against trial 3.

python benchmarks/search_memory.py [--quick]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from _timing import environment, table

_LOOK_S = 0.2
SETTINGS = (
    *("--data", "digits", "--limit", "300", "--image-size", "16", "--model", "small_cnn"),
    *("--epochs", "2", "--schedule", "every:1", "--method", "grad_cam_plus_plus"),
    *("--batch-size", "64", "--precision", "float32", "--algorithm", "random"),
)


def _peak_mb(process: psutil.Process) -> float | None:
    """Return the peak memory of a process so far; None if it has ended."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
        return next((int(x.split()[1]) / 1024 for x in lines if x.startswith("VmHWM:")), None)
    except (FileNotFoundError, ProcessLookupError):
        return None


def _trial(process: psutil.Process) -> str | None:
    """Return the name of the trial that a process trains; None if there is none or it has ended.

    A forked process has the command line of the server, so its log tells.
    """
    try:
        log = Path(f"/proc/{process.pid}/fd/1").readlink()
    except OSError:
        return None
    return log.stem if log.suffix == ".log" else None


def measure(trials: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return the peak MB of each trial's process, and MB of the search while that trial ran."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "tuner.search", *SETTINGS]
        command += ["--trials", str(trials), "--out", f"{out}/search"]
        with subprocess.Popen(command) as popen:
            search = psutil.Process(popen.pid)
            of_trial: dict[str, float] = {}
            of_search: dict[str, float] = {}
            while popen.poll() is None:
                time.sleep(_LOOK_S)
                for child in search.children(recursive=True) if search.is_running() else []:
                    name, peak = _trial(child), _peak_mb(child)
                    if name is not None and peak is not None:
                        of_trial[name] = peak
                        of_search[name] = search.memory_info().rss / 2**20
        if popen.returncode:
            raise SystemExit(f"the search ended with exit code {popen.returncode}")
    return of_trial, of_search


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="6 trials instead of 30")
    trials = 6 if parser.parse_args().quick else 30
    of_trial, of_search = measure(trials)
    names = sorted(of_trial)
    third, last = names[2], names[-1]
    rows = [
        [str(int(name) + 1), f"{of_trial[name]:.0f} MB", f"{of_search[name]:.0f} MB"]
        for name in names
        if name in (names[0], third, last) or int(name) % 5 == 4
    ]
    rows.append(
        [
            f"{int(last) + 1} against 3",
            f"{of_trial[last] / of_trial[third] - 1:+.1%}",
            f"{of_search[last] / of_search[third] - 1:+.1%}",
        ]
    )
    print(environment())
    print(
        table(
            "Peak memory of each trial; memory of the search",
            rows,
            ["trial", "trial process", "search"],
        )
    )


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
