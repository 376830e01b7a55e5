"""ProxyConfig: the hyper-parameters of Proxy Attention, and presets of them."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from proxy_keras.attribution import catalogue as attribution
from proxy_keras.augment import catalogue as augment
from proxy_keras.settings.declaration import (
    Count,
    NonNegative,
    OneOf,
    PositiveShare,
    Rule,
    Setting,
    Share,
    settings,
)
from proxy_keras.settings.json_settings import JsonSettings
from proxy_keras.settings.schedule import parse

CONTROLS = ("random_mask", "erasing", "proxies_off")


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
            "fifth. `plateau:3,min_delta:0.01,monitor:val_loss`: after three epochs without "
            "improvement.",
            metavar="S",
        ),
    ] = "every:5"
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
            "`blur` or `noise`.",
            metavar="R",
        ),
    ] = "blended"
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
        ),
    ] = 1.0
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
            "`proxies_off`: all the work, but originals are shown.",
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

    def __post_init__(self) -> None:
        attribution.make_options(self.method, self.method_options)


PRESETS: dict[str, dict[str, Any]] = {
    "thesis": {},
    "shortcut": {
        "schedule": "every:3,finish:0.2",
        "select": "all",
        "subset": 1.0,
        "show": 0.5,
        "threshold": 0.5,
        "weight": 1.0,
        # `blended` keeps the hue of a dimmed patch, which a network can still read.
        "replacement": "black",
    },
}
"""Named settings: what differs from the defaults of `ProxyConfig`."""
