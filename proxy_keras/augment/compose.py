"""Compose: augmentations applied in sequence, and which of them need heatmaps or the epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import tensorflow as tf


class Augmentation(Protocol):
    """A random change of a batch, determined by a seed."""

    def __call__(
        self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Change images [B, H, W, 3] float32 in [0, 255] and labels [B, K]; seed [2] int64."""


@runtime_checkable
class TransformsHeatmaps(Protocol):
    """An augmentation that can transform heatmaps with their images, such as `FlipAndRotate`."""

    def apply_to_maps(self, heatmaps: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Transform heatmaps [B, h, w] as a call with this seed transforms the images."""


class Compose:
    """Augmentations applied in sequence, each with its own seed.

    Geometry must come before augmentations that mix images: rotating a `cutmix` box afterwards
    would change its area, but not the label.

    Args:
        steps: The augmentations, in the order in which they are applied.

    Attributes:
        needs_epoch: Whether a step must be called with `epoch`; see `BatchLayer`.
        needs_maps: Whether a step must be called with `heatmaps`; see `BatchLayer`.

    Raises:
        ValueError: A step that needs heatmaps follows one that changes images other than by
            geometry, so that the heatmaps no longer match.
    """

    def __init__(self, steps: Sequence[Augmentation]) -> None:
        self._steps = tuple(steps)
        self.needs_epoch = any(needs_epoch(step) for step in self._steps)
        self.needs_maps = any(needs_maps(step) for step in self._steps)
        changed_by = None
        for step in self._steps:
            if needs_maps(step) and changed_by is not None:
                raise ValueError(
                    f"{type(step).__name__} needs the heatmaps of its images, but they no longer "
                    f"match after {changed_by}. Put it first; only one such step is possible."
                )
            if not isinstance(step, TransformsHeatmaps) and not getattr(
                step, "keeps_images", False
            ):
                changed_by = type(step).__name__

    def __call__(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        seed: tf.Tensor,
        epoch: tf.Tensor | None = None,
        heatmaps: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Apply all steps; see `Augmentation`.

        `epoch`, counted from 0, and `heatmaps`, [B, h, w] float32 in [0, 1] of the input images,
        are passed to the steps that need them.
        """
        for number, step in enumerate(self._steps):
            own = tf.random.fold_in(seed, number)
            needed = {"epoch": epoch} if needs_epoch(step) else {}
            needed |= {"heatmaps": heatmaps} if needs_maps(step) else {}
            images, labels = step(images, labels, own, **needed)
            if heatmaps is not None and isinstance(step, TransformsHeatmaps):
                heatmaps = step.apply_to_maps(heatmaps, own)
        return images, labels


def needs_maps(augmentation: Any) -> bool:
    """Return whether an augmentation must be called with `heatmaps`."""
    return bool(getattr(augmentation, "needs_maps", False))


def needs_epoch(augmentation: Any) -> bool:
    """Return whether an augmentation must be called with `epoch`."""
    return bool(getattr(augmentation, "needs_epoch", False))
