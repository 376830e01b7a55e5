"""The settings of the method and of a training, checked at the door, to and from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, ClassVar

from proxy_keras.settings.json_settings import JsonSettings, require
from proxy_keras.settings.map_source import refresh_every

CONTROLS: tuple[str, ...] = ("random_mask", "erasing", "proxies_off")
WRONG_FROM: tuple[str, ...] = ("evaluation", "train")
PRECISIONS: tuple[str, ...] = ("auto", "float32", "mixed_float16", "mixed_bfloat16")
STRATEGIES: tuple[str, ...] = ("none", "mirrored", "multi_worker")


@dataclass(frozen=True)
class DataConfig(JsonSettings):
    """Where the images come from, and how they are split.

    Attributes:
        source: `digits`, `decoy_digits`, a folder, `npz:FILE` or `tfds:NAME`.
        image_size: Side in pixels; None: what is natural for the source.
        seed: Keys the split and everything random in the data.
        val: Share of the training part that becomes the validation split, in (0, 1).
        test: Share that becomes the test split where the source has none, in (0, 1).
        folds: Number of folds, >= 2, for a validation split by k-fold; None: by share.
        fold: Which fold validates, from 0.
        shortcut: Share of training images whose class a planted corner patch tells, in [0, 1];
            None: no patch.
        val_shortcut: Whether that patch tells the class in validation images too; False: it tells
            nothing there, as in the test split.
        limit: Number of training images to use, of each class its share; None: all.
        strict: Any unreadable image is an error, instead of being listed and left out.
        data_dir: Where prepared `tfds:` data lie; None: the library's own place.
    """

    source: str
    image_size: int | None = None
    seed: int = 0
    val: float = 0.15
    test: float = 0.15
    folds: int | None = None
    fold: int | None = None
    shortcut: float | None = None
    val_shortcut: bool = True
    limit: int | None = None
    strict: bool = False
    data_dir: str | None = None

    def __post_init__(self) -> None:
        size = self.image_size
        require(self.seed >= 0, "`seed` of the split must be >= 0.", self.seed)
        require(size is None or size >= 8, "`image_size` must be >= 8 pixels.", size)
        for name in ("val", "test"):
            share = getattr(self, name)
            require(0.0 < share < 1.0, f"`{name}` must be in (0, 1).", share)
        if self.folds is not None or self.fold is not None:
            folds, fold = self.folds, self.fold
            require(
                folds is not None and fold is not None and folds >= 2 and 0 <= fold < folds,
                "`folds` must be >= 2, and `fold` one of 0 to folds - 1.",
                (folds, fold),
            )
        limit, rate = self.limit, self.shortcut
        require(limit is None or limit >= 1, "`limit` must be >= 1 images.", limit)
        require(rate is None or 0.0 <= rate <= 1.0, "`shortcut` must be in [0, 1].", rate)


@dataclass(frozen=True)
class ProxyConfig(JsonSettings):
    """The hyper-parameters of Proxy Attention; the defaults are the thesis's.

    Attributes:
        schedule: When steps run, such as "5,p,9,p,4", "every:3" or "plateau:3".
        method: Attribution method: a name of `attribution.names()`.
        threshold: Heat at or above which a pixel is replaced, in [0, 1].
        weight: Share of light removed where heat is 1 (`blended` only), in [0, 1].
        subset: Share of the selected images that get a proxy, in (0, 1].
        replacement: `blended`, `mean`, `max`, `min`, `halfmax`, `black`, `white`, `blur`, `noise`.
        select: `wrong`, `loss`, `margin`, `random` or `all`.
        explain: Which class the heatmap explains: `predicted`, `true` or `contrast`.
        wrong_from: `evaluation`: a pass over the originals at the end of the epoch. `train`: what
            the model said, and where it looked, in the training steps of that epoch, without a
            pass of its own: in training mode, on the images as they were served, and with the
            weights of each step. For heads of global average pooling and one Dense layer.
        region: `hot`, or `cold`: the background is attenuated instead, where
            `heat <= 1 - threshold`, as if `1 - heat` were the heatmap.
        max_area: Largest share of an image's pixels to replace, in (0, 1]; None: no cap.
        smooth: Standard deviation of a Gaussian on the map, in cells; 0: none.
        clear_every_step: Each step starts from no proxies; False: an image keeps its heatmap until
            a later step gives it a new one.
        keep_epochs: Epochs after which a proxy expires, >= 1; None: never.
        show: Chance, drawn anew each epoch, that an image with a proxy is shown as its proxy, in
            (0, 1].
        show_from: That chance in the first epoch, in [0, 1]; it goes evenly to `show`, which it
            reaches in the last. None: `show` in all epochs.
        agree: Only heat that the step before saw too counts: the smaller of both maps. An image
            that was not explained then is left as it is.
        spare: Images whose heat lies in the object's box by at least this share are left as they
            are, in (0, 1]; None: none is. For data with boxes.
        engine: `compiled`, or `tf-keras-vis`, the slower reference.
        target_layer: Layer whose activations are explained; None: found by itself.
        control: None, or a control of a comparison: `random_mask` (the same maps, exchanged among
            the images and shifted at random), `erasing` (in each image a square of the same mean
            area at random), `proxies_off` (all the work, but the originals are served).
        method_options: Options of the attribution method, by name.
    """

    schedule: str = "every:5"
    method: str = "grad_cam_plus_plus"
    threshold: float = 0.85
    weight: float = 0.1
    subset: float = 0.2
    replacement: str = "blended"
    select: str = "wrong"
    explain: str = "predicted"
    wrong_from: str = "evaluation"
    region: str = "hot"
    max_area: float | None = None
    smooth: float = 0.0
    clear_every_step: bool = True
    keep_epochs: int | None = None
    show: float = 1.0
    show_from: float | None = None
    agree: bool = False
    spare: float | None = None
    engine: str = "compiled"
    target_layer: str | None = None
    control: str | None = None
    method_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("threshold", "weight"):
            value = getattr(self, name)
            require(0.0 <= value <= 1.0, f"`{name}` must be in [0, 1].", value)
        for name in ("subset", "show"):
            value = getattr(self, name)
            require(0.0 < value <= 1.0, f"`{name}` must be in (0, 1].", value)
        area, keep = self.max_area, self.keep_epochs
        start, spare = self.show_from, self.spare
        require(start is None or 0.0 <= start <= 1.0, "`show_from` must be in [0, 1].", start)
        require(spare is None or 0.0 < spare <= 1.0, "`spare` must be in (0, 1].", spare)
        require(area is None or 0.0 < area <= 1.0, "`max_area` must be in (0, 1].", area)
        require(0.0 <= self.smooth < inf, "`smooth` must be >= 0 (cells).", self.smooth)
        require(keep is None or keep >= 1, "`keep_epochs` must be >= 1.", keep)
        require(
            self.wrong_from in WRONG_FROM,
            f"`wrong_from` must be one of {', '.join(WRONG_FROM)}.",
            self.wrong_from,
        )
        require(self.region in ("hot", "cold"), "`region` must be 'hot' or 'cold'.", self.region)
        require(
            self.control is None or self.control in CONTROLS,
            f"`control` must be None or one of {', '.join(CONTROLS)}.",
            self.control,
        )


PRESETS: dict[str, dict[str, Any]] = {
    "thesis": {},
    "shortcut": {
        "schedule": "every:3,finish:0.2",
        "select": "all",
        "subset": 1.0,
        "show": 0.5,
        "threshold": 0.5,
        "weight": 1.0,
        # `blended` leaves the hue of a dimmed patch, which a network can still read.
        "replacement": "black",
    },
}
"""Named settings: what differs from the defaults of `ProxyConfig`."""


@dataclass(frozen=True)
class TrainConfig(JsonSettings):
    """A whole training; the defaults are the thesis's recipe.

    Attributes:
        data: See `DataConfig`.
        proxy: See `ProxyConfig`; None: plain training.
        model: A name of `models.names()`.
        weights: `none`, `imagenet`, or a file of weights.
        freeze: Only the head is trained.
        head_epochs: Epochs in which only the head is trained, before all others and not counted
            in `epochs`, >= 0.
        epochs: Epochs, >= 1.
        batch_size: Examples per step, >= 1, or "auto".
        lr: Learning rate > 0 (the one-cycle peak is twice that), or "auto".
        weight_decay: AdamW's, >= 0.
        one_cycle: Whether the learning rate follows one cycle; else it is constant.
        flip: Chance of a horizontal flip, in [0, 1].
        rotation: Largest rotation either way, degrees, in [0, 180].
        augment: Further augmentations after these, in their order: names of `augment.names()`,
            with options as "mixup:alpha=0.4".
        augment_maps: Where the heatmaps come from for those that need them (others leave it
            unused): "self:N", the network itself, explained every N epochs; or a teacher: a run
            folder or a `.keras` file. None: there are none.
        precision: `auto`, `float32`, `mixed_float16` or `mixed_bfloat16`.
        strategy: `none`: one device. `mirrored`: all devices of this machine. `multi_worker`:
            those of several machines, see `distribution.make_team`.
        replicas: Devices that train together, >= 1, which share each batch; None: all there are.
        seed: Keys initial weights, dropout, order and augmentation.
    """

    NESTED: ClassVar[dict[str, type[JsonSettings]]] = {"data": DataConfig, "proxy": ProxyConfig}

    data: DataConfig
    proxy: ProxyConfig | None = field(default_factory=ProxyConfig)
    model: str = "resnet18"
    weights: str = "none"
    freeze: bool = False
    head_epochs: int = 0
    epochs: int = 20
    batch_size: int | str = 64
    lr: float | str = 1e-3
    weight_decay: float = 1e-5
    one_cycle: bool = True
    flip: float = 0.5
    rotation: float = 10.0
    augment: tuple[str, ...] = ()
    augment_maps: str | None = None
    precision: str = "auto"
    strategy: str = "none"
    replicas: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.epochs >= 1, "`epochs` must be >= 1.", self.epochs)
        require(self.head_epochs >= 0, "`head_epochs` must be >= 0.", self.head_epochs)
        size, lr = self.batch_size, self.lr
        size_ok = size == "auto" if isinstance(size, str) else size >= 1
        require(size_ok, "`batch_size` must be >= 1, or 'auto'.", size)
        lr_ok = lr == "auto" if isinstance(lr, str) else 0.0 < lr < inf
        require(lr_ok, "`lr` must be > 0, or 'auto'.", lr)
        require(0.0 <= self.weight_decay < inf, "`weight_decay` must be >= 0.", self.weight_decay)
        require(0.0 <= self.flip <= 1.0, "`flip` must be in [0, 1].", self.flip)
        require(0.0 <= self.rotation <= 180.0, "`rotation` must be in [0, 180].", self.rotation)
        # JSON and the command line give lists.
        object.__setattr__(self, "augment", tuple(self.augment))
        if self.augment_maps is not None:
            refresh_every(self.augment_maps)
        recorded = self.proxy is not None and self.proxy.wrong_from == "train"
        require(
            not (self.augment and recorded),
            "`wrong_from='train'` needs images that show one class each: leave out `augment`.",
            self.augment,
        )
        require(
            self.precision in PRECISIONS,
            f"`precision` must be one of {', '.join(PRECISIONS)}.",
            self.precision,
        )
        self._check_strategy(recorded)
        require(self.seed >= 0, "`seed` must be >= 0.", self.seed)

    def _check_strategy(self, recorded: bool) -> None:
        strategy, replicas = self.strategy, self.replicas
        require(
            strategy in STRATEGIES, f"`strategy` must be one of {', '.join(STRATEGIES)}.", strategy
        )
        require(replicas is None or replicas >= 1, "`replicas` must be >= 1.", replicas)
        if strategy == "none":
            require(replicas is None, "`replicas` needs `strategy='mirrored'`.", replicas)
            return
        for name in ("batch_size", "lr"):
            require(
                getattr(self, name) != "auto",
                f"`{name}='auto'` measures one device. Find it with `strategy='none'`.",
                "auto",
            )
        require(
            not recorded,
            f"`wrong_from='train'` records the steps of one device. With `strategy='{strategy}'` "
            "use `wrong_from='evaluation'`.",
            "train",
        )
