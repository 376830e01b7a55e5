"""Options of the attribution methods, declared and checked without importing TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

BASELINES = ("black", "white", "mean", "blur", "uniform")


def checked(default: Any, rule: str, holds: Callable[[Any], bool]) -> Any:
    """Return a dataclass field whose value must satisfy a rule."""
    return field(default=default, metadata={"rule": rule, "holds": holds})


def at_least(low: float, default: float, note: str = "") -> Any:
    """Return a field of a number with a minimum."""
    return checked(default, f">= {low}{note}", lambda value: value >= low)


def finite(default: float) -> Any:
    """Return a field of a finite number >= 0."""
    return checked(default, ">= 0 and finite", lambda value: 0 <= value < float("inf"))


def choice(names: Collection[str], default: str) -> Any:
    """Return a field that is one of some names."""
    return checked(default, f"one of {', '.join(map(repr, names))}", names.__contains__)


@dataclass(kw_only=True, eq=False)
class Options:
    """Base class of a method's options, which are the arguments of the method's constructor.

    Raises:
        ValueError: An option is outside its range.
    """

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if option.metadata and not option.metadata["holds"](value):
                rule = option.metadata["rule"]
                raise ValueError(f"`{option.name}` must be {rule}. Received: {value!r}")

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of the options."""
        return [option.name for option in fields(cls) if option.init]


@dataclass(kw_only=True, eq=False)
class ChunkOptions(Options):
    """Options of a method that runs the network on many images, a chunk at a time.

    Attributes:
        chunk_size: Images, or activations [h, w, D], per pass, >= 1; it bounds the memory.
    """

    chunk_size: int = at_least(1, 32)


@dataclass(kw_only=True, eq=False)
class FasterScoreCAMOptions(ChunkOptions):
    """Options of Faster Score-CAM.

    Attributes:
        channels: How many channels are scored, >= 1; all of them where the layer has fewer.
    """

    channels: int = at_least(1, 10)


@dataclass(kw_only=True, eq=False)
class NoiseTunnelOptions(ChunkOptions):
    """Options of the methods that average gradients over noisy copies of the image.

    Attributes:
        samples: Noisy copies per image, >= 1.
        noise: Standard deviation as a share of the range of the image's values, >= 0.
        seed: Seed of the noise.
    """

    samples: int = at_least(1, 25)
    noise: float = finite(0.15)
    seed: int = 0


@dataclass(kw_only=True, eq=False)
class BaselineOptions(Options):
    """Options of a method that compares the image with a baseline image.

    Attributes:
        baseline: One of `BASELINES`; see `baselines.Baseline`.
        value_range: (lowest, highest) value of the images that the model takes.
        seed: Seed of the "uniform" baseline.
    """

    baseline: str = choice(BASELINES, "black")
    value_range: tuple[float, float] = (0.0, 255.0)
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.value_range
        if not (low < high and np.isfinite([low, high]).all()):
            raise ValueError(
                "`value_range` must be (lowest, highest) of the images that the model takes. "
                f"Received: {self.value_range}"
            )


@dataclass(kw_only=True, eq=False)
class PathOptions(ChunkOptions, BaselineOptions):
    """Options of the methods that integrate gradients along the path from a baseline.

    Attributes:
        steps: Steps along the path, >= 1.
    """

    steps: int = at_least(1, 50)


@dataclass(kw_only=True, eq=False)
class GradientSHAPOptions(ChunkOptions, BaselineOptions):
    """Options of GradientSHAP.

    Attributes:
        samples: Gradients per image, >= 1.
        background: [N, H, W, C] reference images. None: baselines drawn as `baseline` says;
            "uniform" draws a new one for each sample.
        seed: Seed of all random draws, which are the same for every image.
    """

    samples: int = at_least(1, 50)
    background: Any = None
    baseline: str = choice(BASELINES, "uniform")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.background is not None:
            self.background = np.asarray(self.background, np.float32)
            if self.background.ndim != 4 or len(self.background) == 0:
                raise ValueError(
                    "`background` must be images [N, H, W, C], N >= 1. Received: shape "
                    f"{self.background.shape}"
                )


@dataclass(kw_only=True, eq=False)
class DeepFoolOptions(Options):
    """Options of DeepFool.

    Attributes:
        overshoot: How far the change goes beyond the boundary, as a share of it, >= 0.
        max_steps: Maximum number of linear steps, >= 1; an image that has not flipped by then
            keeps the change so far.
        classes: Candidates for the new class, those with the highest logits, >= 1.
    """

    overshoot: float = finite(0.02)
    max_steps: int = at_least(1, 50)
    classes: int = at_least(1, 10)


@dataclass(kw_only=True, eq=False)
class LRPOptions(Options):
    """Options of layer-wise relevance propagation.

    Attributes:
        rule: "epsilon" or "alpha_beta".
        epsilon: Stabiliser of the epsilon rule, as a share of the mean magnitude of the layer's
            units; >= 0. Larger values suppress weak contradictory contributions.
        alpha: Weight of positive contributions under the alpha-beta rule, >= 1; negative ones
            have the weight beta = alpha - 1.
    """

    rule: str = choice(("epsilon", "alpha_beta"), "epsilon")
    epsilon: float = at_least(0, 0.1)
    alpha: float = at_least(1, 2.0, ", because beta is alpha - 1")


@dataclass(kw_only=True, eq=False)
class AttentionRolloutOptions(Options):
    """Options of attention rollout.

    Attributes:
        head_fusion: "mean" over the heads (the paper), or "max", which keeps what few heads see.
    """

    head_fusion: str = choice(("mean", "max"), "mean")


@dataclass(kw_only=True, eq=False)
class ImageSaliencyOptions(Options):
    """Options of the methods that look at the image alone.

    Attributes:
        side: Longer side in pixels to which larger images are reduced, >= 8.
        blur: Standard deviation of the final Gaussian, as a share of that side; >= 0.
    """

    side: int = at_least(8, 64, " (in pixels)")
    blur: float = at_least(0, 0.06, " (a share of the side)")


@dataclass(kw_only=True, eq=False)
class DynamicOptions(ImageSaliencyOptions):
    """Options of dynamic visual attention."""

    blur: float = at_least(0, 0.08, " (a share of the side)")


@dataclass(kw_only=True, eq=False)
class WhiteningOptions(ImageSaliencyOptions):
    """Options of adaptive whitening saliency.

    Attributes:
        scales: Wavelengths per orientation, >= 2: 4 px of the reduced image, each the previous
            times 1.7.
    """

    scales: int = at_least(2, 4)
    side: int = at_least(8, 128, " (in pixels)")
    blur: float = at_least(0, 0.03, " (a share of the side)")


@dataclass(kw_only=True, eq=False)
class GraphBasedOptions(ImageSaliencyOptions):
    """Options of graph-based visual saliency.

    Attributes:
        cells: Cells along the longer side of the grid, >= 4; cost grows with the fourth power.
        blur: Standard deviation of the final Gaussian, as a share of the grid's side; >= 0.
    """

    cells: int = at_least(4, 24)
    blur: float = at_least(0, 0.02, " (a share of the side)")
    side: int = field(init=False)

    def __post_init__(self) -> None:
        self.side = 4 * self.cells
        super().__post_init__()
