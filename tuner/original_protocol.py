"""`python -m tuner.original_protocol`: training by the original study's protocol, with leakage.

Only the split differs from an ordinary training run: each segment of the schedule redraws the
training and validation images from all images outside the test split. Network, optimizer, learning
rate and augmentation continue. The original study reported the accuracy on the validation images
of the last segment, most of which had been trained on. This command exists for comparison.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from proxy_keras.data.proxy_maker import Attenuation
from proxy_keras.data.records import TEST
from proxy_keras.data.split_table import SplitTable
from proxy_keras.data.train_split import TrainSplit
from proxy_keras.io.any_text import allow_any_text
from proxy_keras.io.atomic_files import write_text_atomically
from proxy_keras.io.extras import command_extra
from proxy_keras.metrics.classification import predict_logits
from proxy_keras.proxy.heatmap_filter import HeatmapFilter
from proxy_keras.proxy.proxy_step import ProxyStep, make_explainer
from proxy_keras.proxy.step_log import StepLog, StepSummary
from proxy_keras.settings import ProxyConfig, TrainConfig
from proxy_keras.settings.schedule import Segments, parse
from proxy_keras.training import run as runs
from proxy_keras.training.determinism import is_deterministic, set_determinism, summary
from proxy_keras.training.fitting import compile_model, training_batches, validation_batches
from proxy_keras.training.run_folder import finished_metrics
from proxy_keras.training.run_report import score_split

with command_extra("tuner", __name__):
    import pandas as pd

WITHOUT_PROXIES = "proxies_off"


class SegmentClock(keras.callbacks.Callback):
    """Callback that announces each epoch to the training split of a segment.

    Args:
        data: The training split.
        show: Probability that an image with a proxy is replaced by it.
    """

    def __init__(self, data: TrainSplit, show: float) -> None:
        super().__init__()
        self._data = data
        self._show = show

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keys order and augmentation of the epoch."""
        self._data.store.draw_shown(epoch, show=self._show)
        self._data.clock.begin(epoch)


