"""Cues: what a classifier looks at, told apart, and which of it is not the object."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.cues.cell_reader import CellReader
from proxy_keras.cues.cue_folder import SavedCues, load_folder, save_folder, save_verdicts
from proxy_keras.cues.cue_tree import CueTree
from proxy_keras.cues.examined import ExaminedImages
from proxy_keras.cues.facts import CueFacts, FactFinder
from proxy_keras.cues.facts_text import fact_dict, facts_table
from proxy_keras.cues.object_cells import object_cells
from proxy_keras.cues.verdicts import NOT_OBJECT, Verdicts
from proxy_keras.objects.object_masks import ObjectMasks
from proxy_keras.settings import ProxyConfig

MASK_EVIDENCE = ProxyConfig.cue_evidence
"""Evidence from which a cell of a ticked cue is masked."""

FEWEST_KNOWN = 3
"""Images with a known object, in which a cue must be present to be judged by `tick_outside`. With
objects in 2% of the images, 5 leave many cues without a verdict, and 1 ticks more of the object."""

FEWEST_TO_SPLIT = 10
"""Images with a known object, in which both halves of a cue must be present for `tick_outside` to
judge them apart. Fewer tick small parts of the object by chance: with objects in a tenth of the
images, 3 hit half as much of the object again, and cover no more of the planted shortcut."""


class CueCells(NamedTuple):
    """The cues in a batch of images.

    Attributes:
        clusters: [B, h, w] int32, the cluster of each cell; `Cues.tree` tells whose it is.
        evidence: [B, h, w] float32 in [0, 1], scaled by each image's own maximum.
        is_ticked: [B, h, w] bool, whether the cell belongs to a ticked cue. A cell without
            features belongs to no cue; its cluster means nothing.
        logits: [B, K] float32, of the network in which the cues were found.
    """

    clusters: NDArray[np.int32]
    evidence: NDArray[np.float32]
    is_ticked: NDArray[np.bool_]
    logits: NDArray[np.float32]


class Cues:
    """The cues of a classifier; made by `find_cues` or `Cues.load`.

    A cue is *ticked* if it was said not to be the object. A verdict on a cue covers its halves,
    unless they have one of their own, whenever that was said. Of several verdicts on the same cue,
    the last counts. "mixture" says that a cue is both, so nothing of it is ticked but those of its
    halves that are.

    ```python
    cues = proxy_keras.find_cues(model, data)
    print(cues)
    cues.tick(["3", "7b"])
    cues.save("cues")
    ```

    Attributes:
        model: The classifier itself, not a copy. If it is trained further, the cues do not follow:
            `cells` and `save` go on with the weights in which they were found.
        tree: The clusters, and the cues that are shown.
        images: The images in which they were found.
        verdicts: What was said of them.
        classes: Names of the K classes; None: unknown.
        folder: The folder they were saved in or loaded from last; None: none.
    """

    def __init__(
        self,
        model: keras.Model,
        reader: CellReader,
        tree: CueTree,
        images: ExaminedImages,
        verdicts: Verdicts | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.model = model
        self.tree = tree
        self.images = images
        self.verdicts = Verdicts() if verdicts is None else verdicts
        self.classes = None if classes is None else list(classes)
        self.folder: Path | None = None
        self._reader = reader
        self._weights = model.get_weights()

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Load cues, and the classifier they were found in, from a folder.

        Raises:
            FileNotFoundError: The folder, or one of its files, does not exist.
            ValueError: A file is damaged, or does not fit the others; the message names it.
        """
        saved = load_folder(folder)
        cues = cls(
            saved.model, saved.reader, saved.tree, saved.images, saved.verdicts, saved.classes
        )
        cues.folder = Path(folder)
        return cues

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Save the cues, the verdicts and the classifier in a folder, without pickle.

        Earlier cues in it are replaced once all files of these are written; other files stay.

        Raises:
            FileExistsError: `folder` is a file, or holds files of these names that are not of cues.
            ValueError: Keras cannot save the classifier.
        """
        facts = [fact_dict(self.facts(name)) for name in self.shown]
        saved = SavedCues(
            self.model,
            self._reader,
            self.tree,
            self.images,
            self.verdicts,
            self.classes,
            self._weights,
        )
        save_folder(Path(folder), saved, facts)
        self.folder = Path(folder)

    def save_verdicts(self, folder: str | os.PathLike[str]) -> None:
        """Save only the verdicts, in a folder that `save` wrote."""
        save_verdicts(Path(folder), self.verdicts)

    def with_objects(self, objects: ObjectMasks, positions: NDArray[np.int64]) -> Self:
        """Return these cues with other known objects; what was known before is dropped.

        Args:
            objects: Where the object is in some images of a split.
            positions: [N] position of each examined image in that split; -1: not in it.
        """
        inside, has_object = object_cells(objects, positions, self.images.evidence.shape[1:])
        images = dataclasses.replace(self.images, inside=inside, has_object=has_object)
        cues = type(self)(self.model, self._reader, self.tree, images, self.verdicts, self.classes)
        cues._weights = self._weights
        return cues

    @property
    def target_layer(self) -> str:
        """Name of the layer whose cells were clustered."""
        return self._reader.target_layer

    @property
    def image_shape(self) -> tuple[int | None, ...]:
        """(H, W, C) of the images; None for a size that may vary."""
        return self._reader.image_shape

    @property
    def shown(self) -> list[str]:
        """Names of the cues that are shown at first, most suspicious first."""
        return self.tree.shown

    def facts(self, name: str) -> CueFacts:
        """Return the facts about a cue.

        Raises:
            ValueError: There is no cue of this name.
        """
        return self._fact_finder.facts(name)

    def tick(self, names: Iterable[str]) -> None:
        """Say that cues are not the object.

        Raises:
            ValueError: There is no cue of one of the names; then nothing is ticked.
        """
        self.say(names, NOT_OBJECT)

    def say(self, names: Iterable[str], verdict: str | None) -> None:
        """Give cues a verdict: "object", "not_object" (ticked), "mixture", or None to take it back.

        Raises:
            ValueError: There is no cue of one of the names, or no such verdict; then nothing is
                said.
        """
        if isinstance(names, str):
            raise ValueError(
                f"`names` must be a list of names, such as ['3', '7b']. Received: {names!r}"
            )
        names = [str(name) for name in names]
        for name in names:
            self.tree.node(name)
        self.verdicts = self.verdicts.say(names, verdict)

    def tick_outside(self, share: float) -> list[str]:
        """Tick what has less than `share` of its evidence on the object.

        A cue is judged by its halves as long as both are present in at least `FEWEST_TO_SPLIT`
        images whose object is known. It is not judged if it is in fewer than `FEWEST_KNOWN`.

        Args:
            share: In (0, 1].

        Returns:
            The names of the ticked cues; a cue stands for its halves if all of it is ticked.

        Raises:
            ValueError: `share` is outside its range, or the object is known in fewer than
                `FEWEST_KNOWN` of the examined images.
        """
        if not 0.0 < share <= 1.0:
            raise ValueError(f"`share` must be in (0, 1]. Received: {share}")
        known = int(self.images.has_object.sum())
        if known < FEWEST_KNOWN:
            raise ValueError(
                f"The object must be known in at least {FEWEST_KNOWN} of the examined images to "
                f"tell what lies outside. It is known in {known}. Give boxes or masks of more of "
                "them, or tick by hand."
            )
        names = self._outside(share)
        self.tick(names)
        return names

    def _outside(self, share: float) -> list[str]:
        """Return the cues that `tick_outside` ticks, without recursion: a tree can be deep."""
        finder, halves_of = self._fact_finder, self.tree.halves_of
        # Each cue before its halves.
        names, judged = list(self.shown), set[str]()
        for name in names:
            halves = halves_of(name)
            if halves and all(finder.known_images(half) >= FEWEST_TO_SPLIT for half in halves):
                names += halves
            elif finder.known_images(name) >= FEWEST_KNOWN:
                judged.add(name)
        outside = {name for name in judged if (finder.inside(name) or 0.0) < share}
        for name in reversed(names):
            halves = halves_of(name)
            if halves and outside.issuperset(halves):
                outside = (outside - set(halves)) | {name}
        order = {name: index for index, name in enumerate(self.shown)}
        return sorted(outside, key=lambda name: (order[name.rstrip("ab")], name))

    def undo(self) -> None:
        """Take back what the last `say`, `tick` or `tick_outside` said, if there is one."""
        self.verdicts = self.verdicts.undo()

    @property
    def ticked(self) -> list[str]:
        """Names of the cues that were ticked, and not said to be something else since."""
        current = self.verdicts.current
        return [name for name, verdict in current.items() if verdict == NOT_OBJECT]

    @property
    def ticked_clusters(self) -> NDArray[np.bool_]:
        """Whether each cluster belongs to a ticked cue, [M]."""
        ticked = np.zeros([self.images.num_clusters], bool)
        # The halves of a cue have longer names, so their verdicts come later and win.
        for name, verdict in sorted(self.verdicts.current.items(), key=lambda item: len(item[0])):
            ticked[self.tree.members(name)] = verdict == NOT_OBJECT
        return ticked

    @property
    def ticked_evidence(self) -> float:
        """Share of the evidence in the examined images on ticked cues, in [0, 1].

        The mean over the images that have evidence, as in `CueFacts.evidence_share`.
        """
        return self._fact_finder.evidence_share(np.flatnonzero(self.ticked_clusters))

    @property
    def error_rate(self) -> float | None:
        """Share of misclassified images, held-out ones where there are some; None: unknown."""
        return self._fact_finder.error_rate

    def cells(self, images: Any) -> CueCells:
        """Return the cluster and the evidence of every cell of images.

        Args:
            images: [B, H, W, C], any real dtype, in the range that the model takes.

        Raises:
            ValueError: The images have the wrong shape.
            FloatingPointError: The model computes values that are not finite.
        """
        found = self._reader.nearest(images, self.tree.clusters.centroids)
        has_features = (found.similarity != 0) | (found.evidence > 0)
        is_ticked = self.ticked_clusters[found.clusters] & has_features
        return CueCells(found.clusters, found.evidence, is_ticked, found.logits)

    def masks(self, images: Any, *, evidence: float = MASK_EVIDENCE) -> NDArray[np.bool_]:
        """Return the cells of ticked cues that hold evidence: [B, h, w] bool.

        Args:
            images: [B, H, W, C], any real dtype, in the range that the model takes.
            evidence: Evidence from which a cell counts, in [0, 1]; 0: all cells of ticked cues.

        Raises:
            ValueError: Nothing is ticked, an argument is out of its range, or the images have the
                wrong shape.
            FloatingPointError: The model computes values that are not finite.
        """
        self.check_ticked()
        return self.mask_of(self.cells(images), evidence=evidence)

    def mask_of(self, cells: CueCells, *, evidence: float = MASK_EVIDENCE) -> NDArray[np.bool_]:
        """Return what `masks` returns for images whose cells are known."""
        if not 0.0 <= evidence <= 1.0:
            raise ValueError(f"`evidence` must be in [0, 1]. Received: {evidence}")
        return cells.is_ticked & (cells.evidence >= evidence)

    def check_ticked(self) -> None:
        """Check that a cue is ticked.

        Raises:
            ValueError: None is.
        """
        if not self.ticked_clusters.any():
            raise ValueError("No cue is ticked. Tick what is not the object: cues.tick(['3']).")

    def shares(self, images: Any, names: Sequence[str] | None = None) -> NDArray[np.float32]:
        """Return the share of each image's evidence on each cue: [B, cues] float32 in [0, 1].

        Args:
            images: [B, H, W, C], any real dtype, in the range that the model takes.
            names: Names of the cues; None: `shown`, whose shares sum to 1, or to 0 in an image
                without evidence.

        Raises:
            ValueError: There is no cue of one of the names, or the images have the wrong shape.
            FloatingPointError: The model computes values that are not finite.
        """
        members = [self.tree.members(name) for name in (self.shown if names is None else names)]
        cells = self.cells(images)
        total = cells.evidence.sum(axis=(1, 2))
        on_cues = [
            np.where(np.isin(cells.clusters, inside), cells.evidence, 0).sum(axis=(1, 2))
            for inside in members
        ]
        sums = np.stack(on_cues, axis=1) if on_cues else np.zeros([len(total), 0], np.float32)
        total = total[:, np.newaxis]
        return np.divide(sums, total, out=np.zeros_like(sums), where=total > 0)

    def ticked_share(self, images: Any) -> NDArray[np.float32]:
        """Return the share of each image's evidence on ticked cues: [B] float32 in [0, 1].

        It is 0 for an image without evidence, and for all images if nothing is ticked.

        Args:
            images: [B, H, W, C], any real dtype, in the range that the model takes.

        Raises:
            ValueError: The images have the wrong shape.
            FloatingPointError: The model computes values that are not finite.
        """
        cells = self.cells(images)
        total = cells.evidence.sum(axis=(1, 2))
        on_ticked = np.where(cells.is_ticked, cells.evidence, 0).sum(axis=(1, 2))
        return np.divide(on_ticked, total, out=np.zeros_like(total), where=total > 0)

    def __str__(self) -> str:
        """Return a table of the shown cues."""
        return facts_table([self.facts(name) for name in self.shown], self.verdicts.current)

    @cached_property
    def _fact_finder(self) -> FactFinder:
        return FactFinder(self.tree, self.images, self._reader.num_classes)
