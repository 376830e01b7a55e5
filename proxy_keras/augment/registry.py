"""Augmentations by name, as the command lines and the studies give them."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import tensorflow as tf

from proxy_keras.augment.attentive_cutmix import AttentiveCutMix
from proxy_keras.augment.attribute_mix import AttributeMix
from proxy_keras.augment.batch_layer import BatchLayer
from proxy_keras.augment.blending import ImageMixingDeletion, Remix, SamplePairing
from proxy_keras.augment.cam_paste import CamPaste
from proxy_keras.augment.comixup import CoMixup
from proxy_keras.augment.curriculum import Curriculum
from proxy_keras.augment.elastic import RandomDistortion
from proxy_keras.augment.erasing import Cutout, RandomErasing
from proxy_keras.augment.grids import GridMask, HideAndSeek
from proxy_keras.augment.keep_augment import CUTS, KeepAugment
from proxy_keras.augment.keras_layers import CutMix, MixUp
from proxy_keras.augment.labels import LabelSmoothing
from proxy_keras.augment.manifold_mixup import ManifoldMixup
from proxy_keras.augment.pasting import RICAP, ResizeMix, SmoothMix
from proxy_keras.augment.policies import AugMix, RandAugment
from proxy_keras.augment.puzzlemix import PuzzleMix
from proxy_keras.augment.saliencymix import SaliencyMix
from proxy_keras.augment.snapmix import SnapMix
from proxy_keras.augment.spec_augment import SpecAugment
from proxy_keras.augment.visual_context import VisualContext

_LAYERS: dict[str, type[BatchLayer]] = {
    "attentive_cutmix": AttentiveCutMix,
    "attribute_mix": AttributeMix,
    "augmix": AugMix,
    "cam_paste": CamPaste,
    "comixup": CoMixup,
    "curriculum": Curriculum,
    "cutmix": CutMix,
    "cutout": Cutout,
    "grid_mask": GridMask,
    "hide_and_seek": HideAndSeek,
    "image_mixing_deletion": ImageMixingDeletion,
    "keep_augment": KeepAugment,
    "label_smoothing": LabelSmoothing,
    "manifold_mixup": ManifoldMixup,
    "mixup": MixUp,
    "puzzlemix": PuzzleMix,
    "randaugment": RandAugment,
    "random_distortion": RandomDistortion,
    "random_erasing": RandomErasing,
    "remix": Remix,
    "resizemix": ResizeMix,
    "ricap": RICAP,
    "saliencymix": SaliencyMix,
    "sample_pairing": SamplePairing,
    "smoothmix": SmoothMix,
    "snapmix": SnapMix,
    "spec_augment": SpecAugment,
    "visual_context": VisualContext,
}
_OUTER_COMMA = re.compile(r",(?![^(\[]*[)\]])")
"""A comma that is not in brackets."""


class Augmentation(Protocol):
    """Changes a batch at random, determined by a seed."""

    def __call__(
        self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Images [B, H, W, 3] float32 in [0, 255] and labels [B, K], changed; seed [2] int64."""


