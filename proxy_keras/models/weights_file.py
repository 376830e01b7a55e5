"""Loading the layers of a weights file that match a model."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import h5py
import keras

from proxy_keras.models.freezing import HEAD

Shapes = dict[str, tuple[int, ...]]


class LoadedLayers(NamedTuple):
    """The layers that were loaded from a weights file, and those that were not.

    Attributes:
        loaded: Names of the loaded layers.
        skipped: Names of the other layers with weights, and why each was skipped.
    """

    loaded: tuple[str, ...]
    skipped: dict[str, str]

    def describe(self) -> str:
        """Return a summary: one line, and one more for each skipped layer."""
        total = len(self.loaded) + len(self.skipped)
        lines = [f"{len(self.loaded)} of {total} layers were loaded from the file."]
        lines += [f"  not loaded: {name}: {reason}" for name, reason in self.skipped.items()]
        return "\n".join(lines)


def load_matching_weights(model: keras.Model, path: str | Path) -> LoadedLayers:
    """Load the weights of every layer whose name and shapes match a layer in the file.

    A head for other classes has other shapes, so it keeps its weights. Only arrays are read from
    the file.

    Args:
        model: A built model. Changed in place.
        path: A `.weights.h5` or `.keras` file, as Keras 3 saves them.
    Returns:
        The loaded and the skipped layers.
    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file has another format, is damaged, or no layer of it matches the model's
            backbone.
    """
    path = Path(path)
    if not path.name.endswith((".weights.h5", ".keras")):
        raise ValueError(
            f"Weights are read from .weights.h5 and .keras files. Received: {path}. Save them with"
            " model.save_weights('name.weights.h5') or model.save('name.keras')."
        )
    if not path.is_file():
        raise FileNotFoundError(f"The weights file {path} does not exist.")
    # Only Keras knows where a layer's variables are in a file. So the model is saved, the matching
    # layers are overwritten in that file, and Keras loads it.
    with tempfile.TemporaryDirectory() as folder:
        merged = str(Path(folder) / "merged.weights.h5")
        model.save_weights(merged)
        try:
            with _open(path) as source, h5py.File(merged, "r+") as target:
                result = _copy_matching(source, target)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{path} is damaged or was not written by Keras 3 ({error}). Save or copy it again."
            ) from error
        if not set(result.loaded) - {HEAD}:
            raise ValueError(
                f"{path} holds no weights for the backbone of model '{model.name}': no layer"
                f" matches in name and shapes. Was it another network?\n{result.describe()}"
            )
        model.load_weights(merged)
    return result


def _open(path: Path) -> h5py.File:
    """Open the HDF5 file at `path`, or the one inside the `.keras` archive."""
    if path.suffix == ".h5":
        return h5py.File(path, "r")
    with zipfile.ZipFile(path) as archive:
        return h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r")


def _copy_matching(source: h5py.File, target: h5py.File) -> LoadedLayers:
    """Overwrite the arrays of `target` with those of `source` for layers that match."""
    offered = _layers(source)
    loaded: list[str] = []
    skipped: dict[str, str] = {}
    for name, group in _layers(target).items():
        wanted = _shapes(group)
        if not wanted:
            continue
        if name not in offered:
            skipped[name] = "not in the file"
            continue
        found = _shapes(offered[name])
        if found != wanted:
            skipped[name] = _difference(found, wanted)
            continue
        for place in wanted:
            group[place][...] = offered[name][place][...]
        loaded.append(name)
    return LoadedLayers(tuple(loaded), skipped)


def _layers(file: h5py.File) -> dict[str, h5py.Group]:
    """Return the groups of a file's outermost layers by layer name."""
    return {str(group["vars"].attrs["name"]): group for group in file["layers"].values()}


def _shapes(group: h5py.Group) -> Shapes:
    """Return the shape of each array below `group`."""
    shapes: Shapes = {}

    def visit(place: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            shapes[place] = item.shape

    group.visititems(visit)
    return shapes


def _difference(found: Shapes, wanted: Shapes) -> str:
    """Describe the first difference between two layers' shapes."""
    for place, shape in wanted.items():
        if found.get(place) != shape:
            return f"{place} is {found.get(place, 'absent')} in the file and {shape} here"
    return f"the file has more: {sorted(set(found) - set(wanted))}"
