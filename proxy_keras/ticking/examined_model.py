"""ExaminedModel: the classifier whose cues are looked at, and its images."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy_keras.cues.find import examined_positions
from proxy_keras.data import ImageData
from proxy_keras.data.data_split import DataSplit
from proxy_keras.io.names import printable
from proxy_keras.io.saved_model import MODEL_FILE, SavedModel, image_size, open_saved
from proxy_keras.objects.object_masks import ObjectMasks, find_object_masks
from proxy_keras.settings import DataConfig, TrainConfig
from proxy_keras.settings.options import build_config, changed, compared
from proxy_keras.ticking.options import CueOptions
from proxy_keras.training.run import load_data


class ExaminedModel:
    """A run folder or a `.keras` file, with the data options that were given.

    The images of a run are those of its training and validation split. Those of a file are split
    as `--data` and the other options say.

    Args:
        path: A run folder or a `.keras` file.
        settings: The given data options, by name in the configuration.
        progress: Whether to show progress bars.

    Attributes:
        path: The run folder or file.
        file: The model's file.
        run: The run folder; None if the file is not in one.
        settings: The given data options.
        recorded: The data of earlier cues, for a file that comes without data options.

    Raises:
        FileNotFoundError: There is no such model.
    """

    def __init__(self, path: Path, settings: dict[str, Any], *, progress: bool = True) -> None:
        self.file = path / MODEL_FILE if path.is_dir() else path
        if not self.file.is_file():
            raise FileNotFoundError(
                f"{self.file} does not exist. Pass the folder of a finished run, or a FILE.keras."
            )
        self.run = self.file.parent if (self.file.parent / "config.json").is_file() else None
        self.settings = settings
        self.recorded: DataConfig | None = None
        self.path = path
        self._progress = progress

    @property
    def default_folder(self) -> Path:
        """The folder of the cues unless another is given: next to the model."""
        if self.path.is_dir():
            return self.path / "cues"
        return self.file.parent / f"{self.file.stem}_cues"

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the model's file, in hex."""
        return hashlib.sha256(self.file.read_bytes()).hexdigest()

    @cached_property
    def saved(self) -> SavedModel:
        """The model.

        Raises:
            ValueError: The file is not a classifier of colour images.
        """
        return open_saved(self.path)

    @cached_property
    def config(self) -> TrainConfig:
        """The settings, of which those of the data are used.

        Raises:
            ValueError: There are no data, or a setting breaks its rule.
        """
        if self.run is not None:
            return changed(_run_settings(self.run), self.settings)
        if "source" in self.settings:
            height, width = image_size(self.saved.model, self.settings.get("image_size"))
            if height != width:
                raise ValueError(
                    f"Images must be square; the model takes {height} x {width} pixels."
                )
            return build_config({**self.settings, "image_size": height})
        if self.recorded is not None:
            return changed(TrainConfig(data=self.recorded, head_epochs=0), self.settings)
        raise ValueError(f"{self.file} is not a run. Give the images to look at: --data SRC")

    @cached_property
    def data(self) -> ImageData:
        """The images.

        Raises:
            ValueError: The images cannot be used, or no longer match the split of the run.
            OSError: They cannot be read.
        """
        own = None if compared(self.settings) else self.run
        return load_data(self.config, own, progress=self._progress)

    def check_classes(self) -> None:
        """Refuse images whose classes are not those of the model.

        Raises:
            ValueError: They have other classes, or another order.
        """
        classes, names = self.data.classes, self.saved.classes
        count = self.saved.model.output_shape[-1]
        if len(classes) != count or (names is not None and names != classes):
            shown = f"{count} classes" if names is None else ", ".join(names)
            raise ValueError(
                f"The images must have the classes of {self.file} in its order: {shown}. Received: "
                f"{', '.join(classes)}. Give the images it was trained on: --data SRC"
            )

    def objects(self, options: CueOptions) -> tuple[ObjectMasks | None, dict[str, int]]:
        """Return where the object is in training images, and their position in the split by id.

        With `object_share`, that share of the examined images is looked up.

        Raises:
            ValueError, OSError: See `find_object_masks`.
        """
        split = self.data.train
        positions = examined_positions(len(split), options.max_images, options.seed)
        if options.object_share is not None:
            count = max(1, round(options.object_share * len(positions)))
            rng = np.random.default_rng([options.seed, 3])
            positions = np.sort(rng.choice(positions, count, replace=False))
        folder = Path(self.config.data.source)
        objects = find_object_masks(
            self.data,
            split,
            folder if folder.is_dir() else None,
            masks=options.masks,
            boxes=options.boxes,
            positions=positions,
            progress=self._progress,
        )
        if objects is None or not len(objects):
            return None, {}
        return objects, {split.example_ids[at]: at for at in objects.positions.tolist()}

    def read(self, example_ids: list[str]) -> dict[str, NDArray[np.uint8]]:
        """Return images [P, P, 3] by id.

        Raises:
            ValueError: Some are not among the images.
            ValueError, OSError: The images cannot be read.
        """
        wanted = set(example_ids)
        found: dict[str, NDArray[np.uint8]] = {}
        for split in (self.data.train, self.data.val, self.data.test):
            positions = [at for at, name in enumerate(split.example_ids) if name in wanted]
            found |= _read(split, positions)
        if missing := [name for name in example_ids if name not in found]:
            raise ValueError(
                f"{len(missing)} of {len(wanted)} images of the cues are not in "
                f"{self.config.data.source}. Give the images they were found in: --data SRC"
            )
        return found

    def path_of(self, example_id: str) -> str:
        """Return the path of an image's file; its id if it is not a file."""
        if not Path(self.config.data.source).is_dir():
            return example_id
        return self._paths.get(example_id, example_id)

    @cached_property
    def _paths(self) -> dict[str, str]:
        table = self.data.table
        return dict(zip(table.example_ids, map(printable, table.paths), strict=True))


def _read(split: DataSplit, positions: list[int]) -> dict[str, NDArray[np.uint8]]:
    if not positions:
        return {}
    batches = split.originals(64, np.array(positions, np.int64)).as_numpy_iterator()
    return {
        split.example_ids[at]: np.rint(image).astype(np.uint8)
        for places, images, _ in batches
        for at, image in zip(places.tolist(), images, strict=True)
    }


def _run_settings(run: Path) -> TrainConfig:
    try:
        return TrainConfig.load(run / "config.json")
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{run / 'config.json'} must contain the settings of a training run: {error}. Restore "
            "the file, or give the model as a file outside the run, with --data SRC."
        ) from error