def train(config: TrainConfig, folder: Path) -> dict[str, Any]:
    """Train by the original protocol, into a run folder.

    Args:
        config: Training settings. `proxy.schedule` defines the segments. With the control
            `proxies_off`, no proxies are made, and the schedule only splits the run.
        folder: The run folder, with the split of each segment in `segments/`. It has no
            checkpoints: an interrupted run starts over.

    Returns:
        The content of `metrics.json`.

    Raises:
        ValueError, OSError: Settings or data are unusable.
    """
    proxy, segments = _segments(config)
    run = runs.prepare(config, folder, verbose=0)
    set_determinism(config)
    config, model, data = run.config, run.model, run.data
    compile_model(model, config, config.epochs, len(data.train))
    began, cpu_began = time.perf_counter(), time.process_time()
    trained_on: set[str] = set()
    steps: list[StepSummary] = []
    history: list[dict[str, float]] = []
    leaked = 0.0
    for number, part in enumerate(segments.parts):
        if number:
            before = data
            split = folder / "segments" / f"{number:02d}"
            _redraw(run.data.table, seed=config.seed, segment=number).save(split)
            data = runs.load_data(config, split, progress=False)
            # `fit` counts epochs from 0 in each segment; a new seed changes the order.
            data.train.reseed(int(np.random.default_rng([config.seed, number]).integers(2**31)))
            _carry_over(before.train, data.train)
        data.train.attenuation = Attenuation(proxy.weight, proxy.replacement)
        leaked = float(np.mean([id_ in trained_on for id_ in data.val.example_ids]))
        trained_on |= set(data.train.example_ids)
        fitted = model.fit(
            training_batches(config, data.train, progress=False),
            validation_data=validation_batches(config, data.val),
            epochs=part if isinstance(part, int) else 1,
            verbose=0,
            shuffle=False,
            callbacks=[SegmentClock(data.train, proxy.show)],
        )
        history += pd.DataFrame(fitted.history).to_dict("records")
        if part == "p" and proxy.control != WITHOUT_PROXIES:
            steps.append(_step(model, config, proxy, data.train, epoch=len(history) - 1))
    metrics: dict[str, Any] = {
        "protocol": "original",
        "segments": len(segments.parts),
        "leaked": leaked,
        "proxies_made": sum(step.made for step in steps),
        "proxy_steps": [dataclasses.asdict(step) for step in steps],
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu_began,
        "op_determinism": summary([is_deterministic()]),
    }
    for subset in (data.val, data.test):
        logits = predict_logits(model, subset, int(config.batch_size), progress=False)
        _, metrics[subset.name] = score_split(logits, data, subset)
    table = pd.DataFrame(history)
    table.insert(0, "epoch", range(1, len(table) + 1))
    write_text_atomically(folder / "history.csv", table.to_csv(index=False))
    write_text_atomically(folder / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    return metrics


def _segments(config: TrainConfig) -> tuple[ProxyConfig, Segments]:
    if config.proxy is None:
        raise ValueError("The original protocol needs a schedule. Remove `--no-proxy`.")
    segments = parse(config.proxy.schedule)
    if not isinstance(segments, Segments):
        raise ValueError(
            "The original protocol needs a schedule of segments, such as '5,p,4'. Received: "
            f"{config.proxy.schedule!r}"
        )
    return config.proxy, segments


def _redraw(table: SplitTable, *, seed: int, segment: int) -> SplitTable:
    """Return the table with train and val redrawn, stratified by class; test is unchanged."""
    draw = np.random.default_rng([seed, segment])
    splits = np.array(table.splits, dtype=object)
    for class_id in range(len(table.classes)):
        rows = np.flatnonzero((table.class_ids == class_id) & (splits != TEST))
        splits[rows] = draw.permutation(splits[rows])
    return dataclasses.replace(table, splits=tuple(splits), folds=None)


def _carry_over(before: TrainSplit, now: TrainSplit) -> None:
    """Gives a new training split the proxies of those of its images that had one before."""
    state = before.store.get_state()
    position_of = {id_: position for position, id_ in enumerate(now.example_ids)}
    ids = [before.example_ids[position] for position in state["positions"]]
    stays = np.array([id_ in position_of for id_ in ids], bool)
    now.store.put(
        np.array([position_of[id_] for id_ in ids if id_ in position_of], np.int64),
        state["heatmaps"][stays],
        state["thresholds"][stays],
        epoch=0,
    )


def _step(
    model: keras.Model, config: TrainConfig, proxy: ProxyConfig, data: TrainSplit, *, epoch: int
) -> StepSummary:
    step = ProxyStep(
        data,
        proxy,
        proxy.subset,
        make_explainer(model, proxy),
        batch_size=int(config.batch_size),
        log=StepLog(None, None),
        verbose=0,
        heatmap_filter=HeatmapFilter(proxy, data),
    )
    return step.run(epoch)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser, with the options that studies pass to every training command."""
    parser = argparse.ArgumentParser(
        prog="python -m tuner.original_protocol",
        description="Train by the original study's protocol, which leaks validation images into "
        "training. For comparison only: python -m tuner.study --protocol original.",
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="settings file")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="run folder")
    parser.add_argument("--resume", action="store_true", help="skip a finished run")
    parser.add_argument("--quiet", action="store_true", help="print only the result")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code: 0 done, 2 invalid arguments or data."""
    allow_any_text()
    given = build_parser().parse_args(arguments)
    try:
        metrics = finished_metrics(given.out) if given.resume else None
        if metrics is None:
            metrics = train(TrainConfig.load(given.config), given.out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(
        f"accuracy: {metrics['val']['accuracy']:.1%} on the last validation images, of which "
        f"{metrics['leaked']:.0%} were trained on; {metrics['test']['accuracy']:.1%} test"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
