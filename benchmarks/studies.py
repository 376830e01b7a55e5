"""What a study of small runs costs beyond training: its wall time against the sum of its `fit`s.

python benchmarks/studies.py [--quick] [--project DIR]

`--project`: measure the code of another checkout, whose runs record `fit_seconds` too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from _timing import environment, table

PROJECT = Path(__file__).resolve().parents[1]
SETTINGS = (
    *("--data", "digits", "--model", "small_cnn", "--epochs", "5", "--precision", "float32"),
    *("--arms", "proxy", "--no-controls", "--quiet"),
)
ARMS = 2
"""`none` and `proxy`."""


@dataclass(frozen=True)
class Measured:
    """One study, and the load of the machine before it.

    CPU time is that of all processes together, and of the epochs.
    """

    wall_s: float
    fit_s: float
    cpu_s: float
    epochs_cpu_s: float
    load: float

    @property
    def ratio(self) -> float:
        """Wall time against the sum of the `fit`s."""
        return self.wall_s / self.fit_s


def measure(runs: int, project: Path) -> Measured:
    """Run a study, and return its time and that of its runs in `fit`."""
    load, cpu_began = os.getloadavg()[0], _children_cpu_s()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "study"
        words = [*SETTINGS, "--seeds", str(runs // ARMS), "--out", str(out)]
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "tuner.study", *words],
            cwd=project,
            env={**os.environ, "PYTHONPATH": str(project)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        wall = time.perf_counter() - began
        metrics = [json.loads(file.read_text()) for file in out.glob("runs/*/*/metrics.json")]
    if len(metrics) != runs:
        raise SystemExit(f"the study has {len(metrics)} of {runs} runs")
    fit, epochs = (sum(one[name] for one in metrics) for name in ("fit_seconds", "cpu_seconds"))
    return Measured(wall, fit, _children_cpu_s() - cpu_began, epochs, load)


def _children_cpu_s() -> float:
    """Return the CPU time of all processes that have ended, with their own children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one study of 4 runs, not 3 of 20")
    parser.add_argument("--project", type=Path, default=PROJECT, metavar="DIR", help="see above")
    given = parser.parse_args()
    runs, rounds = (4, 1) if given.quick else (20, 3)
    print(environment())
    studies = []
    for _ in range(rounds):
        studies.append(measure(runs, given.project.resolve()))
        print(f"  {studies[-1]}", file=sys.stderr)
    rows = [
        [
            f"{one.wall_s:.1f} s",
            f"{one.fit_s:.1f} s",
            f"{(one.wall_s - one.fit_s) / runs:.2f} s",
            f"{one.ratio:.2f}",
            f"{one.epochs_cpu_s:.1f} s",
            f"{(one.cpu_s - one.epochs_cpu_s) / runs:.2f} s",
            f"{one.load:.1f}",
        ]
        for one in sorted(studies, key=lambda one: one.ratio)
    ]
    header = ["study", "sum of fit", "between, per run", "ratio"]
    header += ["CPU of epochs", "CPU beside, per run", "load"]
    print(table(f"Studies of {runs} runs", rows, header))
    ratio = statistics.median(one.ratio for one in studies)
    print(f"\nmedian ratio {ratio:.2f}; target <= 1.30")


if __name__ == "__main__":
    main()
