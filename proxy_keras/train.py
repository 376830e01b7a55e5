"""`python -m proxy_keras.train`: a training run with proxies, saved in a run folder."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proxy_keras.io.any_text import allow_any_text
from proxy_keras.io.extras import MissingExtra
from proxy_keras.io.full_disk import EXIT_CODE, disk_full_message, is_disk_full
from proxy_keras.io.program_name import program_name
from proxy_keras.io.quiet_start import add_verbose_option, start_quietly
from proxy_keras.settings import TrainConfig
from proxy_keras.settings.json_settings import differences
from proxy_keras.settings.options import (
    add_config_option,
    add_train_options,
    build_config,
    changed,
    with_absolute_paths,
)
from proxy_keras.training.run_folder import finished_metrics, has_begun


def build_parser() -> argparse.ArgumentParser:
    """Return the parser. Options not given are absent: the defaults are in the settings."""
    parser = argparse.ArgumentParser(
        prog=program_name("proxy_keras.train"),
        description="Train an image classifier with Proxy Attention.",
        argument_default=argparse.SUPPRESS,
    )
    _add_run_options(parser)
    add_train_options(parser)
    return parser


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the run folder; new or empty"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="resume from the last checkpoint in DIR, with the settings saved there",
    )
    add_config_option(parser)
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    add_verbose_option(parser)


def resumed_config(folder: Path, given: dict[str, Any]) -> TrainConfig:
    """Return the settings saved in a run folder, with the `index` and `determinism` asked for.

    Args:
        folder: A run folder with saved settings.
        given: Options given with `--resume`. They must equal the saved settings, except those that
            are not compared, and `determinism`, which is no part of the recipe; "auto" equals any
            measured value.

    Raises:
        ValueError: An option differs.
    """
    saved = TrainConfig.load(folder / "config.json")
    given = {name: value for name, value in given.items() if value != "auto"}
    if "config" in given:
        asked = _with_measured(build_config(given), saved)
    else:
        asked = changed(saved, with_absolute_paths(given))
    saved = dataclasses.replace(saved, determinism=asked.determinism)
    differing = differences(saved.compared(), asked.compared())
    if differing:
        raise ValueError(
            f"{folder} was started with other settings: {'; '.join(differing)}. Leave these "
            "options out to resume it, or choose another --out."
        )
    return dataclasses.replace(saved, data=dataclasses.replace(saved.data, index=asked.data.index))


def _with_measured(asked: TrainConfig, saved: TrainConfig) -> TrainConfig:
    """Return `asked`, with measured values from `saved` where it leaves them open."""
    size = asked.data.image_size or saved.data.image_size
    return dataclasses.replace(
        asked,
        data=dataclasses.replace(asked.data, image_size=size),
        batch_size=saved.batch_size if asked.batch_size == "auto" else asked.batch_size,
        lr=saved.lr if asked.lr == "auto" else asked.lr,
        precision=saved.precision if asked.precision == "auto" else asked.precision,
        replicas=asked.replicas or saved.replicas,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 2 bad arguments or data, 74 disk full."""
    allow_any_text()
    given = vars(build_parser().parse_args(arguments))
    folder: Path = given.pop("out")
    resume, verbose = given.pop("resume", False), int(not given.pop("quiet", False))
    given.pop("verbose", None)
    try:
        if resume and (metrics := finished_metrics(folder)) is not None:
            resumed_config(folder, given)
            print(_result(metrics, folder))
            return 0
        if has_begun(folder):
            if not resume:
                raise ValueError(
                    f"{folder} already holds a run. Add --resume to continue it, or choose "
                    "another --out."
                )
            config = resumed_config(folder, given)
        else:
            if folder.exists() and any(folder.iterdir()) and not resume:
                raise ValueError(f"{folder} is not empty. Choose a new or empty folder as --out.")
            config = build_config(given)
        config.check_schedule()
        # Imported late: TensorFlow takes seconds, and invalid settings are reported without it.
        start_quietly(arguments)
        import tensorflow as tf

        from proxy_keras.distribution import WorkerLost
        from proxy_keras.training import run as runs

        prepared = runs.prepare(config, folder, verbose=verbose)
    except (MissingExtra, ValueError, OSError, MemoryError) as error:
        if is_disk_full(error):
            return _disk_full(error, folder)
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        metrics = runs.train(prepared, verbose=verbose)
    except KeyboardInterrupt:
        print(f"\nStopped. Resume with: python -m proxy_keras.train --resume --out {folder}")
        return 130
    except (OSError, tf.errors.OpError) as error:
        if not is_disk_full(error):
            raise
        return _disk_full(error, folder)
    except FloatingPointError as error:
        print(f"error: training has diverged: {error} Lower --lr.", file=sys.stderr)
        return 2
    except WorkerLost as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(_result(metrics, folder))
    return 0


def _disk_full(error: Exception, folder: Path) -> int:
    print(f"error: {disk_full_message(error, folder)}", file=sys.stderr)
    return EXIT_CODE


def _result(metrics: dict[str, Any], folder: Path) -> str:
    groups = metrics["test"].get("groups")
    worst = ""
    if groups is not None:
        worst = (
            f"worst group: {groups['worst_group_accuracy']:.1%} test ({groups['worst_group']}); "
        )
    return (
        f"accuracy: {metrics['val']['accuracy']:.1%} validation, "
        f"{metrics['test']['accuracy']:.1%} test; {worst}{metrics['proxies_made']} proxies made; "
        f"run folder: {folder}"
    )


if __name__ == "__main__":
    sys.exit(main())
