"""How much of the evidence of networks lies on ticked cues, on the same images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.cues.cell_reader import CellReader
from proxy_keras.cues.object_cells import area_shares
from proxy_keras.data.data_split import DataSplit
from proxy_keras.evaluating.bootstrap import Bootstrap
from proxy_keras.evaluating.bootstrap_statistics import mean_difference, mean_statistic
from proxy_keras.evaluating.model_results import ModelResults
from proxy_keras.evaluating.options import EvaluationOptions
from proxy_keras.evaluating.proportions import share_interval
from proxy_keras.evaluating.ticked_source import TickedCues
from proxy_keras.io.progress import progress_bar


@dataclass(frozen=True)
class NetworkEvidence:
    """One network's evidence on ticked cues, and its answers.

    Attributes:
        name: The network.
        target_layer: The layer whose cells were read.
        shares: [N] float64, share of each image's evidence on ticked cues; 0 without evidence.
        is_blank: [N] bool: the image has no evidence at all.
        is_right: [N] bool: the answer is correct.
    """

    name: str
    target_layer: str
    shares: NDArray[np.float64]
    is_blank: NDArray[np.bool_]
    is_right: NDArray[np.bool_]

    def to_dict(self, samples: Bootstrap, has_region: NDArray[np.bool_]) -> dict[str, Any]:
        """Return a network of `ticked_cues` of `metrics.json`."""
        right = int(self.is_right.sum())
        return {
            "name": self.name,
            "target_layer": self.target_layer,
            "share": samples.interval(mean_statistic(self.shares)).to_dict(),
            "accuracy": {
                "value": float(self.is_right.mean()),
                "interval": share_interval(right, len(self.is_right)),
            },
            "accuracy_with_cue": float(self.is_right[has_region].mean())
            if has_region.any()
            else None,
            "blank": int(self.is_blank.sum()),
        }


@dataclass(frozen=True)
class TickedEvidence:
    """The evidence of networks on the same ticked cues in the same N images.

    Attributes:
        cues: Names of the ticked cues.
        folder: Their folder.
        regions: [N, h, w] bool, the cells of ticked cues by the network they were found in.
        before: The network in which they were found.
        this: The evaluated network.
        other: The other network; None: there is none.
        is_same: Whether the cues were found in the evaluated network.
        seed: Seed of the bootstrap.
    """

    cues: list[str]
    folder: str
    regions: NDArray[np.bool_]
    before: NetworkEvidence
    this: NetworkEvidence
    other: NetworkEvidence | None
    is_same: bool
    seed: int

    @cached_property
    def has_region(self) -> NDArray[np.bool_]:
        """Whether each image shows a ticked cue, [N]."""
        return np.asarray(self.regions.any(axis=(1, 2)))

    def to_dict(self) -> dict[str, Any]:
        """Return `ticked_cues` of `metrics.json`."""
        samples = Bootstrap(len(self.regions), seed=self.seed)
        networks = {"found_in": self.before, "this": self.this}
        if self.other is not None:
            networks["other"] = self.other
        return {
            "folder": self.folder,
            "cues": self.cues,
            "images": len(self.regions),
            "images_with_cue": int(self.has_region.sum()),
            "area": float(self.regions.mean()),
            "networks": {
                key: one.to_dict(samples, self.has_region) for key, one in networks.items()
            },
            "change": None if self.is_same else _difference(samples, self.this, self.before),
            "against": None if self.other is None else _difference(samples, self.this, self.other),
        }


def measure_ticked(
    ticked: TickedCues,
    split: DataSplit,
    results: ModelResults,
    other: ModelResults | None,
    options: EvaluationOptions,
) -> TickedEvidence:
    """Measure how much of each network's evidence lies on the ticked cues.

    The cells of ticked cues are those that training masks: the network in which the cues were
    found says where they are. In a network with cells of another size, a cell counts by the share
    of its area that they cover.

    Args:
        ticked: The cues.
        split: N images.
        results: Results of the evaluated network on them.
        other: Results of another network on them, or None.
        options: The options of the evaluation.

    Raises:
        ValueError: A network has no feature map.
        FloatingPointError: A network computes values that are not finite.
    """
    cues, count = ticked.cues, len(split)
    models = [one for one in (results, other) if one is not None]
    readers = [_reader(one.model.keras_model, cues.target_layer, options) for one in models]
    regions = np.zeros([count, *cues.images.clusters.shape[1:]], bool)
    # One row per network, the one in which the cues were found first.
    shares = np.zeros([1 + len(models), count])
    is_blank = np.zeros([1 + len(models), count], bool)
    predicted = np.zeros([count], np.int64)
    with progress_bar(
        total=count, desc="ticked cues", unit="image", shown=not options.quiet
    ) as bar:
        for places, images, _ in split.originals(options.batch_size).as_numpy_iterator():
            cells = cues.cells(images)
            masks = cues.mask_of(cells)
            regions[places] = masks
            predicted[places] = cells.logits.argmax(axis=1)
            evidence = [cells.evidence, *(reader.read(images).evidence for reader in readers)]
            for row, one in enumerate(evidence):
                shares[row, places] = evidence_shares(one, masks)
                is_blank[row, places] = ~one.any(axis=(1, 2))
            bar.update(len(places))
    names = [(ticked.network.name, cues.target_layer)]
    names += [(one.model.name, r.target_layer) for one, r in zip(models, readers, strict=True)]
    right = [predicted == ticked.network.class_ids(split)]
    right += [one.predictions.is_right for one in models]
    before, this, *rest = [
        NetworkEvidence(name, layer, *arrays)
        for (name, layer), *arrays in zip(names, shares, is_blank, right, strict=True)
    ]
    return TickedEvidence(
        cues=cues.ticked,
        folder=ticked.network.name,
        regions=regions,
        before=before,
        this=this,
        other=rest[0] if rest else None,
        is_same=have_same_weights(cues.model, results.model.keras_model),
        seed=options.seed,
    )


def evidence_shares(evidence: NDArray[np.float32], masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the share of each image's evidence that lies in a region.

    Args:
        evidence: [B, h, w], >= 0.
        masks: [B, H, W] bool, the region in cells of any size.

    Returns:
        [B] float64 in [0, 1]; 0 for images without evidence.
    """
    values = evidence.astype(np.float64)
    total = values.sum(axis=(1, 2))
    inside = (values * area_shares(masks, evidence.shape[1:])).sum(axis=(1, 2))
    shares = np.divide(inside, total, out=np.zeros_like(total), where=total > 0)
    # Areas are rounded, so a region that covers everything could have more than all.
    return np.minimum(shares, 1.0)


def have_same_weights(first: keras.Model, second: keras.Model) -> bool:
    """Return whether two models have the same weights, bit for bit."""
    mine, theirs = first.get_weights(), second.get_weights()
    return len(mine) == len(theirs) and all(map(np.array_equal, mine, theirs))


def _reader(model: keras.Model, cue_layer: str, options: EvaluationOptions) -> CellReader:
    """Return a reader of the requested layer, else of that of the cues, else of the last one."""
    if options.target_layer is not None:
        return CellReader(model, options.target_layer)
    try:
        return CellReader(model, cue_layer)
    except ValueError:
        # A model of another architecture has layers of other names.
        return CellReader(model)


def _difference(
    samples: Bootstrap, first: NetworkEvidence, second: NetworkEvidence
) -> dict[str, Any]:
    return {
        "share": mean_difference(samples, first.shares, second.shares),
        "accuracy": mean_difference(samples, first.is_right, second.is_right),
    }
