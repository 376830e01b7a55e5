"""Loads from a file of weights what fits a model, layer by layer."""

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
    """What a file of weights gave a model.

    Attributes:
        loaded: Names of the layers that took their weights from the file.
        skipped: Names of the other layers that have weights, each with the reason.
    """

    loaded: tuple[str, ...]
    skipped: dict[str, str]

    def describe(self) -> str:
        """Returns one line, and one more for each skipped layer."""
        total = len(self.loaded) + len(self.skipped)
        lines = [f"{len(self.loaded)} of {total} layers took their weights from the file."]
        lines += [f"  as it was: {name}: {reason}" for name, reason in self.skipped.items()]
        return "\n".join(lines)


def load_matching_weights(model: keras.Model, path: str | Path) -> LoadedLayers:
    """Gives each layer the weights that the file has for a layer of its name and shapes.

    A head for other classes has other shapes, so it stays as it was. Nothing but arrays is read
    from the file.

    Args:
        model: A built model. Changed in place.
        path: A `.weights.h5` or `.keras` file, as Keras 3 saves them.
    Returns:
        Which layers were loaded, and which were not and why.
    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is of another kind, damaged, or has nothing for this model's backbone.
    """
    path = Path(path)
    if not path.name.endswith((".weights.h5", ".keras")):
        raise ValueError(
            f"Weights are read from .weights.h5 and .keras files. Received: {path}. Save them with"
            " model.save_weights('name.weights.h5') or model.save('name.keras')."
        )
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of weights at {path}.")
    # Keras alone knows where a layer's variables lie in a file. So the model is written to one, the
    # layers that match are exchanged there, and Keras reads it back.
    with tempfile.TemporaryDirectory() as folder:
        merged = str(Path(folder) / "merged.weights.h5")
        model.save_weights(merged)
        try:
            with _open(path) as source, h5py.File(merged, "r+") as target:
                result = _exchange(source, target)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{path} is damaged or was not written by Keras 3 ({error}). Save it again, or copy"
                " it again from where it came from."
            ) from error
        if not set(result.loaded) - {HEAD}:
            raise ValueError(
                f"{path} holds no weights for the backbone of model '{model.name}': no layer has"
                f" both its name and its shapes. Was it another network?\n{result.describe()}"
            )
        model.load_weights(merged)
    return result


def _open(path: Path) -> h5py.File:
    """Returns the HDF5 file of weights at `path`, or inside the archive there."""
    if path.suffix == ".h5":
        return h5py.File(path, "r")
    with zipfile.ZipFile(path) as archive:
        return h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r")


def _exchange(source: h5py.File, target: h5py.File) -> LoadedLayers:
    """Overwrites the arrays of `target` by those of `source`, for layers that agree."""
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
    """Returns the groups of a file's outermost layers by the layers' names."""
    return {str(group["vars"].attrs["name"]): group for group in file["layers"].values()}


def _shapes(group: h5py.Group) -> Shapes:
    """Returns the shape of each array below `group`."""
    shapes: Shapes = {}

    def visit(place: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            shapes[place] = item.shape

    group.visititems(visit)
    return shapes


def _difference(found: Shapes, wanted: Shapes) -> str:
    """Returns in words where two layers' shapes first differ."""
    for place, shape in wanted.items():
        if found.get(place) != shape:
            return f"{place} is {found.get(place, 'absent')} in the file and {shape} here"
    return f"the file has more: {sorted(set(found) - set(wanted))}"
