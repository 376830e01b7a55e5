"""`python -m proxy_keras.evaluate`: what a trained model can do, where it fails, where it looks."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from proxy_keras import attribution
from proxy_keras.evaluating.evaluation import evaluate_model
from proxy_keras.evaluating.options import EvaluationOptions
from proxy_keras.settings import DataConfig, ProxyConfig
from proxy_keras.settings.options import add_options


def build_parser() -> argparse.ArgumentParser:
    """The parser; options that are not given leave no trace: defaults are `EvaluationOptions`'."""
    parser = argparse.ArgumentParser(
        prog="python -m proxy_keras.evaluate",
        description="Evaluates a trained classifier on images that it was not trained on: its "
        "failures first, then scores, calibration, robustness, heatmaps. Writes report.html and "
        "metrics.json.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("model", type=Path, metavar="RUN", help="a run folder, or FILE.keras")
    group = parser.add_argument_group("evaluation")
    group.add_argument(
        "--against",
        type=Path,
        metavar="RUN2",
        help="another run or FILE.keras, on the same images",
    )
    group.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the report (default: RUN/evaluation)"
    )
    group.add_argument(
        "--method",
        choices=attribution.names(),
        metavar="NAME",
        help="how heatmaps are made (default: grad_cam, or layer_cam after training with that)",
    )
    add_options(group, ProxyConfig, "method_options", "target_layer")
    group.add_argument(
        "--heat-images",
        type=int,
        metavar="N",
        help="images whose heatmaps are scored, drawn by --seed; 0: none (default: 200)",
    )
    group.add_argument("--masks", type=Path, metavar="DIR", help="masks of the objects")
    group.add_argument("--boxes", type=Path, metavar="FILE.csv", help="boxes of the objects")
    group.add_argument(
        "--corruptions",
        action=argparse.BooleanOptionalAction,
        help="answer corrupted images too (default: on)",
    )
    group.add_argument("--labels", type=Path, metavar="FILE", help="JSON: class names by class id")
    group.add_argument(
        "--against-labels", type=Path, metavar="FILE", help="the same of the model of --against"
    )
    group.add_argument("--batch-size", type=int, metavar="B", help="images at a time (default: 64)")
    group.add_argument("--seed", type=int, metavar="I", help="keys all draws (default: 0)")
    group.add_argument("--pdf", action="store_true", help="write report.pdf too")
    group.add_argument("--quiet", action="store_true", help="no progress bars")
    add_options(parser.add_argument_group("data; a run has its own"), DataConfig)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command, and returns its exit code: 0 done, 2 bad data, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    given = vars(build_parser().parse_args(arguments))
    model = given.pop("model")
    names = [field.name for field in dataclasses.fields(EvaluationOptions)]
    options = {name: given.pop(name) for name in names if name in given}
    command = "python -m proxy_keras.evaluate " + shlex.join(arguments)
    try:
        print(evaluate_model(model, EvaluationOptions(**options), given, command))
    except (ValueError, OSError, FloatingPointError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nstopped. Begin anew with: {command}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
