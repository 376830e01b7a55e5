"""ProxyConfig: the hyper-parameters of Proxy Attention."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Self

from proxy_keras.attribution import catalogue as attribution
from proxy_keras.augment import catalogue as augment
from proxy_keras.settings.checking import settings
from proxy_keras.settings.declaration import Setting
from proxy_keras.settings.json_settings import JsonSettings
from proxy_keras.settings.rules import (
    Count,
    NonNegative,
    OneOf,
    PositiveShare,
    Rule,
    Share,
    require,
)
from proxy_keras.settings.schedule import parse

USUAL_CONTROLS = ("random_mask", "erasing", "proxies_off")
"""Those that a study adds by itself."""

CONTROLS = (*USUAL_CONTROLS, "permuted_mask", "central_square", "any_donor")

OUTSIDE = "outside"
"""Value of `cues`: found in the model being trained, and ticked by known objects."""

PLANTED = "planted"
"""Value of `cues`: exactly the shortcut that was planted in the data."""

BACKGROUND = "background"
"""Value of `cues`: everything outside the object, where it is known; no network is asked."""

ARM = "arm:"
"""Start of the value of `cues` that names an arm of a study: found in its network, as above."""

CUE_ACTIONS = ("spread", "hide")


def _defaults(cues: str | None) -> dict[str, Any]:
    """Return the defaults that depend on where masks come from."""
    if cues is None:
        return {"schedule": "every:5", "show": 1.0, "replacement": "blended"}
    # The model must be trained before its own cues mean anything.
    schedule = "every:5,finish:0.2" if cues == OUTSIDE else "start,finish:0.2"
    return {"schedule": schedule, "show": 0.5, "replacement": "mean_of_data"}


def _schedule(text: str) -> str:
    parse(text)
    return text


@settings
class ProxyConfig(JsonSettings):
    """The hyper-parameters of Proxy Attention; the defaults are the thesis's.

    Raises:
        ValueError: A value breaks its rule.

    Source: S. Mukherjee, Proxy Attention (thesis, Groningen, 2023).
    """

    schedule: Annotated[
        str,
        Rule(_schedule),
        Setting(
            "When proxy steps run. `5,p,9,p,4`: numbers are plain epochs, `p` is an epoch with a "
            "step at its end, `c` clears the proxies and takes no epoch; the sum must equal "
            "`epochs`. `every:3,finish:0.2`: every third epoch, and originals only in the last "
            "fifth. `start,finish:0.2`: one step before the first epoch. "
            "`plateau:3,min_delta:0.01,monitor:val_loss`: after three epochs without improvement.",
            metavar="S",
            unset="`every:5`; with `--cues DIR` `start,finish:0.2`, with `--cues outside` "
            "`every:5,finish:0.2`",
        ),
    ] = None  # type: ignore[assignment]
    method: Annotated[
        str, OneOf(attribution.names()), Setting("Attribution method.", metavar="M")
    ] = "grad_cam_plus_plus"
    threshold: Annotated[
        Share, Setting("Heat at or above which pixels are replaced.", metavar="T")
    ] = 0.85
    weight: Annotated[
        Share, Setting("Share of light removed where heat is 1 (`blended`).", metavar="W")
    ] = 0.1
    subset: Annotated[
        PositiveShare,
        Setting(
            "Share of the selected images that get a proxy; in Python also a function from the "
            "epoch, counted from 0, to a share.",
            metavar="F",
        ),
    ] = 0.2
    replacement: Annotated[
        str,
        OneOf(augment.REPLACEMENTS),
        Setting(
            "What replaces hot pixels: `blended` (darkened by `weight` times the heat), a "
            "statistic of the image itself (`mean`, `max`, `min`, `halfmax`), `black`, `white`, "
            "`blur`, `noise`, `mean_of_data` (the mean colour of the training images), `inpaint` "
            "(a continuation of what is around) or `exchange` (the replaced region of an image of "
            "another class).",
            metavar="R",
            unset="`blended`; with `cues` `mean_of_data`",
        ),
    ] = None  # type: ignore[assignment]
    select: Annotated[
        str,
        OneOf(("wrong", "loss", "margin", "random", "all")),
        Setting(
            "Which images can get a proxy: `wrong`: the misclassified ones; `loss`: highest loss "
            "first; `margin`: least certain first; `random`: as many as are wrong; `all`.",
            metavar="K",
        ),
    ] = "wrong"
    explain: Annotated[
        str,
        OneOf(attribution.EXPLAIN_CHOICES),
        Setting(
            "Class that the heatmap explains: `predicted`, `true`, or `contrast` (predicted minus "
            "true); in Python also a function from logits [N, K] to scores [N].",
            metavar="C",
        ),
    ] = "predicted"
    wrong_from: Annotated[
        str,
        OneOf(("evaluation", "train")),
        Setting(
            "Where predictions and heatmaps come from. `evaluation`: a pass over the original "
            "images at the end of the epoch. `train`: the training steps of that epoch, without a "
            "pass of their own; for heads of global average pooling and one Dense layer.",
            metavar="W",
        ),
    ] = "evaluation"
    region: Annotated[
        str,
        OneOf(("hot", "cold")),
        Setting(
            "Which pixels are replaced: `hot`, or `cold`: the background, where heat is at most "
            "`1 - threshold`.",
            metavar="R",
        ),
    ] = "hot"
    max_area: Annotated[
        PositiveShare | None,
        Setting(
            "Largest share of an image's pixels to replace; the hottest are kept.",
            metavar="X",
            unset="no limit",
        ),
    ] = None
    smooth: Annotated[
        NonNegative,
        Setting(
            "Standard deviation of a Gaussian applied to the heatmap.", metavar="X", unit="(cells)"
        ),
    ] = 0.0
    clear_every_step: Annotated[
        bool,
        Setting(
            "Each step starts without proxies. Off: an image keeps its proxy until a later step "
            "replaces it."
        ),
    ] = True
    keep_epochs: Annotated[
        Count | None,
        Setting("Epochs after which a proxy expires.", metavar="N", unset="never"),
    ] = None
    show: Annotated[
        PositiveShare,
        Setting(
            "Probability, drawn anew each epoch, that an image with a proxy is shown as its proxy.",
            metavar="X",
            unset="1; with `cues` 0.5",
        ),
    ] = None  # type: ignore[assignment]
    show_from: Annotated[
        Share | None,
        Setting(
            "The same probability in the first epoch; it changes linearly to `show` in the last.",
            metavar="X",
            unset="`show` in all epochs",
        ),
    ] = None
    agree: Annotated[
        bool,
        Setting(
            "Count only heat that the previous step found too: the minimum of both heatmaps. An "
            "image without an earlier heatmap gets no proxy."
        ),
    ] = False
    spare: Annotated[
        PositiveShare | None,
        Setting(
            "Make no proxy of an image with at least this share of its heat inside the object's "
            "box; needs data with boxes.",
            metavar="X",
            unset="none is spared",
        ),
    ] = None
    engine: Annotated[
        str,
        OneOf(attribution.ENGINES),
        Setting("`compiled`, or `tf-keras-vis`: the slower reference.", metavar="E"),
    ] = "compiled"
    target_layer: Annotated[
        str | None,
        Setting("Name of the layer to explain.", metavar="NAME", unset="found automatically"),
    ] = None
    control: Annotated[
        Annotated[str, OneOf(CONTROLS)] | None,
        Setting(
            "Run a control instead of the method. `random_mask`: the same masks, exchanged among "
            "the images and shifted at random; `erasing`: a random square of the same mean area; "
            "`proxies_off`: all the work, but originals are shown; `permuted_mask`: the masks "
            "exchanged among the images, in their places; `central_square`: all but a square in "
            "the middle, of the same mean area; `any_donor`: with `exchange`, another image of any "
            "class.",
            metavar="C",
            unset="none",
        ),
    ] = None
    method_options: Annotated[
        dict[str, Any],
        Setting(
            "Option of the attribution method, such as `samples=50`; can be repeated.",
            metavar="KEY=VALUE",
            option="--method-option",
        ),
    ] = dataclasses.field(default_factory=dict)
    cues: Annotated[
        str | None,
        Setting(
            "Mask the ticked cues in this folder, made by `python -m proxy_keras.cues`, instead of "
            "what is hot. `outside`: at each step, find the cues of the model being trained and "
            "mask those that lie outside the object, which must be known in some images. "
            "`background`: mask all that lies outside the object, in training images where it is "
            "known. `planted`: mask the planted shortcut of `decoy_digits` or `--shortcut` "
            "exactly (an upper bound for studies). In a study also `arm:NAME`: like `outside`, but "
            "found in the trained network of another arm with the same seed.",
            metavar="DIR|outside|background|planted",
            unset="heatmaps",
        ),
    ] = None
    cue_action: Annotated[
        str,
        OneOf(CUE_ACTIONS),
        Setting(
            "What a proxy does with ticked cues. `spread`: images that have one get that of "
            "another image in its place, and it is pasted on images of classes that have it less "
            "often, until it is equally frequent in every class. `hide`: only replace them.",
            metavar="A",
        ),
    ] = "spread"
    cue_rate: Annotated[
        PositiveShare | None,
        Setting(
            "With `spread`: share of each class's images that have a ticked cue.",
            metavar="X",
            unset="that of the class that has it most often",
        ),
    ] = None
    keep_donors: Annotated[
        bool,
        Setting(
            "With `spread` or `exchange`: an image keeps the other image that takes part in its "
            "proxy, instead of a new one each time. With `freeze`, the features of its proxy are "
            "then stored too."
        ),
    ] = False
    cue_evidence: Annotated[
        Share,
        Setting(
            "Evidence from which a cell of a ticked cue is masked, as a share of the highest in "
            "its image; 0: all of its cells, for cues that are the background.",
            metavar="X",
        ),
    ] = 0.15
    cue_outside: Annotated[
        PositiveShare,
        Setting(
            "With `--cues outside` or `arm:NAME`: mask cues with less than this share of their "
            "evidence on the object.",
            metavar="X",
        ),
    ] = 0.35
    object_share: Annotated[
        PositiveShare,
        Setting(
            "With `--cues outside`, `background` or `arm:NAME`: share of the training images, "
            "drawn by the seed, whose known object is used.",
            metavar="X",
        ),
    ] = 1.0
    original_weight: Annotated[
        PositiveShare,
        Setting(
            "Weight in the loss of an image that has a proxy when its original is shown.",
            metavar="W",
        ),
    ] = 1.0

    def __post_init__(self) -> None:
        for name, default in _defaults(self.cues).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, default)
        attribution.make_options(self.method, self.method_options)
        if self.cues is None:
            self._refuse(_FOR_CUES, "needs `cues`")
        else:
            self._refuse(_FOR_HEATMAPS, "is for heatmaps, not for `cues`")
        if self.cues != OUTSIDE and self.source_arm is None:
            self._refuse(("cue_outside",), "needs `cues='outside'`")
        if not self.needs_objects and self.source_arm is None:
            self._refuse(("object_share",), "needs `cues='outside'` or 'background'")
        require(
            self.control != "any_donor" or self.replacement == "exchange",
            "`control='any_donor'` needs `replacement='exchange'`.",
            self.replacement,
        )
        require(
            self.needs_donors or not self.keep_donors,
            "`keep_donors` needs cues that are spread, or `replacement='exchange'`.",
            self.keep_donors,
        )
        if self.cues in (BACKGROUND, PLANTED):
            self._refuse(("cue_evidence",), "is for cues of a network")
        if self.cues is not None:
            require(
                self.cue_rate is None or self.cue_action == "spread",
                "`cue_rate` needs `cue_action='spread'`.",
                self.cue_rate,
            )
            require(
                self.cue_action == "hide" or self.replacement != "exchange",
                "`replacement='exchange'` needs `cue_action='hide'`: with `spread`, another image "
                "gives the cue already.",
                self.replacement,
            )

    @property
    def source_arm(self) -> str | None:
        """The arm of the study in whose network the cues are found; None: not in one."""
        is_arm = self.cues is not None and self.cues.startswith(ARM)
        return self.cues.removeprefix(ARM) if self.cues is not None and is_arm else None

    @property
    def spreads(self) -> bool:
        """Whether ticked cues are pasted on other images."""
        return self.cues is not None and self.cue_action == "spread"

    @property
    def needs_donors(self) -> bool:
        """Whether other images take part in a proxy."""
        return self.spreads or self.replacement == "exchange"

    @property
    def needs_objects(self) -> bool:
        """Whether it must be known where the object is in some training images."""
        return self.cues in (OUTSIDE, BACKGROUND)

    @property
    def cue_folder(self) -> str | None:
        """The folder of the ticked cues; None: they come from elsewhere, or there are none."""
        from_elsewhere = self.cues in (None, OUTSIDE, BACKGROUND, PLANTED)
        return None if from_elsewhere or self.source_arm is not None else self.cues

    def changed(self, **changes: Any) -> Self:
        """Return the settings with some changed.

        Defaults that depend on `cues` follow it, unless they had been changed before.

        Raises:
            ValueError: A value breaks its rule.
        """
        kept = self.to_dict()
        for name, default in _defaults(self.cues).items():
            if kept[name] == default:
                del kept[name]
        return self.from_dict({**kept, **changes})

    def _refuse(self, names: tuple[str, ...], reason: str) -> None:
        """Raise ValueError if one of some settings differs from its default."""
        for name in names:
            default = getattr(type(self), name)
            value = getattr(self, name)
            require(value == default, f"`{name}` {reason}; leave it out.", value)


_FOR_CUES = ("cue_action", "cue_rate", "cue_evidence")
_FOR_HEATMAPS = (
    "method",
    "threshold",
    "subset",
    "select",
    "explain",
    "wrong_from",
    "region",
    "max_area",
    "smooth",
    "agree",
    "spare",
    "engine",
)
"""Settings that only apply to some masks."""
