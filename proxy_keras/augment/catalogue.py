"""Names of augmentations and replacements, and the text form of `--aug`, without TensorFlow."""

from __future__ import annotations

import ast
import importlib
import re
from dataclasses import dataclass
from typing import Any, Self

LAYERS = {
    "attentive_cutmix": "attentive_cutmix:AttentiveCutMix",
    "attribute_mix": "attribute_mix:AttributeMix",
    "augmix": "policies:AugMix",
    "cam_paste": "cam_paste:CamPaste",
    "comixup": "comixup:CoMixup",
    "curriculum": "curriculum:Curriculum",
    "cutmix": "keras_layers:CutMix",
    "cutout": "erasing:Cutout",
    "grid_mask": "grids:GridMask",
    "hide_and_seek": "grids:HideAndSeek",
    "image_mixing_deletion": "blending:ImageMixingDeletion",
    "keep_augment": "keep_augment:KeepAugment",
    "label_smoothing": "labels:LabelSmoothing",
    "manifold_mixup": "manifold_mixup:ManifoldMixup",
    "mixup": "keras_layers:MixUp",
    "puzzlemix": "puzzlemix:PuzzleMix",
    "randaugment": "policies:RandAugment",
    "random_distortion": "elastic:RandomDistortion",
    "random_erasing": "erasing:RandomErasing",
    "remix": "blending:Remix",
    "resizemix": "pasting:ResizeMix",
    "ricap": "pasting:RICAP",
    "saliencymix": "saliencymix:SaliencyMix",
    "sample_pairing": "blending:SamplePairing",
    "smoothmix": "pasting:SmoothMix",
    "snapmix": "snapmix:SnapMix",
    "spec_augment": "spec_augment:SpecAugment",
    "visual_context": "visual_context:VisualContext",
}
"""Name of each augmentation, and the `module:Class` of this package that implements it."""

WRAPPERS = {"curriculum": "of", "keep_augment": "inner"}
"""Augmentations that wrap another one, and the option that names it."""

SELECTIVE_CUTS = ("cutout", "cutmix")
"""Values of KeepAugment's `inner` that are modes of its own rather than wrapped layers."""

REPLACEMENTS = (
    "blended",
    "black",
    "mean",
    "max",
    "min",
    "halfmax",
    "white",
    "blur",
    "noise",
    "mean_of_data",
    "inpaint",
    "exchange",
)
"""What `attenuate` can replace hot pixels with."""

_OUTER_COMMA = re.compile(r",(?![^(\[]*[)\]])")
"""A comma outside brackets."""


def names() -> tuple[str, ...]:
    """Return the names of all augmentations."""
    return tuple(sorted(LAYERS))


def import_class(name: str) -> Any:
    """Return the layer class of an augmentation; this imports TensorFlow."""
    module, _, class_name = LAYERS[name].partition(":")
    return getattr(importlib.import_module(f"{__package__}.{module}"), class_name)


def split_commas(text: str) -> list[str]:
    """Split text at commas outside brackets, and drop empty parts."""
    return [part.strip() for part in _OUTER_COMMA.split(text) if part.strip()]


@dataclass(frozen=True)
class AugmentationSpec:
    """An augmentation by name, with options; `registry.build` makes the layer.

    Attributes:
        name: One of `names()`.
        options: Pairs of an option's name and its value. Only the layer checks these.

    Raises:
        ValueError: `name`, or the augmentation that a wrapper names, does not exist.
    """

    name: str
    options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.name not in LAYERS:
            raise ValueError(
                f"There is no augmentation {self.name!r}. There are: {', '.join(names())}."
            )
        if self.name in WRAPPERS:
            wrapped = dict(self.options).get(WRAPPERS[self.name])
            if isinstance(wrapped, str):
                type(self).parse(wrapped)
            elif self.name == "curriculum" and wrapped is None:
                raise ValueError("curriculum needs the name of an augmentation: of=NAME.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the text form, such as "cutmix" or "mixup:alpha=0.4,probability=0.5".

        Values are Python literals, such as (0.02, 0.4); anything else is text. `str` gives the text
        back, with values as Python writes them.

        Raises:
            ValueError: The name is unknown, or an option is not KEY=VALUE.
        """
        name, _, rest = text.partition(":")
        options = {}
        for part in split_commas(rest):
            key, found, value = part.partition("=")
            if not found:
                raise ValueError(f"Options of an augmentation are KEY=VALUE. Received: {part!r}")
            options[key.strip()] = _parse_value(value.strip())
        return cls(name.strip(), tuple(options.items()))

    def __str__(self) -> str:
        options = ",".join(f"{key}={_format_value(value)}" for key, value in self.options)
        return f"{self.name}:{options}" if options else self.name


def _parse_value(text: str) -> Any:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    # Tuples keep the specification hashable.
    return tuple(value) if isinstance(value, list) else value


def _format_value(value: Any) -> str:
    return value if isinstance(value, str) and _parse_value(value) == value else repr(value)
