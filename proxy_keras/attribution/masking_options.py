"""Options of the methods that mask parts of the image, declared without importing TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from proxy_keras.attribution.method_options import (
    BASELINES,
    BaselineOptions,
    ChunkOptions,
    at_least,
    checked,
    choice,
)


@dataclass(kw_only=True, eq=False)
class MaskingOptions(ChunkOptions, BaselineOptions):
    """Options of a method that masks parts of the image.

    Attributes:
        baseline: What masked pixels are replaced by, one of `BASELINES`; see
            `baselines.Baseline`.
        seed: Seed of all random draws, which are the same for every image; in [0, 2^32).
    """

    baseline: str = choice(BASELINES, "mean")
    # The range that NumPy's generators accept.
    seed: int = checked(0, "in [0, 2^32)", lambda value: 0 <= value < 2**32)


@dataclass(kw_only=True, eq=False)
class OcclusionOptions(MaskingOptions):
    """Options of occlusion.

    Attributes:
        patch: Side of the patch: a float in (0, 1] is a share of each side of the image, an
            integer >= 1 a number of pixels.
        stride: Step, in the same units. None: half of the patch.
    """

    patch: float = 0.25
    stride: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_length("patch", self.patch)
        if self.stride is not None:
            _check_length("stride", self.stride)


@dataclass(kw_only=True, eq=False)
class RISEOptions(MaskingOptions):
    """Options of RISE.

    Attributes:
        cells: Cells of a mask's grid along each side, >= 1.
        probability: Probability that a cell shows the image, in (0, 1).
        masks: How many masks, >= 2.
    """

    cells: int = at_least(1, 7)
    probability: float = checked(0.5, "in (0, 1)", lambda value: 0 < value < 1)
    masks: int = at_least(2, 1000)


@dataclass(kw_only=True, eq=False)
class SuperpixelOptions(MaskingOptions):
    """Options of a method that masks superpixels.

    Attributes:
        superpixels: Approximate number per image, >= 1.
        samples: Masked copies per image, >= 2.
        segmentation: "slic", which follows colours, or "grid", equal cells.
    """

    superpixels: int = at_least(1, 50)
    samples: int = at_least(2, 1000)
    segmentation: str = choice(("slic", "grid"), "slic")


@dataclass(kw_only=True, eq=False)
class KernelSHAPOptions(SuperpixelOptions):
    """Options of Kernel SHAP.

    Attributes:
        samples: Coalitions per image, >= 2 * superpixels.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples < 2 * self.superpixels:
            raise ValueError(
                "`samples` must be >= 2 * superpixels, else the values are not determined. "
                f"Received: samples={self.samples}, superpixels={self.superpixels}"
            )


@dataclass(kw_only=True, eq=False)
class LIMEOptions(SuperpixelOptions):
    """Options of LIME; the first of its `samples` is the image itself.

    Attributes:
        kernel_width: Width of the neighbourhood in cosine distance, > 0.
    """

    kernel_width: float = checked(0.25, "> 0", lambda value: value > 0)


@dataclass(kw_only=True, eq=False)
class SPLIMEOptions(LIMEOptions):
    """Options of SP-LIME, whose superpixels are always the cells of a grid.

    Attributes:
        budget: How many images of a batch are picked, >= 1.
        features: How many cells of an explanation count for picking, >= 1.
    """

    budget: int = at_least(1, 10)
    features: int = at_least(1, 10)
    segmentation: str = field(default="grid", init=False)


def _check_length(name: str, length: float) -> None:
    if isinstance(length, (int, np.integer)):
        is_length = length >= 1 and not isinstance(length, bool)
    else:
        is_length = 0 < length <= 1
    if not is_length:
        raise ValueError(
            f"`{name}` must be a float in (0, 1], a share of the side, or an integer >= 1, in "
            f"pixels. Received: {length!r}"
        )
