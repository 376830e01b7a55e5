"""The options that settings of a training are given by, and the settings that they stand for."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from proxy_keras import attribution, models
from proxy_keras.augment import REPLACEMENTS
from proxy_keras.augment import names as augmentations
from proxy_keras.proxy.selection import SELECTS
from proxy_keras.settings.command_line import add_method_option
from proxy_keras.settings.config import (
    CONTROLS,
    PRECISIONS,
    PRESETS,
    STRATEGIES,
    WRONG_FROM,
    DataConfig,
    ProxyConfig,
    TrainConfig,
)

DATA = {f.name for f in dataclasses.fields(DataConfig)}
PROXY = {f.name for f in dataclasses.fields(ProxyConfig)}
TRAIN = {f.name for f in dataclasses.fields(TrainConfig)} - {"data", "proxy"}
DEFAULTS: dict[str, Any] = {
    **DataConfig("").to_dict(),
    **ProxyConfig().to_dict(),
    **TrainConfig(DataConfig("")).to_dict(),
}


def add_config_option(parser: argparse._ActionsContainer) -> None:
    """Adds `--config`, which `build_config` starts from."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="settings to start from, as a run's config.json has them; other options change them",
    )


def add_data_options(group: argparse._ArgumentGroup) -> None:
    """Adds what `DataConfig` holds."""
    _add(
        group,
        "--data",
        dest="source",
        metavar="SRC",
        help="digits, decoy_digits, a folder ROOT/CLASS/* or ROOT/{train,val,test}/CLASS/*, "
        "npz:FILE, or tfds:NAME",
    )
    _add(group, "--image-size", type=int, metavar="P", help="side in pixels")
    _add(group, "--split-seed", type=int, metavar="I", help="keys the split")
    _add(group, "--val", type=float, metavar="SHARE", help="share that validates")
    _add(group, "--test", type=float, metavar="SHARE", help="share that tests")
    _add(group, "--folds", type=int, metavar="K", help="validate by k-fold")
    _add(group, "--fold", type=int, metavar="I", help="the fold that validates, from 0")
    _add(
        group,
        "--shortcut",
        type=float,
        metavar="RATE",
        help="plant a corner patch that tells the class",
    )
    _add(
        group,
        "--val-shortcut",
        action=argparse.BooleanOptionalAction,
        help="that patch tells the class in validation images too, or nothing as in test",
    )
    _add(group, "--limit", type=int, metavar="N", help="training images to use, of all classes")
    _add(group, "--strict", action="store_true", help="unreadable images are an error")
    _add(group, "--data-dir", metavar="DIR", help="where prepared tfds data lie")


def add_recipe_options(group: argparse._ArgumentGroup) -> None:
    """Adds what `TrainConfig` holds itself."""
    _add(group, "--model", choices=models.names())
    _add(group, "--weights", metavar="none|imagenet|FILE", help="initial weights of the network")
    _add(group, "--freeze", action="store_true", help="train the head only")
    _add(
        group,
        "--head-epochs",
        type=int,
        metavar="N",
        help="epochs before all others in which only the head learns, 1 where weights are given",
    )
    _add(group, "--epochs", type=int, metavar="N")
    _add(group, "--batch-size", type=_number_or_auto(int), metavar="B|auto")
    _add(group, "--lr", type=_number_or_auto(float), metavar="LR|auto")
    _add(group, "--weight-decay", type=float, metavar="X")
    _add(
        group,
        "--one-cycle",
        action=argparse.BooleanOptionalAction,
        help="learning rate in one cycle, or constant",
    )
    _add(group, "--flip", type=float, metavar="CHANCE", help="of a horizontal flip")
    _add(group, "--rotation", type=float, metavar="DEGREES", help="largest, either way")
    _add(
        group,
        "--aug",
        dest="augment",
        action="append",
        metavar="NAME[:KEY=VALUE,...]",
        help=f"a further augmentation, any number of times: {', '.join(augmentations())}",
    )
    _add(
        group,
        "--aug-maps",
        dest="augment_maps",
        metavar="self:N|RUN|FILE",
        help="heatmaps for augmentations that need them: of the network itself every N epochs, or "
        "of a trained one, a run folder or FILE.keras",
    )
    _add(group, "--precision", choices=PRECISIONS)
    _add(
        group,
        "--strategy",
        choices=STRATEGIES,
        help="one device, those of this machine, or of the workers in the variable TF_CONFIG",
    )
    _add(
        group,
        "--replicas",
        type=int,
        metavar="N",
        help="how many devices; where there is no GPU, the CPU is split (default: all)",
    )
    _add(group, "--seed", type=int, metavar="I", help="keys everything but the split")


