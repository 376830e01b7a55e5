"""TrainConfig: everything that can be set in a training run."""

from __future__ import annotations

import dataclasses
import warnings
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from proxy_keras.augment.catalogue import AugmentationSpec
from proxy_keras.augment.catalogue import names as augmentation_names
from proxy_keras.models import catalogue as models
from proxy_keras.settings.checking import settings
from proxy_keras.settings.data_config import DataConfig
from proxy_keras.settings.declaration import Setting
from proxy_keras.settings.heatmap_source import refresh_every
from proxy_keras.settings.json_settings import JsonSettings
from proxy_keras.settings.proxy_config import PLANTED, ProxyConfig
from proxy_keras.settings.robust import METHODS, LastLayerMethod, RobustMethod, parse_robust
from proxy_keras.settings.rules import (
    Count,
    NonNegative,
    NonNegativeInteger,
    Number,
    OneOf,
    Positive,
    Rule,
    Share,
    Text,
    Texts,
    require,
)
from proxy_keras.settings.schedule import Plateau, parse

LOGGED = ("loss", "accuracy", "val_loss", "val_accuracy")
"""What a training run logs at the end of each epoch."""


def _augmentations(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        AugmentationSpec.parse(text)
    return texts


def _network(text: str) -> str:
    if text not in models.names() and not text.endswith(".keras"):
        raise ValueError(
            f"`model` must be one of {', '.join(models.names())}, or a saved classifier, "
            f"FILE.keras. Received: {text!r}"
        )
    return text


def _heatmap_source(text: str) -> str:
    refresh_every(text)
    return text


def _robust(text: str) -> str:
    parse_robust(text)
    return text


@settings
class TrainConfig(JsonSettings):
    """A whole training run; the defaults are the thesis's recipe.

    Attributes:
        data: The images.
        proxy: The method; None: plain training.
        augmentations: `augment`, parsed.
        robust_method: `robust`, parsed; None: none.

    Raises:
        ValueError: A value breaks its rule, or two values contradict each other.
    """

    NESTED: ClassVar[dict[str, type[JsonSettings]]] = {"data": DataConfig, "proxy": ProxyConfig}

    data: DataConfig
    proxy: ProxyConfig | None = dataclasses.field(default_factory=ProxyConfig)
    model: Annotated[
        str,
        Rule(_network),
        Setting(
            "A saved classifier to train further, for the same classes, or the name of a new "
            "network.",
            metavar="NAME|FILE.keras",
            names=models.names(),
        ),
    ] = "resnet18"
    weights: Annotated[
        str,
        Setting(
            "Initial weights. From a file, layers of the same name and shape are loaded.",
            metavar="none|imagenet|FILE",
        ),
    ] = "none"
    freeze: Annotated[
        bool | Text,
        Setting(
            "Train only the last layer; with LAYER, that layer or stage and all after it, such as "
            "`conv5` of `resnet50`. Without `--flip`, `--rotation` and `--aug` on stored features.",
            metavar="LAYER",
        ),
    ] = False
    features: Annotated[
        str | None,
        Setting(
            "Folder where the stored features of `--freeze` are kept for other runs over the same "
            "images with the same frozen layers. It may change when a run is resumed.",
            metavar="DIR",
            unset="not kept",
        ),
    ] = dataclasses.field(default=None, compare=False)
    head_epochs: Annotated[
        NonNegativeInteger,
        Setting(
            "Epochs before all others in which only the head is trained; 1 by default with "
            "`--weights`.",
            metavar="N",
        ),
    ] = 0
    epochs: Annotated[Count, Setting("Epochs to train.", metavar="N")] = 20
    batch_size: Annotated[
        Count | Literal["auto"],
        Setting(
            "Images per step. `auto`: the largest that fits (GPU memory; on a CPU two seconds a "
            "step).",
            metavar="B|auto",
        ),
    ] = 64
    lr: Annotated[
        Positive | Literal["auto"],
        Setting(
            "Learning rate of AdamW; the one-cycle peak is twice as high. `auto`: learning-rate "
            "range test.",
            metavar="LR|auto",
        ),
    ] = 1e-3
    weight_decay: Annotated[NonNegative, Setting("Weight decay of AdamW.", metavar="X")] = 1e-5
    one_cycle: Annotated[
        bool, Setting("Learning rate in one cycle. Off: a constant learning rate.")
    ] = True
    flip: Annotated[Share, Setting("Probability of a horizontal flip.", metavar="P")] = 0.5
    rotation: Annotated[
        Annotated[Number, Field(ge=0.0, le=180.0)],
        Setting("Largest rotation in either direction.", metavar="DEGREES"),
    ] = 10.0
    augment: Annotated[
        Texts,
        Rule(_augmentations),
        Setting(
            "A further augmentation, such as `cutmix` or `mixup:alpha=0.4`; can be repeated.",
            metavar="NAME[:KEY=VALUE,...]",
            option="--aug",
            names=augmentation_names(),
        ),
    ] = ()
    augment_maps: Annotated[
        Annotated[str, Rule(_heatmap_source)] | None,
        Setting(
            "Heatmaps for augmentations that need them, such as `saliencymix`. `self:N`: of the "
            "network itself, every N epochs; or of a trained one: a run folder or `FILE.keras`.",
            metavar="self:N|RUN|FILE",
            option="--aug-maps",
            unset="none",
        ),
    ] = None
    robust: Annotated[
        Annotated[str, Rule(_robust)] | None,
        Setting(
            "A method against spurious correlations, such as `class_balanced` or "
            "`jtt:epochs=1,weight=20`.",
            metavar="NAME[:KEY=VALUE,...]",
            unset="none",
            names=tuple(METHODS),
        ),
    ] = None
    precision: Annotated[
        str,
        OneOf(("auto", "float32", "mixed_float16", "mixed_bfloat16")),
        Setting(
            "Precision of the computation. `mixed_float16` scales the loss; `auto` chooses by the "
            "hardware.",
            metavar="P",
        ),
    ] = "auto"
    strategy: Annotated[
        str,
        OneOf(("none", "mirrored", "multi_worker")),
        Setting(
            "`mirrored`: all devices of this machine. `multi_worker`: those of several machines, "
            "named in the variable `TF_CONFIG`.",
            metavar="S",
        ),
    ] = "none"
    replicas: Annotated[
        Count | None,
        Setting("Number of devices; without a GPU, the CPU is split.", metavar="N", unset="all"),
    ] = None
    seed: Annotated[
        NonNegativeInteger,
        Setting("Seed of initial weights, order, augmentation and draws.", metavar="I"),
    ] = 0
    determinism: Annotated[
        bool,
        Setting(
            "Deterministic operations: the same settings give the same weights, bit for bit, "
            "interrupted or not. Off: faster on a GPU, without that promise."
        ),
    ] = True

    def __post_init__(self) -> None:
        recorded = self.proxy is not None and self.proxy.wrong_from == "train"
        require(
            not (self.augment and recorded),
            "`wrong_from='train'` needs images that show one class each: leave out `augment`.",
            self.augment,
        )
        require(
            not (self.augment and self.proxy is not None and self.proxy.original_weight != 1.0),
            "`original_weight` needs images that show one example each: leave out `augment`.",
            self.augment,
        )
        require(
            self.model_file is None or self.weights == "none",
            "A `model` from a file brings its weights: leave out `weights`.",
            self.weights,
        )
        require(
            self.proxy is None
            or self.proxy.cues != PLANTED
            or self.data.source == "decoy_digits"
            or self.data.shortcut is not None,
            f"`cues='{PLANTED}'` needs a planted shortcut: `decoy_digits`, or `shortcut`.",
            self.data.source,
        )
        require(
            bool(self.freeze) or self.features is None,
            "`features` keeps those of frozen layers: use `freeze`.",
            self.features,
        )
        self._check_robust()
        if self.strategy == "none":
            require(self.replicas is None, "`replicas` needs `strategy='mirrored'`.", self.replicas)
            return
        for name in ("batch_size", "lr"):
            require(
                getattr(self, name) != "auto",
                f"`{name}='auto'` measures one device. Find it with `strategy='none'`.",
                "auto",
            )
        require(
            not recorded,
            f"`wrong_from='train'` records the steps of one device. With "
            f"`strategy='{self.strategy}'` use `wrong_from='evaluation'`.",
            "train",
        )

    def _check_robust(self) -> None:
        method = self.robust_method
        if method is None:
            return
        if method.changes_training:
            why = f"`robust` {method.name} changes training itself"
            require(self.proxy is None, f"{why} and takes no proxies: `--no-proxy`.", self.robust)
            require(not self.augment, f"{why}: leave out `augment`.", self.augment)
        require(
            not (method.weighs_examples and self.augment),
            f"`robust` {method.name} needs images that show one example each: leave out `augment`.",
            self.augment,
        )
        require(
            self.proxy is None
            or not isinstance(method, LastLayerMethod)
            or self.freeze is not True,
            f"With `freeze`, `robust` {method.name} refits the only layer that is trained, on "
            "originals, so proxies would have no effect. Use `class_weighted` with them, or train "
            "more layers.",
            self.robust,
        )
        require(
            self.strategy == "none",
            "`robust` trains on one device: use `strategy='none'`.",
            self.strategy,
        )

    def check_schedule(self) -> None:
        """Check that the schedule fits `epochs` and watches what a training run logs.

        Raises:
            ValueError: It does not.
        """
        if self.proxy is None:
            return
        schedule = parse(self.proxy.schedule)
        with warnings.catch_warnings():
            # Given when training begins.
            warnings.simplefilter("ignore", UserWarning)
            schedule.plan(self.epochs)
        require(
            not isinstance(schedule, Plateau) or schedule.monitor in LOGGED,
            f"The schedule {str(schedule)!r} must watch one of {', '.join(LOGGED)}.",
            getattr(schedule, "monitor", None),
        )

    @property
    def model_file(self) -> Path | None:
        """The file of the network that the run starts from; None: it is built by name."""
        return Path(self.model) if self.model.endswith(".keras") else None

    @property
    def first_trained(self) -> str | None:
        """The layer or stage that `freeze` names; None: the last layer with weights."""
        return self.freeze if isinstance(self.freeze, str) else None

    @cached_property
    def augmentations(self) -> tuple[AugmentationSpec, ...]:
        """The further augmentations, parsed."""
        return tuple(AugmentationSpec.parse(text) for text in self.augment)

    @cached_property
    def robust_method(self) -> RobustMethod | None:
        """The method against spurious correlations, parsed; None: none."""
        return None if self.robust is None else parse_robust(self.robust)