class Compose:
    """Several augmentations, one after the other, each with a seed of its own.

    Geometry comes first, and what mixes images after it: a box of `cutmix` that is rotated later
    would not have the area that its label says.

    Args:
        steps: The augmentations, in the order in which they are applied.

    Attributes:
        needs_epoch: Whether a step must be told the epoch; see `BatchLayer`.
        needs_maps: Whether a step must be given heatmaps; see `BatchLayer`.

    Raises:
        ValueError: A step needs heatmaps, and comes after another than geometry, whose images the
            maps do not fit any more.
    """

    def __init__(self, steps: Sequence[Augmentation]) -> None:
        self._steps = tuple(steps)
        self.needs_epoch = any(needs_epoch(step) for step in self._steps)
        self.needs_maps = any(needs_maps(step) for step in self._steps)
        others = None
        for step in self._steps:
            if needs_maps(step) and others is not None:
                raise ValueError(
                    f"{type(step).__name__} needs the heatmaps of its images, which after "
                    f"{others} are others. Put it first; only one can be."
                )
            if not isinstance(step, TransformsHeatmaps) and not getattr(
                step, "keeps_images", False
            ):
                others = type(step).__name__

    def __call__(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        seed: tf.Tensor,
        epoch: tf.Tensor | None = None,
        heatmaps: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """See `Augmentation`; `epoch`, counted from 0, and `heatmaps` for the steps that need them.

        Heatmaps [B, h, w] float32 in [0, 1] are those of the images that go in.
        """
        for number, step in enumerate(self._steps):
            own = tf.random.fold_in(seed, number)
            given = {"epoch": epoch} if needs_epoch(step) else {}
            given |= {"heatmaps": heatmaps} if needs_maps(step) else {}
            images, labels = step(images, labels, own, **given)
            if heatmaps is not None and isinstance(step, TransformsHeatmaps):
                heatmaps = step.apply_to_maps(heatmaps, own)
        return images, labels


@runtime_checkable
class TransformsHeatmaps(Protocol):
    """An augmentation that can do to heatmaps what it does to images, such as `FlipAndRotate`."""

    def apply_to_maps(self, heatmaps: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Heatmaps [B, h, w] of its inputs, as of the images that it makes with this seed."""


def needs_maps(augmentation: Any) -> bool:
    """Whether an augmentation must be called with `heatmaps`."""
    return bool(getattr(augmentation, "needs_maps", False))


def needs_epoch(augmentation: Any) -> bool:
    """Whether an augmentation must be called with `epoch`."""
    return bool(getattr(augmentation, "needs_epoch", False))


def names() -> tuple[str, ...]:
    """The augmentations that `get` knows."""
    return tuple(sorted(_LAYERS))


def get(name: str, **options: Any) -> BatchLayer:
    """An augmentation by its name.

    Args:
        name: One of `names()`.
        **options: Of the augmentation, such as `alpha`, and `seed`, `probability` and
            `value_range`. What `curriculum` and `keep_augment` do not have themselves goes to the
            augmentation that their `of` and `inner` name.

    Raises:
        ValueError: There is no such augmentation, or it has no such option, or a value breaks its
            rule.
    """
    if name not in _LAYERS:
        raise ValueError(f"There is no augmentation {name!r}. There are: {', '.join(names())}.")
    own = [p for p in inspect.signature(_LAYERS[name]).parameters if p != "options"]
    known = [*own, "seed", "probability", "value_range"]
    unknown = set(options) - set(known)
    if name == "curriculum" and "of" not in options:
        raise ValueError("curriculum needs the name of an augmentation: of=NAME.")
    within = {"curriculum": "of", "keep_augment": "inner"}.get(name, "")
    wrapped = options.get(within)
    if isinstance(wrapped, str) and (name == "curriculum" or (unknown and wrapped not in CUTS)):
        theirs = {key: options.pop(key) for key in unknown}
        options[within], unknown = get(wrapped, **theirs), set()
    if unknown:
        raise ValueError(
            f"{name} has no option {', '.join(sorted(unknown))}. It has: {', '.join(known)}."
        )
    return _LAYERS[name](**options)


def parts(text: str) -> list[str]:
    """What commas separate, but those in brackets; empty parts are left out."""
    return [part.strip() for part in _OUTER_COMMA.split(text) if part.strip()]


def parse(text: str) -> BatchLayer:
    """An augmentation as the command line gives it: "cutmix" or "mixup:alpha=0.4,...".

    Values are read as Python writes them, such as (0.02, 0.4); all else is text.

    Raises:
        ValueError: See `get`; or an option is not KEY=VALUE.
    """
    name, _, rest = text.partition(":")
    options = {}
    for part in parts(rest):
        key, found, value = part.partition("=")
        if not found:
            raise ValueError(f"Options of an augmentation are KEY=VALUE. Received: {part!r}")
        try:
            options[key.strip()] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):
            options[key.strip()] = value.strip()
    return get(name.strip(), **options)
