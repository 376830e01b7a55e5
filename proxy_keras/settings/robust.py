"""Methods against spurious correlations by name, with their options; no TensorFlow."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from proxy_keras.io.named_options import parse_named
from proxy_keras.settings.checking import settings
from proxy_keras.settings.declaration import Setting
from proxy_keras.settings.rules import (
    Count,
    NonNegative,
    Number,
    Positive,
    PositiveShare,
)

RefitData = Literal["train", "val"]


class RobustMethod:
    """Base class of the methods: what a training run must know of each.

    Attributes:
        name: Its name.
        paper: Its source.
        changes_training: Whether it changes training itself, and not only what comes after it, so
            that it takes neither proxies nor further augmentations.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    changes_training: ClassVar[bool] = True

    @property
    def supervision(self) -> str | None:
        """What the method is told beside the classes, in a few words; None: nothing."""
        return None


class LastLayerMethod(RobustMethod):
    """Base class of the methods that refit the last layer after training.

    Attributes:
        data: The split whose images it is refitted on.
    """

    changes_training: ClassVar[bool] = False
    data: RefitData


@settings
class ClassBalanced(LastLayerMethod):
    """The last layer, refitted after training with all classes counting the same.

    Raises:
        ValueError: An option breaks its rule.
    """

    name: ClassVar[str] = "class_balanced"
    paper: ClassVar[str] = (
        "LaBonte, Muthukumar & Kumar, Towards Last-Layer Retraining for Group Robustness with "
        "Fewer Annotations (2023)"
    )

    data: Annotated[
        RefitData,
        Setting("Images that the last layer is refitted on: those of `train` or of `val`."),
    ] = "train"
    l2: Annotated[
        NonNegative,
        Setting("L2 penalty: half of this times the sum of squared weights, of scaled features."),
    ] = 1e-4


@settings
class JustTrainTwice(RobustMethod):
    """Training that upweights what a network that was briefly trained gets wrong.

    Raises:
        ValueError: An option breaks its rule.
    """

    name: ClassVar[str] = "jtt"
    paper: ClassVar[str] = (
        "Liu, Haghgoo, Chen, Raghunathan, Koh, Sagawa, Liang & Finn, Just Train Twice: Improving "
        "Group Robustness without Training Group Information (2021)"
    )

    epochs: Annotated[
        Count, Setting("Epochs of the first training, whose errors are upweighted.")
    ] = 1
    weight: Annotated[
        Annotated[Number, Field(ge=1.0)],
        Setting("Weight of those errors in the second training, relative to other images."),
    ] = 20.0


@settings
class MaskTune(RobustMethod):
    """One more epoch on images without what the network looked at.

    Raises:
        ValueError: An option breaks its rule.
    """

    name: ClassVar[str] = "masktune"
    paper: ClassVar[str] = (
        "Asgari Taghanaki, Khani, Khani, Gholami, Tran, Mahdavi-Amiri & Hamarneh, MaskTune: "
        "Mitigating Spurious Correlations by Forcing to Explore (2022)"
    )

    lr: Annotated[
        Positive | None,
        Setting("Learning rate of that epoch.", unset="`--lr`: one cycle ends at almost 0"),
    ] = None


@settings
class EnergyLoss(RobustMethod):
    """Training with a second loss: the share of the heat outside the object.

    Raises:
        ValueError: An option breaks its rule.
    """

    name: ClassVar[str] = "energy_loss"
    paper: ClassVar[str] = (
        "Rao, Böhle, Parchami-Araghi & Schiele, Studying How to Efficiently and Effectively Guide "
        "Models with Explanations (2023)"
    )

    weight: Annotated[Positive, Setting("Weight of that loss, beside the cross-entropy.")] = 1.0
    share: Annotated[
        PositiveShare,
        Setting("Share of the training images, drawn by the seed, whose known object is used."),
    ] = 1.0

    @property
    def supervision(self) -> str | None:
        """The objects in a share of the training images."""
        return f"objects of {100.0 * self.share:g}% of the training images"


METHODS: dict[str, type[RobustMethod]] = {
    method.name: method
    for method in (
        ClassBalanced,
        EnergyLoss,
        JustTrainTwice,
        MaskTune,
    )
}
"""The methods by name."""


def parse_robust(text: str) -> RobustMethod:
    """Return the method of a text such as "class_balanced" or "jtt:epochs=2,weight=50".

    Raises:
        ValueError: There is no such method or option, or a value breaks its rule.
    """
    name, options = parse_named(text, "a robust method")
    if name not in METHODS:
        raise ValueError(
            f"`robust` must be one of {', '.join(METHODS)}, with options as in jtt:epochs=1. "
            f"Received: {text!r}"
        )
    try:
        return METHODS[name](**options)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