def add_proxy_options(group: argparse._ArgumentGroup) -> None:
    """Adds what `ProxyConfig` holds, and what stands for many of its settings."""
    _add(group, "--no-proxy", action="store_true", help="plain training")
    _add(group, "--control", choices=CONTROLS, help="a control instead of the method")
    _add(group, "--preset", choices=list(PRESETS), help="settings to start from")
    _add(
        group,
        "--schedule",
        metavar="S",
        help="'5,p,9,p,4' (p: an epoch with a step at its end, c: clear), 'every:N[,finish:SHARE]' "
        "or 'plateau:PATIENCE[,min_delta:X]'",
    )
    _add(group, "--method", choices=attribution.names())
    add_method_option(group)
    _add(group, "--threshold", type=float, metavar="X", help="heat at or above which pixels change")
    _add(group, "--weight", type=float, metavar="X", help="share of light removed where heat is 1")
    _add(group, "--subset", type=float, metavar="SHARE", help="share of the selected images")
    _add(group, "--replacement", choices=REPLACEMENTS)
    _add(group, "--select", choices=SELECTS)
    _add(group, "--explain", choices=("predicted", "true", "contrast"))
    _add(
        group,
        "--wrong-from",
        choices=WRONG_FROM,
        help="a pass over the originals, or the training steps themselves",
    )
    _add(group, "--region", choices=("hot", "cold"))
    _add(group, "--max-area", type=float, metavar="X", help="largest share of pixels to replace")
    _add(group, "--smooth", type=float, metavar="X", help="Gaussian on the map, in cells")
    _add(
        group,
        "--clear-every-step",
        action=argparse.BooleanOptionalAction,
        help="each step starts from no proxies, or keeps those that it does not renew",
    )
    _add(group, "--keep-epochs", type=int, metavar="N", help="proxies expire after N epochs")
    _add(group, "--show", type=float, metavar="X", help="chance that a proxy is shown in an epoch")
    _add(
        group,
        "--show-from",
        type=float,
        metavar="X",
        help="that chance in the first epoch, from where it goes evenly to --show",
    )
    _add(
        group,
        "--agree",
        action="store_true",
        help="only heat that the step before saw too counts",
    )
    _add(
        group,
        "--spare",
        type=float,
        metavar="X",
        help="leave images whose heat lies in the object's box by this share (data with boxes)",
    )
    _add(group, "--engine", choices=("compiled", "tf-keras-vis"))
    _add(group, "--target-layer", metavar="NAME", help="layer to explain")


def _add(group: argparse._ArgumentGroup, flag: str, help: str = "", **options: Any) -> None:
    """Adds an option whose help ends with its default, which `config` has."""
    default = DEFAULTS.get(flag.removeprefix("--").replace("-", "_"))
    if isinstance(default, bool):
        default = "on" if default else "off"
    # "data" and "proxy" are groups of settings, not options.
    if default is not None and not isinstance(default, dict):
        help = f"{help} (default: {default})".strip()
    group.add_argument(flag, help=help, **options)


def _number_or_auto(kind: type[int] | type[float]) -> Callable[[str], int | float | str]:
    def read(text: str) -> int | float | str:
        return text if text == "auto" else kind(text)

    read.__name__ = f"{kind.__name__} or auto"
    return read


def build_config(given: dict[str, Any]) -> TrainConfig:
    """The settings that the options of a new run stand for.

    Args:
        given: The options that were given, by their name in the configuration.

    Raises:
        ValueError: A setting breaks its rule, or options contradict each other.
    """
    given = dict(given)
    file: Path | None = given.pop("config", None)
    if file is not None:
        settings = _read_config(file)
        return changed(settings, with_absolute_paths({"source": settings.data.source, **given}))
    if "source" not in given:
        raise ValueError(
            "`--data` is needed: digits, decoy_digits, a folder, npz:FILE or tfds:NAME."
        )
    head_epochs = 0 if given.get("weights", "none") == "none" else 1
    defaults = TrainConfig(data=DataConfig(given["source"]), head_epochs=head_epochs)
    return changed(defaults, with_absolute_paths(given))


def _read_config(file: Path) -> TrainConfig:
    """The settings in a file.

    Raises:
        ValueError: It is not a file of settings.
    """
    try:
        return TrainConfig.load(file)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file} does not hold the settings of a training: {error}") from error


def with_absolute_paths(given: dict[str, Any]) -> dict[str, Any]:
    """Options with paths made absolute, so that a run goes on from wherever it is called."""
    return {name: _absolute(name, value) for name, value in given.items()}


def _absolute(name: str, value: Any) -> Any:
    prefix, found, path = (
        str(value).rpartition("npz:") if name == "source" else ("", "", str(value))
    )
    paths = ("source", "weights", "data_dir", "augment_maps")
    if name in paths and not prefix and Path(path).exists():
        return f"{found}{Path(path).resolve()}"
    return value


def changed(config: TrainConfig, given: dict[str, Any]) -> TrainConfig:
    """`config` with the options that were given."""
    data = {name: value for name, value in given.items() if name in DATA - {"seed"}}
    train = {name: value for name, value in given.items() if name in TRAIN}
    proxy = {name: value for name, value in given.items() if name in PROXY}
    if "split_seed" in given:
        data["seed"] = given["split_seed"]
    settings: ProxyConfig | None
    if "no_proxy" in given:
        useless = sorted({*proxy, *({"preset"} & set(given))})
        if useless:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in useless)
            raise ValueError(f"`--no-proxy` is plain training; leave out {options}.")
        settings = None
    else:
        proxy = {**PRESETS[given.get("preset", "thesis")], **proxy}
        settings = dataclasses.replace(config.proxy or ProxyConfig(), **proxy)
        if config.proxy is None and not proxy:
            settings = None
    return dataclasses.replace(
        config, data=dataclasses.replace(config.data, **data), proxy=settings, **train
    )
