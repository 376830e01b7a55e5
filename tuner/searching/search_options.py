"""The options of `python -m tuner.search`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy_keras.settings import TrainConfig
from proxy_keras.settings.options import (
    add_config_option,
    add_train_options,
    build_config,
)
from tuner.job import check_source
from tuner.searching.oracles import DIRECTIONS
from tuner.searching.space import DEFAULT_FILE, Space

ALGORITHMS = ("random", "grid", "bayesian", "hyperband")
_ENDLESS = ("random", "bayesian")


@dataclass(frozen=True)
class Options:
    """What a search was asked for.

    Attributes:
        algorithm: One of `ALGORITHMS`.
        trials: At most; None: as many as the algorithm has.
        out: The folder.
        objective: `val_accuracy` or `val_loss`.
        base: The settings that all trials share.
        space: What is searched.
        workers: Trials at a time, of this process.
        worker_timeout_s: Seconds after which the chief takes a silent worker for dead.
        is_fresh: Whether to begin anew where there is a search.
        is_sure: Whether not to ask.
        is_quiet: Whether to print the result only.
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
    is_sure: bool
    is_quiet: bool

    def identity(self) -> dict[str, Any]:
        """What must be the same each time that a search goes on, as JSON values."""
        return {
            "algorithm": self.algorithm,
            "objective": self.objective,
            "settings": self.base.to_dict(),
            "space": self.space.to_dict(),
        }


def build_parser() -> argparse.ArgumentParser:
    """The parser; settings of a training that are not given leave no trace."""
    parser = argparse.ArgumentParser(
        prog="python -m tuner.search",
        description="Searches for good settings of Proxy Attention. Each trial is a run folder in "
        "DIR/trials. Run the same command again to go on after an interruption, however it came "
        "about. Options below that set something of a training fix it for all trials.",
        epilog="Several machines: see docs/search.md.",
        argument_default=argparse.SUPPRESS,
    )
    group = parser.add_argument_group("search")
    group.add_argument("--algorithm", required=True, choices=ALGORITHMS)
    group.add_argument(
        "--trials",
        type=_at_least_one,
        metavar="N",
        help="trainings at most; may be left out for grid (all of it) and hyperband (each bracket "
        "once), and raised later",
    )
    group.add_argument("--out", type=Path, required=True, metavar="DIR", help="the search's folder")
    group.add_argument(
        "--space", type=Path, metavar="FILE", help=f"what to search (default: {DEFAULT_FILE.name})"
    )
    group.add_argument(
        "--objective",
        choices=list(DIRECTIONS),
        help="on the validation split, at the end of the last epoch (default: val_accuracy)",
    )
    group.add_argument(
        "--workers",
        type=_at_least_one,
        metavar="N",
        help="trials at a time, which share the processors (default: 1)",
    )
    group.add_argument(
        "--worker-timeout",
        type=_positive,
        metavar="S",
        help="seconds after which a chief takes a silent worker for dead (default: 60)",
    )
    group.add_argument(
        "--fresh", action="store_true", help="begin anew; what is there is moved to DIR/earlier-N"
    )
    group.add_argument("--yes", action="store_true", help="do so without asking")
    add_config_option(group)
    group.add_argument("--quiet", action="store_true", help="print the result only")
    add_train_options(parser)
    return parser


def read_options(arguments: Sequence[str] | None) -> Options:
    """What the command line asks for.

    Raises:
        ValueError: Something breaks a rule, or contradicts itself.
        OSError: A file cannot be read.
        SystemExit: The command line is not understood, or asks for help.
    """
    given = vars(build_parser().parse_args(arguments))
    own = {
        name: given.pop(name, default)
        for name, default in {
            "algorithm": None,
            "trials": None,
            "out": None,
            "space": DEFAULT_FILE,
            "objective": "val_accuracy",
            "workers": 1,
            "worker_timeout": 60.0,
            "fresh": False,
            "yes": False,
            "quiet": False,
        }.items()
    }
    if own["trials"] is None and own["algorithm"] in _ENDLESS:
        raise ValueError(
            f"`--trials` is needed: {own['algorithm']} search has no end of its own. E.g. "
            "--trials 30."
        )
    base = build_config(given)
    check_source(base.data.source)
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
        is_sure=own["yes"],
        is_quiet=own["quiet"],
    )


def _at_least_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be >= 1. Received: {text}")
    return value


def _positive(text: str) -> float:
    value = float(text)
    # A worker tells that it lives every other second.
    if not value >= 5:
        raise argparse.ArgumentTypeError(f"must be >= 5 seconds. Received: {text}")
    return value
