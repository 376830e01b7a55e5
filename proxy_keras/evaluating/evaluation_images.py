"""The images of an evaluation, and which models may be compared on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy_keras.data import ImageData
from proxy_keras.data.data_split import DataSplit
from proxy_keras.data.groups import Groups
from proxy_keras.data.records import TEST
from proxy_keras.data.split_table import SplitTable
from proxy_keras.evaluating.evaluated_model import TrainedRun
from proxy_keras.io.names import printable
from proxy_keras.io.saved_model import SavedModel, image_size
from proxy_keras.settings import TrainConfig
from proxy_keras.settings.options import build_config, changed, compared
from proxy_keras.training.run import load_data


@dataclass(frozen=True)
class EvaluationImages:
    """The images of an evaluation.

    Attributes:
        data: The data set with its split.
        split: The images to classify.
        config: The settings of the data.
        seen: A sentence on whether the model may have been trained on them.
        split_sha256: SHA-256 of their split; that of the run for its own split, as it stays the
            same when files are renamed.
    """

    data: ImageData
    split: DataSplit
    config: TrainConfig
    seen: str
    split_sha256: str

    @property
    def root(self) -> Path | None:
        """The folder that the images were read from; None if they are not files."""
        folder = Path(self.config.data.source)
        return folder if folder.is_dir() else None

    @property
    def is_test(self) -> bool:
        """Whether they are a test split rather than all images of the source."""
        return self.split.name == TEST

    @property
    def training_groups(self) -> Groups | None:
        """The groups of the training images; None: all images are evaluated."""
        return self.data.train.groups if self.is_test else None

    @property
    def description(self) -> str:
        """One line on which images are evaluated."""
        source = printable(self.config.data.source)
        return (
            f"evaluated: {len(self.split)} images of {source}, split {self.split.name!r}. "
            f"{self.seen}"
        )

    @property
    def image_names(self) -> list[str]:
        """The path of each image of the split, or its id if it is not a file."""
        if self.root is None:
            return self.split.example_ids
        paths = dict(zip(self.data.table.example_ids, self.data.table.paths, strict=True))
        return [printable(paths[example_id]) for example_id in self.split.example_ids]

    def to_dict(self) -> dict[str, Any]:
        """Return `data` of `metrics.json`."""
        return {
            "source": printable(self.config.data.source),
            "split": self.split.name,
            "images": len(self.split),
            "image_size": self.data.image_size,
            "split_sha256": self.split_sha256,
            "seen_in_training": self.seen,
        }


def load_images(
    saved: SavedModel, run: TrainedRun | None, settings: dict[str, Any], *, progress: bool
) -> EvaluationImages:
    """Load the images to evaluate a model on.

    For a run, its test split, also if the given data options draw the same split. Otherwise, the
    test split that the source comes with, or else all its images: a newly drawn split would mean
    nothing to a model that was trained elsewhere.

    Args:
        saved: The model.
        run: Its training run; None if unknown.
        settings: The given data options.
        progress: Whether to show progress bars.

    Raises:
        ValueError: The model is not a run and no data are given, or the data cannot be used.
        OSError: The data cannot be read.
    """
    if run is not None:
        config = changed(run.config, settings)
    elif "source" in settings:
        height, width = image_size(saved.model, settings.get("image_size"))
        if height != width:
            raise ValueError(f"Images must be square; the model takes {height} x {width} pixels.")
        config = build_config({**settings, "image_size": height})
    else:
        raise ValueError(f"{saved.file} is not a run. Give the images to evaluate: --data SRC")
    own = None if run is None or compared(settings) else run.folder
    data = load_data(config, own, progress=progress)
    if run is not None and (own is not None or _is_own_split(data, run)):
        seen = "The model was not trained on them, and they were not used to select it."
        return EvaluationImages(data, data.test, config, seen, run.split_sha256)
    is_given = TEST in data.given_splits
    split = data.test if is_given else data.all_images()
    seen = (
        "They are the test split that the data came with; it is unknown whether the model was "
        "trained on them."
        if is_given
        else "They are all images of the source; the model may have been trained on some of them."
    )
    return EvaluationImages(data, split, config, seen, data.split_sha256)


def _is_own_split(data: ImageData, run: TrainedRun) -> bool:
    """Return whether the drawn split is that of the run, even if files have been renamed."""
    if data.split_sha256 == run.split_sha256:
        return True
    try:
        SplitTable.load(run.folder).check_matches(data.table)
    except ValueError:
        return False
    return True


def check_size(saved: SavedModel, side: int) -> None:
    """Check that a model takes images of this side.

    Raises:
        ValueError: It does not.
    """
    height, width = saved.model.input_shape[1:3]
    if (height, width) not in ((None, None), (side, side)):
        raise ValueError(
            f"{saved.file} takes images of {height} x {width} pixels, but these have {side} x "
            f"{side}. Give --image-size {height}."
        )


def check_other(
    saved: SavedModel,
    run: TrainedRun | None,
    other: SavedModel,
    other_run: TrainedRun | None,
    images: EvaluationImages,
) -> None:
    """Check that neither of two models may have seen more of the images than the other.

    Raises:
        ValueError: Only one of them may have been trained on some.
    """
    sha256 = images.split_sha256
    if run is None and other_run is None:
        return
    if run is not None and other_run is not None and run.split_sha256 == other_run.split_sha256:
        return
    if run is not None and run.split_sha256 != sha256:
        raise ValueError(
            f"{saved.name} was trained with another split than that of these images, and "
            f"{other.name} does not share its split, so one may have seen more of them than the "
            "other. Leave out the data options to use the test split of the run."
        )
    if other_run is None:
        return
    if other_run.split_sha256 != sha256:
        raise ValueError(
            f"{other.name} was trained with another split (SHA-256 "
            f"{other_run.split_sha256[:12]}..., not {sha256[:12]}...), so it may have seen these "
            "images. Train both with the same --data, --split-seed and shares."
        )
    if not images.is_test:
        raise ValueError(
            f"{other.name} was trained on some of these images. Swap the models: "
            f"python -m proxy_keras.evaluate {other.name} --against {saved.name}"
        )
