"""The command `python -m proxy_keras.evaluate`."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from proxy_keras import attribution
from proxy_keras.evaluating.options import EvaluationOptions
from proxy_keras.io.any_text import allow_any_text
from proxy_keras.io.extras import MissingExtra, extra
from proxy_keras.io.program_name import program_name
from proxy_keras.io.quiet_start import add_verbose_option, start_quietly
from proxy_keras.settings import DataConfig, ProxyConfig
from proxy_keras.settings.options import add_options


def build_parser() -> argparse.ArgumentParser:
    """Build the parser; options that are not given are absent, see `EvaluationOptions`."""
    parser = argparse.ArgumentParser(
        prog=program_name("proxy_keras.evaluate"),
        description="Evaluate a trained classifier on held-out images: errors, scores, "
        "calibration, robustness, heatmaps, cues. Writes report.html and metrics.json.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("model", type=Path, metavar="RUN", help="a run folder or FILE.keras")
    group = parser.add_argument_group("evaluation")
    group.add_argument(
        "--against",
        type=Path,
        metavar="RUN2",
        help="another run or FILE.keras to compare on the same images",
    )
    group.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the report (default: RUN/evaluation)"
    )
    group.add_argument(
        "--method",
        choices=attribution.names(),
        metavar="NAME",
        help="attribution method (default: grad_cam, or layer_cam for runs trained with grad_cam)",
    )
    add_options(group, ProxyConfig, "method_options", "target_layer")
    group.add_argument(
        "--heat-images",
        type=int,
        metavar="N",
        help="number of images whose heatmaps are scored; 0: no heatmaps (default: 200)",
    )
    group.add_argument("--masks", type=Path, metavar="DIR", help="folder of object masks")
    group.add_argument("--boxes", type=Path, metavar="FILE.csv", help="table of object boxes")
    group.add_argument(
        "--corruptions",
        action=argparse.BooleanOptionalAction,
        help="evaluate on corrupted images too (default: on)",
    )
    group.add_argument(
        "--cues",
        type=Path,
        metavar="DIR",
        help="measure the evidence on the ticked cues of this folder (default: those that the run "
        "was trained with, else RUN/cues if any are ticked)",
    )
    group.add_argument(
        "--no-cues", action="store_true", help="leave out the cues: what the model looks at"
    )
    group.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="JSON: class names by class id, or Keras' class_indices",
    )
    group.add_argument(
        "--against-labels", type=Path, metavar="FILE", help="the same for the --against model"
    )
    group.add_argument("--batch-size", type=int, metavar="B", help="images per batch (default: 64)")
    group.add_argument("--seed", type=int, metavar="I", help="seed of all draws (default: 0)")
    group.add_argument("--pdf", action="store_true", help="write report.pdf too")
    group.add_argument("--quiet", action="store_true", help="hide progress bars")
    add_verbose_option(group)
    add_options(parser.add_argument_group("data (not needed for a run)"), DataConfig)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 2 bad data, 130 interrupted."""
    allow_any_text()
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    given = vars(build_parser().parse_args(arguments))
    model = given.pop("model")
    given.pop("verbose", None)
    names = [field.name for field in dataclasses.fields(EvaluationOptions)]
    options = {name: given.pop(name) for name in names if name in given}
    command = "python -m proxy_keras.evaluate " + shlex.join(arguments)
    try:
        start_quietly(arguments)
        with extra("evaluate"):
            import tensorboard  # noqa: F401

            from proxy_keras.evaluating.evaluation import evaluate_model
        print(evaluate_model(model, EvaluationOptions(**options), given, command))
    except (MissingExtra, ValueError, OSError, FloatingPointError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nStopped. Restart with: {command}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
