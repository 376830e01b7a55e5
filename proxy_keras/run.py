"""One training, from its settings to a run folder."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import pandas as pd
import tensorflow as tf

from proxy_keras import evaluation, figures
from proxy_keras.augment import FlipAndRotate
from proxy_keras.callback import ProxyAttention
from proxy_keras.checkpoint import CheckpointFolder, RunCheckpoint
from proxy_keras.config import TrainConfig
from proxy_keras.data import ImageData
from proxy_keras.files import write_atomically, write_text_atomically
from proxy_keras.models import build_model, freeze_backbone, unfreeze
from proxy_keras.pipeline import TrainSubset
from proxy_keras.recipe import (
    find_batch_size,
    find_learning_rate,
    make_optimizer,
    resolve_precision,
)
from proxy_keras.schedule import Plateau, parse

LOGGED = ("loss", "accuracy", "val_loss", "val_accuracy")
"""What a training logs at the end of each epoch."""


class EpochClock(keras.callbacks.Callback):
    """Tells the training split which epoch it is, where no `ProxyAttention` does.

    Args:
        data: The training split.
        first: Added to the epochs, so that two trainings in a row need not share their order.
    """

    def __init__(self, data: TrainSubset, first: int = 0) -> None:
        super().__init__()
        self._data = data
        self._first = first

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keys order and augmentation of the epoch."""
        self._data.store.begin_epoch(self._first + epoch)


@dataclass
class Run:
    """A training that has been prepared: everything checked, nothing trained.

    Attributes:
        folder: The run folder.
        config: The settings, nothing in them "auto" any more.
        data: The images and their split.
        model: The network, with its initial weights.
        proxy: The callback; None: plain training.
    """

    folder: Path
    config: TrainConfig
    data: ImageData
    model: keras.Model
    proxy: ProxyAttention | None


def has_begun(folder: Path) -> bool:
    """Whether a run folder holds the settings of a run."""
    return (folder / "config.json").exists()


def finished_metrics(folder: Path) -> dict[str, Any] | None:
    """The content of `metrics.json`; None where the run is not trained and evaluated to its end."""
    path = folder / "metrics.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def load_data(config: TrainConfig, folder: Path | None, *, progress: bool = True) -> ImageData:
    """The images of a run and their split.

    Args:
        config: The settings.
        folder: The run folder, whose saved split is used; None: the split is drawn.
        progress: Show progress bars.

    Raises:
        ValueError, OSError: The data cannot be used, or no longer match the split.
    """
    data = ImageData.from_source(
        config.data.source,
        **{k: v for k, v in config.data.to_dict().items() if k != "source"},
        split_dir=folder,
        progress=progress,
    )
    data.train.reseed(config.seed)
    return data


def prepare(config: TrainConfig, folder: Path, *, verbose: int = 1) -> Run:
    """A run whose data, model and settings have been checked, and its folder begun.

    Sets the global seeds and the global dtype policy. A folder that has begun is taken up with the
    split saved there.

    Args:
        config: The settings.
        folder: The run folder. It gets `config.json`, `run.json`, `split.csv` and its hash,
            `labels.json` and `skipped.csv`.
        verbose: 0: silent.

    Raises:
        ValueError, OSError: Settings, data or weights are not usable; the message says what to do.
    """
    keras.utils.set_random_seed(config.seed)
    precision = resolve_precision(config.precision)
    keras.mixed_precision.set_dtype_policy(precision)
    begun = has_begun(folder)
    _check_monitor(config)
    data = load_data(config, folder if begun else None, progress=bool(verbose))
    if verbose:
        print(data.describe())
    model = build_model(
        config.model,
        num_classes=data.num_classes,
        image_size=data.image_size,
        # A checkpoint has weights of its own.
        weights="none" if CheckpointFolder.of(folder).latest() else config.weights,
        verbose=verbose,
    )
    if config.freeze:
        freeze_backbone(model)
    config = dataclasses.replace(
        config,
        precision=precision,
        data=dataclasses.replace(config.data, image_size=data.image_size),
    )
    folder.mkdir(parents=True, exist_ok=True)
    config = _measured(config, model, data, folder, verbose)
    proxy = None
    if config.proxy is not None:
        proxy = ProxyAttention.from_settings(
            data.train,
            config.proxy,
            batch_size=int(config.batch_size),
            log_dir=folder / "tensorboard" / "proxies",
            sheet_dir=folder / "sheets",
            verbose=verbose,
        )
        proxy.prepare(model, config.epochs)
    if not begun:
        data.save(folder)
        about = _about(model, data)
        write_text_atomically(folder / "run.json", json.dumps(about, indent=2) + "\n")
        _log_settings(config, folder)
        # Last, because its presence says that the folder has begun.
        write_atomically(folder / "config.json", config.save)
    return Run(folder, config, data, model, proxy)


