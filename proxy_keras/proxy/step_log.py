"""Summary and log of a proxy step: metrics and a picture of proxies, for TensorBoard and files."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.augment.attenuation import hot_pixels
from proxy_keras.data.proxy_maker import DonorCells, make_proxies
from proxy_keras.data.train_split import TrainSplit
from proxy_keras.heatmaps.eight_bit import dequantise
from proxy_keras.heatmaps.scaling import enlarge
from proxy_keras.io.extras import extra
from proxy_keras.proxy.mask_maker import Masks

if TYPE_CHECKING:
    from proxy_keras.io.figures import Figure

SHOWN = 8
"""Maximum number of proxies in a picture."""


@dataclass(frozen=True)
class StepSummary:
    """Summary of one proxy step.

    Attributes:
        epoch: Epoch after which the step ran, counted from 0.
        wrong: Training images that are misclassified, by the network that is explained.
        chosen: Images selected for a proxy.
        blank: Chosen images with a blank heatmap; they stay unchanged.
        made: Proxies made: `chosen - left - blank`.
        replaced: Mean share of pixels replaced per proxy, in [0, 1].
        seconds: Wall-clock time of the step.
        left: Chosen images left unchanged by `agree` or `spare`.
    """

    epoch: int
    wrong: int
    chosen: int
    blank: int
    made: int
    replaced: float
    seconds: float
    left: int = 0

    @classmethod
    def numbers(cls) -> list[str]:
        """Return the names of the metrics of a step, without its duration."""
        return [f.name for f in fields(cls) if f.name not in ("epoch", "seconds")]

    def __str__(self) -> str:
        when = f"after epoch {self.epoch + 1}" if self.epoch >= 0 else "before the first epoch"
        return (
            f"proxy step {when}: {self.wrong} wrong, {self.chosen} chosen, "
            f"{f'{self.left} left unchanged, ' if self.left else ''}"
            f"{self.blank} blank, {self.made} proxies made, {self.replaced:.1%} of their pixels "
            f"replaced, {self.seconds:.1f} s"
        )


@dataclass(frozen=True)
class StepLog:
    """Writer of the scalars and the picture of each step.

    Attributes:
        log_dir: TensorBoard directory; None: not written.
        sheet_dir: Directory of the PNG pictures; None: not written.
        shows_cues: Whether the masks are those of cues: drawn as they are, not as heat.

    Raises:
        MissingExtra: A folder is given, but not the packages that write to it.
    """

    log_dir: Path | None
    sheet_dir: Path | None
    shows_cues: bool = False

    def __post_init__(self) -> None:
        with extra("train"):
            if self.log_dir is not None or self.sheet_dir is not None:
                import matplotlib  # noqa: F401
            if self.log_dir is not None:
                import tensorboard  # noqa: F401

    def write(
        self, step: StepSummary, data: TrainSplit, masks: Masks, predicted: NDArray[np.int64]
    ) -> None:
        """Write the scalars and the picture of a step.

        Args:
            step: The summary of the step.
            data: The training split, whose `attenuation` makes the proxies.
            masks: The masks of the new proxies.
            predicted: [N] predicted class of every training image.
        """
        if self.log_dir is None and self.sheet_dir is None:
            return
        from proxy_keras.io import figures

        sheet = None
        if len(masks.positions):
            sheet = figures.to_array(self._draw(data, masks, predicted, step.epoch))
        if self.sheet_dir is not None and sheet is not None:
            self.sheet_dir.mkdir(parents=True, exist_ok=True)
            figures.save_pixels(sheet, self.sheet_dir / f"proxies_{step.epoch + 1:04d}.png")
        if self.log_dir is not None:
            with tf.summary.create_file_writer(str(self.log_dir)).as_default(max(step.epoch, 0)):
                for name in (*step.numbers(), "seconds"):
                    tf.summary.scalar(f"proxy/{name}", getattr(step, name))
                if sheet is not None:
                    tf.summary.image("proxy/sheet", sheet[np.newaxis])

    def _draw(
        self, data: TrainSplit, masks: Masks, predicted: NDArray[np.int64], epoch: int
    ) -> Figure:
        """Draw evenly spaced new proxies: original, heatmap, proxy."""
        from proxy_keras.io import figures

        rows = np.unique(np.linspace(0, len(masks.positions) - 1, SHOWN).astype(int))
        examples = data.originals(len(rows), masks.positions[rows])
        positions, images, labels = next(examples.as_numpy_iterator())
        rows = np.searchsorted(masks.positions, positions)
        heatmaps = tf.constant(dequantise(masks.heatmaps[rows]))
        donors = data.draw_donors(positions, np.ones([len(positions)], bool), epoch=max(epoch, 0))
        proxies = make_proxies(
            tf.constant(images),
            heatmaps,
            tf.constant(masks.thresholds[rows]),
            recipe=data.attenuation.recipe,
            donors=DonorCells(*donors),
            seed=tf.constant([0, 0], tf.int64),
        )
        drawn = enlarge(heatmaps, images.shape[1:3])
        if self.shows_cues:
            drawn = tf.cast(hot_pixels(drawn, tf.constant(masks.thresholds[rows])), tf.float32)
        return figures.proxy_sheet(
            images,
            drawn.numpy(),
            proxies.numpy(),
            labels,
            predicted[positions],
            data.classes,
            mask_name="ticked cues" if self.shows_cues else "heatmap",
        )
