"""Which ticked cues an evaluation measures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from proxy_keras.cues.cue_folder import CUES_FILE, MODEL_FILE
from proxy_keras.cues.cues import Cues
from proxy_keras.data.data_split import DataSplit
from proxy_keras.evaluating.evaluated_model import EvaluatedModel
from proxy_keras.io.saved_model import MODEL_FILE as RUN_MODEL
from proxy_keras.proxy.cue_masks import NOT_SAVED


@dataclass(frozen=True)
class TickedCues:
    """Ticked cues, and the network in which they were found.

    Attributes:
        cues: The cues.
        network: The network; its name is the folder of the cues.
    """

    cues: Cues
    network: EvaluatedModel


def find_ticked(
    given: Path | None, models: list[EvaluatedModel], split: DataSplit
) -> TickedCues | str | None:
    """Find the ticked cues to measure.

    Those of the given folder; else, for the first model that has some, those that it was trained
    with, or those that are ticked next to it.

    Args:
        given: The folder of the cues; None: not given.
        models: The evaluated model, and the other one if there is one.
        split: The evaluated images.

    Returns:
        The cues; or a sentence that says why those of a model cannot be used; None: there are none.

    Raises:
        FileNotFoundError, ValueError: The given cues cannot be used.
    """
    if given is not None:
        return _checked(Cues.load(given), given, models[0], split)
    for model in models:
        proxy = None if model.run is None else model.run.config.proxy
        used = None if proxy is None else proxy.cue_folder
        if used not in (None, NOT_SAVED):
            folder = Path(str(used))
            try:
                return _checked(Cues.load(folder), folder, models[0], split)
            except (OSError, ValueError) as error:
                return (
                    f"{model.name} was trained with the ticked cues in {folder}, which cannot be "
                    f"used: {error} If they are elsewhere, give the folder: --cues DIR"
                )
        folder = _own_folder(model)
        if (folder / CUES_FILE).is_file():
            try:
                cues = Cues.load(folder)
                if cues.ticked_clusters.any():
                    return _checked(cues, folder, models[0], split)
            except (OSError, ValueError) as error:
                return f"The cues in {folder} cannot be used: {error}"
    return None


def _own_folder(model: EvaluatedModel) -> Path:
    """Return the folder in which `python -m proxy_keras.cues` keeps the cues of a model."""
    is_of_run = model.run is not None and model.file.name == RUN_MODEL
    return model.file.parent / ("cues" if is_of_run else f"{model.file.stem}_cues")


def _checked(cues: Cues, folder: Path, model: EvaluatedModel, split: DataSplit) -> TickedCues:
    """Return the cues after checking that they have ticks and fit the images.

    Raises:
        ValueError: They do not.
    """
    if not cues.ticked_clusters.any():
        raise ValueError(
            f"No cue in {folder} is ticked. Tick what is not the object: python -m "
            "proxy_keras.cues RUN --page"
        )
    side = split.image_size
    want = (side, side, 3)
    if any(have not in (None, one) for have, one in zip(cues.image_shape, want, strict=True)):
        raise ValueError(
            f"The cues in {folder} were found in images of {cues.image_shape}. Received: images "
            f"of {want}. Use cues of a network for this size."
        )
    count = cues.model.output_shape[-1]
    classes = model.classes if cues.classes is None else cues.classes
    if count != len(classes) or any(name not in classes for name in split.classes):
        shown = f"{count} classes" if cues.classes is None else ", ".join(cues.classes)
        raise ValueError(
            f"The network of the cues in {folder} must have the classes of the images, "
            f"{', '.join(split.classes)}. Received: {shown}. Use cues of a network for these "
            "classes."
        )
    network = EvaluatedModel(
        str(folder), cues.model, list(classes), folder / MODEL_FILE, None, cues.classes is None
    )
    return TickedCues(cues, network)