def train(run: Run, *, verbose: int = 1) -> dict[str, Any]:
    """Trains a prepared run to its end, going on from its last checkpoint.

    Makes TensorFlow's operations deterministic, for this process as a whole: the same settings
    give the same weights, bit for bit, interrupted or not (on one kind of processor).

    Args:
        run: What `prepare` returned.
        verbose: 1: progress bars where there is a terminal; 0: silent.

    Returns:
        The content of `metrics.json`.

    Raises:
        FloatingPointError: The training has diverged, and a proxy step cannot explain the network.
    """
    tf.config.experimental.enable_op_determinism()
    config, data, model = run.config, run.data, run.model
    keras_verbose = 0 if not verbose else 1 if sys.stdout.isatty() else 2
    checkpoint = RunCheckpoint(run.folder, run.proxy)
    if not checkpoint.exists:
        _train_head(run, keras_verbose)
    _compile(model, config, config.epochs, len(data.train))
    done = checkpoint.resume(model)
    if done and verbose:
        print(f"goes on after epoch {done} of {config.epochs}")
    augment = FlipAndRotate(config.flip, config.rotation)
    batch_size = int(config.batch_size)
    if done < config.epochs:
        model.fit(
            data.train.batches(batch_size, augment=augment),
            validation_data=data.val.batches(batch_size),
            epochs=config.epochs,
            initial_epoch=done,
            verbose=keras_verbose,
            shuffle=False,
            callbacks=[
                EpochClock(data.train) if run.proxy is None else run.proxy,
                keras.callbacks.TensorBoard(run.folder / "tensorboard"),
                checkpoint,
            ],
        )
    write_atomically(run.folder / "model.keras", model.save)
    return _finish(run, checkpoint.seconds)


def _check_monitor(config: TrainConfig) -> None:
    """Refuses a plateau of what this training does not log, before anything is trained."""
    schedule = None if config.proxy is None else parse(config.proxy.schedule)
    if isinstance(schedule, Plateau) and schedule.monitor not in LOGGED:
        raise ValueError(
            f"The schedule {str(schedule)!r} must watch one of {', '.join(LOGGED)}. Received: "
            f"{schedule.monitor!r}"
        )


def _measured(
    config: TrainConfig, model: keras.Model, data: ImageData, folder: Path, verbose: int
) -> TrainConfig:
    """The settings with "auto" replaced by what was measured."""
    if config.batch_size == "auto":
        found = find_batch_size(model, data.image_size, data.num_classes, n_train=len(data.train))
        if verbose:
            print(found)
        config = dataclasses.replace(config, batch_size=found.batch_size)
    if config.lr == "auto":
        result = find_learning_rate(
            model, data.train.batches(int(config.batch_size)), seed=config.seed
        )
        result.save(folder)
        if verbose:
            print(f"learning rate {result.lr:.2g}: see {folder / 'lr_range_test.png'}")
        config = dataclasses.replace(config, lr=result.lr)
    return config


