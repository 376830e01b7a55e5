"""A trained model with its class names, from a run folder or a `.keras` file."""

from __future__ import annotations

import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import keras

from proxy_keras.io.class_names import check_order, read_class_names
from proxy_keras.io.extras import extra

MODEL_FILE = "model.keras"


@dataclass(frozen=True)
class SavedModel:
    """A saved model.

    Attributes:
        model: The model, not compiled.
        classes: Class names by class id; None: unknown.
        file: The `.keras` file.
        run: The run folder of the file; None if it is not in one.
    """

    model: keras.Model
    classes: list[str] | None
    file: Path
    run: Path | None

    @property
    def name(self) -> str:
        """The run folder if this is its `model.keras`, else the file."""
        return str(self.run if self.run and self.file.name == MODEL_FILE else self.file)


def open_saved(
    path: str | os.PathLike[str], labels: str | os.PathLike[str] | None = None
) -> SavedModel:
    """Open a saved model.

    Args:
        path: A run folder with a `model.keras`, or a `.keras` file.
        labels: JSON file of class names, see `read_class_names`; None: that of the run.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not a Keras model, needs classes that are not registered, or is not
            a classifier of colour images; or the class names are too many, too few, or those of the
            run in another order.
    """
    path = Path(path)
    file = path / MODEL_FILE if path.is_dir() else path
    names = None if labels is None else read_class_names(labels)
    if (path / "saved_model.pb").is_file():
        raise ValueError(
            f"{path} is a SavedModel of TensorFlow, which Keras 3 opens only as a TFSMLayer, "
            "without its layers. Save the Keras model as FILE.keras instead; or explain it in "
            "Python: keras.Sequential([keras.Input((P, P, 3)), "
            f"keras.layers.TFSMLayer({str(path)!r}, call_endpoint='serve')]), with a method "
            "that needs no layer, such as rise."
        )
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} does not exist. Pass the folder of a finished run, or a FILE.keras."
        )
    run = file.parent if (file.parent / "config.json").is_file() else None
    own_labels = file.parent / "labels.json"
    if (path.is_dir() or run is not None) and own_labels.is_file():
        if labels is None or names is None:
            labels, names = own_labels, read_class_names(own_labels)
        else:
            check_order(labels, names, read_class_names(own_labels))
    model = load_model(file)
    _check_shapes(model, file)
    count = model.output_shape[-1]
    if names is not None and len(names) != count:
        raise ValueError(
            f"{labels} names {len(names)} classes, but the model has {count}. Pass the class names "
            "of this model."
        )
    return SavedModel(model, names, file, run)


def image_size(model: keras.Model, side: int | None = None) -> tuple[int, int]:
    """Return the (height, width) of a model's input images.

    Args:
        model: The model.
        side: The size to use for a model that accepts any size; None: the model must define it.

    Raises:
        ValueError: The model accepts any size and `side` is None, or has another size.
    """
    height, width = model.input_shape[1:3]
    if height is None or width is None:
        if side is None:
            raise ValueError("The model accepts images of any size. Choose one: --image-size P")
        return side, side
    if side is not None and (height, width) != (side, side):
        raise ValueError(
            f"The model needs images of {height} x {width} pixels. Remove --image-size."
        )
    return height, width


_REFUSED = {
    "Lambda": "Replace it by keras.layers or keras.ops, or by a registered layer, and save again.",
    "TFSMLayer": "Rebuild the network of Keras layers, load its weights, and save again.",
}
"""Layers that Keras does not open for safety, and what to use instead."""


def load_model(file: Path) -> keras.Model:
    """Load a `.keras` file, not compiled.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a Keras model, or needs classes that are not registered.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file} does not exist. Pass a FILE.keras.")
    if file.suffix.lower() in (".h5", ".hdf5"):
        raise ValueError(
            f"{file} is an HDF5 file. Convert it in Python: "
            f"keras.models.load_model({str(file)!r}).save({file.stem + '.keras'!r})"
        )
    if not _is_intact(file):
        raise ValueError(f"{file} is not a .keras file or is damaged. Save the model again.")
    try:
        return keras.saving.load_model(file, compile=False)
    except TypeError as error:
        # Keras raises this for an unknown class, with the whole configuration of the model.
        if "keras_hub" in str(error):
            with extra("train"):
                import keras_hub  # noqa: F401
        reason = str(error).rsplit("Exception encountered: ", 1)[-1].split(". ", 1)[0]
        raise ValueError(
            f"{file} cannot be opened: {reason}. Commands only know Keras' own classes. For "
            "others, open the model in Python, after defining and registering its classes."
        ) from error
    except (ValueError, KeyError, OSError) as error:
        for kind, replacement in _REFUSED.items():
            if f"`{kind}`" in str(error) and "safe_mode" in str(error):
                raise ValueError(
                    f"{file} has a layer of the class {kind}, which Keras does not open, "
                    f"because it may run any code. {replacement} Or, if you trust the file, use "
                    "the functions of proxy_keras in Python: "
                    f"keras.models.load_model({str(file)!r}, safe_mode=False)."
                ) from error
        reason = str(error).strip().split("\n", 1)[0].split(". ", 1)[0].rstrip(".")
        raise ValueError(f"{file} cannot be opened: {reason}. Save the model again.") from error


def _is_intact(file: Path) -> bool:
    """Return whether the file is an archive of a model with correct checksums."""
    try:
        with zipfile.ZipFile(file) as archive:
            return "config.json" in archive.namelist() and archive.testzip() is None
    # A damaged archive raises any of these, depending on the damage.
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError):
        return False


def _check_shapes(model: keras.Model, file: Path) -> None:
    """Check that the model is a classifier of colour images."""
    inputs, outputs = (getattr(model, f"{end}_shape", None) for end in ("input", "output"))
    if not (_is_shape(inputs, 4) and inputs[-1] == 3 and _is_shape(outputs, 2)):
        raise ValueError(
            f"{file} must map colour images [B, H, W, 3] to one score per class [B, K]. "
            f"Received: input {inputs}, output {outputs}. Pass a classifier of colour images."
        )


def _is_shape(shape: Any, rank: int) -> TypeGuard[tuple[int | None, ...]]:
    """Return whether `shape` is that of a single tensor of this rank."""
    one = isinstance(shape, tuple) and all(side is None or isinstance(side, int) for side in shape)
    return one and len(shape) == rank
