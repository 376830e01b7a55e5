"""Where masks of cues come from: ticked cues, the trained model, objects, a planted shortcut."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.cues.cues import Cues
from proxy_keras.data.train_split import TrainSplit
from proxy_keras.distribution import Team
from proxy_keras.io.progress import progress_bar
from proxy_keras.objects.object_masks import ObjectMasks
from proxy_keras.proxy.outside_cues import OutsideCues
from proxy_keras.proxy.planted_boxes import planted_cells
from proxy_keras.proxy.some_objects import background_cells, some_objects
from proxy_keras.settings import ProxyConfig
from proxy_keras.settings.proxy_config import BACKGROUND, OUTSIDE, PLANTED

NOT_SAVED = "(not saved)"
"""The setting `cues` for cues that have no folder."""


class MaskedCells(NamedTuple):
    """The cells to mask in all training images.

    Attributes:
        cells: [N, h, w] uint8, 255 where masked, 0 elsewhere.
        predicted: [N] int64, the classes that the network predicts in which the cues were found.
    """

    cells: NDArray[np.uint8]
    predicted: NDArray[np.int64]


class CueMasks(Protocol):
    """A source of masks."""

    def read(self, model: keras.Model) -> MaskedCells:
        """Return the masks of all training images; `model` is the one that is being trained."""


class TickedMasks:
    """The masks of ticked cues: the same at every step, so read once.

    Args:
        cues: The cues.
        data: The training split.
        evidence: See `mask_cells`.
        batch_size: Images per batch.
        verbose: 1: a progress bar; 0: none.
        team: The processes that share the work.

    Raises:
        ValueError: Nothing is ticked, or the cues are for images of another size.
    """

    def __init__(
        self,
        cues: Cues,
        data: TrainSplit,
        *,
        evidence: float,
        batch_size: int,
        verbose: int,
        team: Team,
    ) -> None:
        cues.check_ticked()
        side = data.image_size
        if any(
            have not in (None, want)
            for have, want in zip(cues.image_shape, (side, side, 3), strict=True)
        ):
            raise ValueError(
                f"The cues were found in images of {cues.image_shape}. Received: training images "
                f"of {(side, side, 3)}. Use the same image size."
            )
        self._cues = cues
        self._data = data
        self._evidence = evidence
        self._batch_size = batch_size
        self._verbose = verbose
        self._team = team
        self._known: MaskedCells | None = None

    def read(self, model: keras.Model) -> MaskedCells:
        """Return the masks; see `CueMasks`.

        Raises:
            ValueError: The cues were found in images of another size, by a model that takes any.
        """
        if self._known is None:
            self._known = mask_cells(
                self._cues,
                self._data,
                evidence=self._evidence,
                batch_size=self._batch_size,
                verbose=self._verbose,
                team=self._team,
            )
        return self._known


class OutsideMasks:
    """The masks of cues that are found anew at each step, in the model being trained.

    Args:
        finder: Finds and ticks them.
        data, evidence, batch_size, verbose, team: See `TickedMasks`.
    """

    def __init__(
        self,
        finder: OutsideCues,
        data: TrainSplit,
        *,
        evidence: float,
        batch_size: int,
        verbose: int,
        team: Team,
    ) -> None:
        self._finder = finder
        self._data = data
        self._evidence = evidence
        self._batch_size = batch_size
        self._verbose = verbose
        self._team = team

    def read(self, model: keras.Model) -> MaskedCells:
        """Return the masks; see `CueMasks`."""
        return mask_cells(
            self._finder.find(model),
            self._data,
            evidence=self._evidence,
            batch_size=self._batch_size,
            verbose=self._verbose,
            team=self._team,
        )


class KnownMasks:
    """Masks that are known without a network: of a planted shortcut, or of what is not the object.

    No network is asked, so no image counts as misclassified.

    Args:
        cells: [N, h, w] uint8, 255 where masked, 0 elsewhere.
        data: The training split.
    """

    def __init__(self, cells: NDArray[np.uint8], data: TrainSplit) -> None:
        self._known = MaskedCells(cells, data.labels.astype(np.int64))

    def read(self, model: keras.Model) -> MaskedCells:
        """Return the masks; see `CueMasks`."""
        return self._known


def make_masks(
    cues: Cues | str | Path,
    data: TrainSplit,
    config: ProxyConfig,
    objects: ObjectMasks | None,
    *,
    batch_size: int,
    verbose: int,
    team: Team,
) -> CueMasks:
    """Return the source of masks that the setting `cues` asks for.

    Args:
        cues: Cues, the folder of some, "outside", "background" or "planted".
        data: The training split.
        config: The settings.
        objects: Where the object is in some training images, for "outside" and "background"; None:
            as the data say.
        batch_size: Images per batch.
        verbose: 1: progress bars; 0: none.
        team: The processes that share the work.

    Raises:
        FileNotFoundError: The folder does not exist.
        ValueError: The folder is damaged, nothing is ticked, the cues are for images of another
            size, no object is known, or no shortcut is planted.
    """
    if cues == OUTSIDE:
        finder = OutsideCues(data, config, objects, batch_size=batch_size, verbose=verbose)
        return OutsideMasks(
            finder,
            data,
            evidence=config.cue_evidence,
            batch_size=batch_size,
            verbose=verbose,
            team=team,
        )
    if cues == BACKGROUND:
        return KnownMasks(background_cells(data, some_objects(data, objects, config)), data)
    if cues == PLANTED:
        return KnownMasks(planted_cells(data), data)
    if config.source_arm is not None:
        raise ValueError(
            "`cues='arm:NAME'` is for the arms of a study, see python -m tuner.study. Pass the "
            f"folder of ticked cues, outside, background or planted. Received: {cues!r}"
        )
    given = cues if isinstance(cues, Cues) else Cues.load(cues)
    return TickedMasks(
        given,
        data,
        evidence=config.cue_evidence,
        batch_size=batch_size,
        verbose=verbose,
        team=team,
    )


def mask_cells(
    cues: Cues, data: TrainSplit, *, evidence: float, batch_size: int, verbose: int, team: Team
) -> MaskedCells:
    """Return the cells of ticked cues in all training images, by the network of the cues.

    Args:
        cues: The cues.
        data: The training split.
        evidence: Evidence from which a cell is masked; see `Cues.masks`.
        batch_size, verbose, team: See `make_masks`.

    Raises:
        ValueError: That network takes images of any size, and the cues were found in another.
    """
    positions = np.arange(len(data))
    share = team.share(len(data), batch_size)
    shape = cues.images.clusters.shape[1:]
    cells = np.zeros([len(data), *shape], np.uint8)
    predicted = np.zeros([len(data)], np.float32)
    batches = progress_bar(
        data.originals(batch_size, positions[share]).as_numpy_iterator(),
        total=-(-len(share) // batch_size),
        desc="proxy step, cues",
        leave=False,
        shown=bool(verbose),
    )
    for places, images, _ in batches:
        found = cues.cells(images)
        if found.clusters.shape[1:] != shape:
            raise ValueError(
                f"The cues were found in maps of {shape} cells. Received: training images with "
                f"{found.clusters.shape[1:]}. Use images of the same size."
            )
        cells[places] = 255 * cues.mask_of(found, evidence=evidence)
        predicted[places] = found.logits.argmax(axis=1)
    merged = team.merge_rows(cells, share, positions)
    classes = team.merge_rows(predicted, share, positions)
    return MaskedCells(merged, classes.astype(np.int64))


def source_text(cues: Cues | str | Path | None) -> str | None:
    """Return the setting `cues` for cues, their folder, or what the settings call them."""
    if isinstance(cues, Cues):
        return str(cues.folder) if cues.folder is not None else NOT_SAVED
    return None if cues is None else str(cues)