def _compile(model: keras.Model, config: TrainConfig, epochs: int, examples: int) -> None:
    steps = epochs * -(-examples // int(config.batch_size))
    model.compile(
        make_optimizer(
            lr=float(config.lr),
            weight_decay=config.weight_decay,
            total_steps=steps,
            one_cycle=config.one_cycle,
        ),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )


def _train_head(run: Run, verbose: int) -> None:
    """The warm-up of a transferred network: only the head learns."""
    config, data, model = run.config, run.data, run.model
    if config.head_epochs == 0:
        return
    freeze_backbone(model)
    _compile(model, config, config.head_epochs, len(data.train))
    model.fit(
        data.train.batches(
            int(config.batch_size), augment=FlipAndRotate(config.flip, config.rotation)
        ),
        validation_data=data.val.batches(int(config.batch_size)),
        epochs=config.head_epochs,
        verbose=verbose,
        shuffle=False,
        callbacks=[EpochClock(data.train, first=config.epochs)],
    )
    if not config.freeze:
        unfreeze(model)


def _finish(run: Run, seconds: list[float]) -> dict[str, Any]:
    """Evaluates the trained model and writes the rest of the run folder."""
    folder, data = run.folder, run.data
    steps = [] if run.proxy is None else [dataclasses.asdict(step) for step in run.proxy.steps]
    metrics: dict[str, Any] = {
        "proxies_made": sum(step["made"] for step in steps),
        "proxy_steps": steps,
        "seconds": sum(seconds),
    }
    for subset in (data.val, data.test):
        logits = evaluation.predict_logits(run.model, subset, int(run.config.batch_size))
        scores = evaluation.score(logits, subset.labels, data.classes)
        metrics[subset.name] = scores.to_dict()
        if subset is data.test:
            _write_test_report(run, scores)
    history = pd.read_csv(folder / "history.csv")
    figure = figures.curves(
        history["epoch"].tolist(),
        {"training": history["accuracy"].tolist(), "validation": history["val_accuracy"].tolist()},
        xlabel="epoch",
        ylabel="accuracy",
        title=f"{run.config.model} on {Path(run.config.data.source).name}"
        + (" (dashed: proxy steps)" if steps else ""),
        marks=[step["epoch"] + 1 for step in steps],
    )
    write_atomically(folder / "curves.png", figure.savefig)
    write_text_atomically(folder / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    return metrics


def _write_test_report(run: Run, scores: evaluation.Scores) -> None:
    report = pd.DataFrame(scores.per_class).to_csv(index=False, float_format="%.4f")
    write_text_atomically(run.folder / "per_class.csv", report)
    figure = figures.confusion_matrix(
        scores.confusion,
        run.data.classes,
        title=f"test split: {scores.accuracy:.1%} of {scores.examples} right",
    )
    write_atomically(run.folder / "confusion.png", figure.savefig)
    with tf.summary.create_file_writer(str(run.folder / "tensorboard" / "test")).as_default(
        run.config.epochs
    ):
        tf.summary.image("confusion", figures.to_array(figure)[None])
        tf.summary.scalar("test_accuracy", scores.accuracy)


def _log_settings(config: TrainConfig, folder: Path) -> None:
    """Writes the settings for TensorBoard."""
    settings = json.dumps(config.to_dict(), indent=2)
    with tf.summary.create_file_writer(str(folder / "tensorboard" / "config")).as_default(0):
        tf.summary.text("config", "    " + settings.replace("\n", "\n    "))


def _about(model: keras.Model, data: ImageData) -> dict[str, Any]:
    """What else a reader of the run may want to know."""
    return {
        "split_sha256": data.split_sha256,
        "classes": data.num_classes,
        "parameters": model.count_params(),
        "versions": {
            "python": platform.python_version(),
            **{
                name: metadata.version(name)
                for name in ("keras", "tensorflow", "keras-hub", "numpy", "pillow")
            },
        },
        "processors": os.cpu_count(),
        "gpus": [d.name for d in tf.config.list_physical_devices("GPU")],
    }
