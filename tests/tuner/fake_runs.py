"""Fake run folders and event files, written without training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util.tensor_util import make_tensor_proto

from proxy_keras.settings import DataConfig, ProxyConfig, TrainConfig


def config(
    *,
    source: str = "digits",
    proxy: ProxyConfig | None = None,
    model: str = "resnet20",
    seed: int = 0,
    epochs: int = 2,
    shortcut: float | None = None,
) -> TrainConfig:
    """Return the settings of a short training run."""
    data = DataConfig(source, image_size=8, shortcut=shortcut)
    return TrainConfig(data, proxy, model=model, seed=seed, epochs=epochs)


def write_run(
    folder: Path,
    settings: TrainConfig | None = None,
    *,
    val: float = 0.5,
    test: float = 0.25,
    seconds: float = 3.0,
    is_finished: bool = True,
) -> Path:
    """Write the files of a run folder that `aggregate` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    (settings or config()).save(folder / "config.json")
    about = {
        "split_sha256": "0123456789abcdef" * 4,
        "classes": 10,
        "parameters": 12345,
        "versions": {"keras": "3.15.1", "keras-hub": "0.32.0", "tensorflow": "2.21.0"},
        "gpus": [],
    }
    (folder / "run.json").write_text(json.dumps(about))
    lines = ["epoch,accuracy,loss,val_accuracy", "1,0.5,1.5,0.75", f"2,0.625,1.25,{val}"]
    (folder / "history.csv").write_text("\n".join(lines) + "\n")
    (folder / "timing.csv").write_text("epoch,seconds\n1,1.0\n2,1.5\n")
    if is_finished:
        metrics = {
            "proxies_made": 7,
            "proxy_steps": [{"epoch": 0}, {"epoch": 1}],
            "seconds": seconds,
            "val": _scores(val),
            "test": _scores(test),
        }
        (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def write_events(
    folder: Path,
    series: dict[str, dict[int, float]],
    *,
    start: float = 1_000_000_000.0,
    is_old_style: bool = False,
) -> None:
    """Write scalars by tag and step, one second apart, with TensorBoard's writer."""
    writer = EventFileWriter(str(folder))
    time = start
    for tag, values in series.items():
        for number, (step, value) in enumerate(values.items()):
            summary = _old_value(tag, value) if is_old_style else _value(tag, value, number == 0)
            event = event_pb2.Event(
                wall_time=time, step=step, summary=summary_pb2.Summary(value=[summary])
            )
            writer.add_event(event)
            time += 1.0
    writer.close()


def write_hparams(folder: Path, metrics: dict[str, float]) -> None:
    """Write the event file of one call of `add_hparams` of PyTorch's writer."""
    writer = EventFileWriter(str(folder))
    names = ("experiment", "session_start_info", "session_end_info")
    hparams = [summary_pb2.Summary.Value(tag=f"_hparams_/{name}") for name in names]
    for tagged in hparams:
        writer.add_event(event_pb2.Event(summary=summary_pb2.Summary(value=[tagged])))
    for tag, value in metrics.items():
        scalar = summary_pb2.Summary(value=[_old_value(tag, value)])
        writer.add_event(event_pb2.Event(wall_time=1_000_000_000.0, summary=scalar))
    writer.close()


def _scores(accuracy: float) -> dict[str, object]:
    return {
        "examples": 8,
        "accuracy": accuracy,
        "top5": 1.0,
        "loss": 1.0,
        "macro_f1": accuracy,
        "per_class": [{"class": "0"}],
        "confusion": [[8]],
    }


def _old_value(tag: str, value: float) -> summary_pb2.Summary.Value:
    return summary_pb2.Summary.Value(tag=tag, simple_value=value)


def _value(tag: str, value: float, is_first: bool) -> summary_pb2.Summary.Value:
    """Return a value as TensorFlow 2 writes it, with the plugin only at the first step."""
    metadata = summary_pb2.SummaryMetadata()
    if is_first:
        metadata.plugin_data.plugin_name = "scalars"
    return summary_pb2.Summary.Value(
        tag=tag, metadata=metadata, tensor=make_tensor_proto(np.float32(value))
    )
