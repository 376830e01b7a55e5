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
        weighs_examples: Whether each image must show one example, so that it takes no further
            augmentations.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    changes_training: ClassVar[bool] = True
    weighs_examples: ClassVar[bool] = False

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
class ClassWeighted(RobustMethod):
    """Training in which all classes count the same."""

    name: ClassVar[str] = "class_weighted"
    paper: ClassVar[str] = (
        "Idrissi, Arjovsky, Pezeshki & Lopez-Paz, Simple data balancing achieves competitive "
        "worst-group-accuracy (2022)"
    )
    changes_training: ClassVar[bool] = False
    weighs_examples: ClassVar[bool] = True


@settings
class DeepFeatureReweighting(LastLayerMethod):
    """The last layer, refitted after training on equally many images of each group.

    Raises:
        ValueError: An option breaks its rule.
    """

    name: ClassVar[str] = "dfr"
    paper: ClassVar[str] = (
        "Kirichenko, Izmailov & Wilson, Last Layer Re-Training is Sufficient for Robustness to "
        "Spurious Correlations (2023)"
    )

    data: Annotated[
        RefitData,
        Setting("Images that the last layer is refitted on: those of `val` or of `train`."),
    ] = "val"
    draws: Annotated[
        Count, Setting("Balanced subsets that are drawn; their last layers are averaged.")
    ] = 10
    c: Annotated[
        Positive | Literal["auto"],
        Setting(
            "Inverse of the L1 penalty, relative to the sum of the losses. `auto`: the best of 1, "
            "0.7, 0.3, 0.1, 0.07, 0.03 and 0.01 for the worst group of half of the images, fitted "
            "on the other half."
        ),
    ] = "auto"

    @property
    def supervision(self) -> str | None:
        """The groups of the images that it is refitted on."""
        return f"groups of the {_IMAGES[self.data]} images"


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
class GroupDro(RobustMethod):
    """Training on the loss of the worst group.

    Raises:
        ValueError: An option breaks its rule.
    """

    name: ClassVar[str] = "group_dro"
    paper: ClassVar[str] = (
        "Sagawa, Koh, Hashimoto & Liang, Distributionally Robust Neural Networks for Group Shifts: "
        "On the Importance of Regularization for Worst-Case Generalization (2020)"
    )

    step: Annotated[Positive, Setting("Step size of the weights of the groups.")] = 0.01
    adjustment: Annotated[
        NonNegative,
        Setting("C of the group adjustment: C / sqrt(images of the group) is added to its loss."),
    ] = 0.0

    @property
    def supervision(self) -> str | None:
        """The groups of all training images."""
        return f"groups of the {_IMAGES['train']} images"


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


_IMAGES = {"train": "training", "val": "validation"}

METHODS: dict[str, type[RobustMethod]] = {
    method.name: method
    for method in (
        ClassBalanced,
        ClassWeighted,
        DeepFeatureReweighting,
        EnergyLoss,
        GroupDro,
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
