"""Command-line options of `python -m tuner.search`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy_keras.io.program_name import program_name
from proxy_keras.io.quiet_start import add_verbose_option
from proxy_keras.settings import TrainConfig
from proxy_keras.settings.options import add_config_option, add_train_options, build_config
from tuner.job import check_source
from tuner.searching.objectives import OBJECTIVES, check_objective
from tuner.searching.space import DEFAULT_FILE, Space

ALGORITHMS = ("random", "grid", "bayesian", "hyperband")
_UNBOUNDED = ("random", "bayesian")


@dataclass(frozen=True)
class Options:
    """Options of a search.

    Attributes:
        algorithm: One of `ALGORITHMS`.
        trials: Maximum number of trials; None: as many as the algorithm has.
        out: Output folder.
        objective: One of `OBJECTIVES`.
        base: Settings that all trials share.
        space: The search space.
        workers: Number of parallel trials of this process.
        worker_timeout_s: Seconds without a heartbeat after which a worker counts as dead.
        is_fresh: Whether to start over if the folder has a search.
        assume_yes: Whether to skip the confirmation.
        is_quiet: Whether to print only the result.
    """

    algorithm: str
    trials: int | None
    out: Path
    objective: str
    base: TrainConfig
    space: Space
    workers: int
    worker_timeout_s: float
    is_fresh: bool
    assume_yes: bool
    is_quiet: bool

    def identity(self) -> dict[str, Any]:
        """Return what must not change when a search is resumed, as JSON values."""
        return {
            "algorithm": self.algorithm,
            "objective": self.objective,
            "settings": self.base.compared(),
            "space": self.space.to_dict(),
        }


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; training settings that are not given are absent from its result."""
    parser = argparse.ArgumentParser(
        prog=program_name("tuner.search"),
        description="Search for good settings of Proxy Attention. Each trial is a run folder in "
        "DIR/trials. Run the same command again to resume after any interruption. Training "
        "settings given as options are fixed for all trials.",
        epilog="For several machines, see docs/search.md.",
        argument_default=argparse.SUPPRESS,
    )
    group = parser.add_argument_group("search")
    group.add_argument("--algorithm", required=True, choices=ALGORITHMS)
    group.add_argument(
        "--trials",
        type=_at_least_one,
        default=None,
        metavar="N",
        help="maximum number of training runs; optional for grid (all of it) and hyperband (each "
        "bracket once); can be raised later",
    )
    group.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the search"
    )
    group.add_argument(
        "--space",
        type=Path,
        default=DEFAULT_FILE,
        metavar="FILE",
        help=f"search space (default: {DEFAULT_FILE.name})",
    )
    group.add_argument(
        "--objective",
        choices=list(OBJECTIVES),
        default="val_accuracy",
        help="metric on the validation split after the last epoch: val_accuracy, which needs to "
        "know nothing else; the accuracy of its worst class; or of its worst group, which needs "
        "groups (default: val_accuracy)",
    )
    group.add_argument(
        "--workers",
        type=_at_least_one,
        default=1,
        metavar="N",
        help="parallel trials, which share the CPUs (default: 1)",
    )
    group.add_argument(
        "--worker-timeout",
        type=_positive,
        default=60.0,
        metavar="S",
        help="seconds without a heartbeat after which a worker counts as dead (default: 60)",
    )
    group.add_argument(
        "--fresh",
        action="store_true",
        default=False,
        help="start over; move an existing search to DIR/earlier-N",
    )
    group.add_argument(
        "--yes", action="store_true", default=False, help="skip the confirmation of --fresh"
    )
    add_config_option(group)
    add_verbose_option(group)
    group.add_argument("--quiet", action="store_true", default=False, help="print only the result")
    add_train_options(parser)
    return parser


def read_options(arguments: Sequence[str] | None) -> Options:
    """Return the options of a command line.

    Raises:
        ValueError: An option is invalid, or options contradict each other.
        OSError: A file cannot be read.
        SystemExit: The command line is invalid, or asks for help.
    """
    given = vars(build_parser().parse_args(arguments))
    names = ("algorithm", "trials", "out", "space", "objective", "workers", "worker_timeout")
    own = {name: given.pop(name) for name in (*names, "fresh", "yes", "quiet")}
    if own["trials"] is None and own["algorithm"] in _UNBOUNDED:
        raise ValueError(
            f"`--trials` is required: {own['algorithm']} search does not end by itself. Pass e.g. "
            "--trials 30."
        )
    base = build_config(given)
    check_source(base.data.source)
    check_objective(own["objective"], base.data)
    return Options(
        algorithm=own["algorithm"],
        trials=own["trials"],
        out=own["out"].resolve(),
        objective=own["objective"],
        base=base,
        space=Space.load(own["space"]).without(set(given), base),
        workers=own["workers"],
        worker_timeout_s=own["worker_timeout"],
        is_fresh=own["fresh"],
        assume_yes=own["yes"],
        is_quiet=own["quiet"],
    )


def _at_least_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be >= 1. Received: {text}")
    return value


def _positive(text: str) -> float:
    value = float(text)
    # Workers send a heartbeat every 2 seconds.
    if not value >= 5:
        raise argparse.ArgumentTypeError(f"must be >= 5 seconds. Received: {text}")
    return value
