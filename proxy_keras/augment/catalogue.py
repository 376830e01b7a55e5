"""Names of augmentations and replacements, and the text form of `--aug`, without TensorFlow."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from proxy_keras.io.named_options import format_named, parse_named


class Entry(NamedTuple):
    """An augmentation of the catalogue.

    Attributes:
        path: The `module:Class` of this package that implements it.
        options: Names of its options, besides `SHARED_OPTIONS`.
    """

    path: str
    options: tuple[str, ...]


LAYERS = {
    "attentive_cutmix": Entry("attentive_cutmix:AttentiveCutMix", ("cells", "grid")),
    "attribute_mix": Entry("attribute_mix:AttributeMix", ("attributes", "size")),
    "augmix": Entry("policies:AugMix", ("magnitude", "width", "depth", "alpha", "all_operations")),
    "cam_paste": Entry("cam_paste:CamPaste", ("threshold", "scale_from", "scale_to")),
    "comixup": Entry(
        "comixup:CoMixup",
        ("members", "cells", "alpha", "beta", "gamma", "eta", "tau", "omega", "rounds"),
    ),
    "curriculum": Entry(
        "curriculum:Curriculum",
        ("of", "shape", "epochs", "start", "end", "loss_at_start", "loss_at_end"),
    ),
    "cutmix": Entry("keras_layers:CutMix", ("alpha",)),
    "cutout": Entry("erasing:Cutout", ("size", "fill")),
    "grid_mask": Entry("grids:GridMask", ("ratio", "unit", "degrees", "fill")),
    "hide_and_seek": Entry("grids:HideAndSeek", ("hide", "cells", "fill")),
    "image_mixing_deletion": Entry("blending:ImageMixingDeletion", ("alpha", "area", "fill")),
    "keep_augment": Entry("keep_augment:KeepAugment", ("inner", "length", "quantile")),
    "label_smoothing": Entry("labels:LabelSmoothing", ("amount",)),
    "manifold_mixup": Entry("manifold_mixup:ManifoldMixup", ("layers", "alpha")),
    "mixup": Entry("keras_layers:MixUp", ("alpha",)),
    "puzzlemix": Entry(
        "puzzlemix:PuzzleMix",
        ("alpha", "blocks", "beta", "gamma", "eta", "levels", "xi", "transport"),
    ),
    "randaugment": Entry("policies:RandAugment", ("operations", "magnitude")),
    "random_distortion": Entry("elastic:RandomDistortion", ("scale", "smooth")),
    "random_erasing": Entry("erasing:RandomErasing", ("probability", "area", "ratio", "fill")),
    "remix": Entry("blending:Remix", ("alpha", "kappa", "tau", "class_counts")),
    "resizemix": Entry("pasting:ResizeMix", ("scale",)),
    "ricap": Entry("pasting:RICAP", ("alpha",)),
    "saliencymix": Entry("saliencymix:SaliencyMix", ("alpha", "saliency")),
    "sample_pairing": Entry("blending:SamplePairing", ("weight",)),
    "smoothmix": Entry("pasting:SmoothMix", ("spread",)),
    "snapmix": Entry("snapmix:SnapMix", ("alpha", "sum_to_one")),
    "spec_augment": Entry("spec_augment:SpecAugment", ("frequency", "time", "masks", "fill")),
    "visual_context": Entry(
        "visual_context:VisualContext", ("places", "ring", "largest", "threshold")
    ),
}
"""The augmentations by name."""

SHARED_OPTIONS = ("seed", "probability", "value_range")
"""Names of the options that all augmentations have."""

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


def names() -> tuple[str, ...]:
    """Return the names of all augmentations."""
    return tuple(sorted(LAYERS))


def import_class(name: str) -> Any:
    """Return the layer class of an augmentation; this imports TensorFlow."""
    module, _, class_name = LAYERS[name].path.partition(":")
    return getattr(importlib.import_module(f"{__package__}.{module}"), class_name)


@dataclass(frozen=True)
class AugmentationSpec:
    """An augmentation by name, with options; `registry.build` makes the layer.

    Attributes:
        name: One of `names()`.
        options: Pairs of an option's name and its value. Only the layer checks the values.

    Raises:
        ValueError: `name`, the augmentation that a wrapper names, or an option does not exist.
    """

    name: str
    options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.name not in LAYERS:
            raise ValueError(
                f"There is no augmentation {self.name!r}. There are: {', '.join(names())}."
            )
        if self.name == "curriculum" and dict(self.options).get("of") is None:
            raise ValueError("curriculum needs the name of an augmentation: of=NAME.")
        known, inner = self._known(), self.inner
        unknown = [option for option, _ in self.options if option not in known]
        if unknown and inner is None:
            raise ValueError(
                f"{self.name} has no option {', '.join(sorted(unknown))}. It has: "
                f"{', '.join(known)}."
            )

    @property
    def inner(self) -> Self | None:
        """The augmentation that a wrapper names, with the options that the wrapper does not have.

        None if no augmentation is wrapped, or if a layer is.
        """
        wrapped = dict(self.options).get(WRAPPERS.get(self.name, ""))
        is_cut = self.name == "keep_augment" and wrapped in SELECTIVE_CUTS
        if not isinstance(wrapped, str) or is_cut:
            return None
        named = type(self).parse(wrapped)
        passed_on = tuple(o for o in self.options if o[0] not in self._known())
        return type(self)(named.name, named.options + passed_on)

    @property
    def own_options(self) -> dict[str, Any]:
        """The options without those that belong to `inner`."""
        return {name: value for name, value in self.options if name in self._known()}

    def _known(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(LAYERS[self.name].options + SHARED_OPTIONS))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the text form, such as "cutmix" or "mixup:alpha=0.4,probability=0.5".

        Values are Python literals, such as (0.02, 0.4); anything else is text. `str` gives the text
        back, with values as Python writes them.

        Raises:
            ValueError: The name is unknown, or an option is not KEY=VALUE.
        """
        name, options = parse_named(text, "an augmentation")
        return cls(name, tuple(options.items()))

    def __str__(self) -> str:
        return format_named(self.name, self.options)
