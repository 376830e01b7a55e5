"""Images with their heatmaps, as cards of a report and as image sheets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from proxy_keras.attribution import Explainer
from proxy_keras.data.data_split import DataSplit
from proxy_keras.evaluating.report_parts import Card, EmbeddedImage, StyledText
from proxy_keras.heatmaps.scaling import enlarge
from proxy_keras.io import figures


@dataclass(frozen=True)
class ExplainedImages:
    """Images of a split with heatmap overlays of one or two models.

    Attributes:
        images: [n, P, P, 3] uint8.
        overlays: [n, P, P, 3] uint8 for each model.
    """

    images: NDArray[np.uint8]
    overlays: list[NDArray[np.uint8]]

    def cards(self, lines: Sequence[Sequence[StyledText]], names: Sequence[str]) -> list[Card]:
        """Return one card per image with the given caption lines; `names` label the overlays."""
        cards = []
        for place, caption in enumerate(lines):
            text = "; ".join(line.text for line in caption)
            shown = [EmbeddedImage.from_array(self.images[place], f"Image: {text}")]
            for name, overlays in zip(names, self.overlays, strict=True):
                shown.append(
                    EmbeddedImage.from_array(overlays[place], f"{name.capitalize()}: {text}")
                )
            cards.append(Card(shown, caption))
        return cards

    def sheet(self, lines: Sequence[Sequence[StyledText]], names: Sequence[str]) -> Figure:
        """Return the same as one figure with one row per image."""
        return figures.method_sheet(
            list(self.images),
            [[overlays[place] for overlays in self.overlays] for place in range(len(self.images))],
            ["\n".join(line.text for line in caption) for caption in lines],
            list(names),
        )


def explain_images(
    split: DataSplit,
    positions: NDArray[np.int64],
    explainers: Sequence[Explainer],
    batch_size: int,
) -> ExplainedImages:
    """Overlay images with heatmaps of their predicted classes.

    Args:
        split: The split.
        positions: [n] positions of its images, without duplicates.
        explainers: One per model.
        batch_size: Images per batch.
    """
    side = split.image_size
    images = np.empty([len(positions), side, side, 3], np.uint8)
    overlays = [np.empty_like(images) for _ in explainers]
    place_of = {int(position): place for place, position in enumerate(positions)}
    for found, batch, _ in split.originals(batch_size, positions).as_numpy_iterator():
        places = [place_of[int(position)] for position in found]
        images[places] = batch.astype(np.uint8)
        for explainer, drawn in zip(explainers, overlays, strict=True):
            heat = enlarge(explainer.heatmaps(batch), (side, side)).numpy()
            for place, one in zip(places, heat, strict=True):
                drawn[place] = figures.overlay(images[place], one)
    return ExplainedImages(images, overlays)
