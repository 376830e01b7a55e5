"""`python -m proxy_keras.train`: trains a classifier with proxies, into a run folder."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from proxy_keras import attribution, models
from proxy_keras import run as runs
from proxy_keras.augment import REPLACEMENTS
from proxy_keras.command_line import add_method_option
from proxy_keras.config import (
    CONTROLS,
    PRECISIONS,
    PRESETS,
    WRONG_FROM,
    DataConfig,
    ProxyConfig,
    TrainConfig,
)
from proxy_keras.selection import SELECTS

DATA = {f.name for f in dataclasses.fields(DataConfig)}
PROXY = {f.name for f in dataclasses.fields(ProxyConfig)}
TRAIN = {f.name for f in dataclasses.fields(TrainConfig)} - {"data", "proxy"}
DEFAULTS: dict[str, Any] = {
    **DataConfig("").to_dict(),
    **ProxyConfig().to_dict(),
    **TrainConfig(DataConfig("")).to_dict(),
}


def build_parser() -> argparse.ArgumentParser:
    """The parser; options that are not given leave no trace, so that defaults stay in `config`."""
    parser = argparse.ArgumentParser(
        prog="python -m proxy_keras.train",
        description="Trains an image classifier with Proxy Attention, into a run folder.",
        argument_default=argparse.SUPPRESS,
    )
    _add_run_options(parser)
    _add_data_options(parser.add_argument_group("data"))
    _add_recipe_options(parser.add_argument_group("network and recipe"))
    _add_proxy_options(parser.add_argument_group("proxies"))
    return parser


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the run folder; new or empty"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the last checkpoint in DIR, with the settings saved there",
    )
    parser.add_argument("--quiet", action="store_true", help="print the result only")


def _add_data_options(group: argparse._ArgumentGroup) -> None:
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
    _add(group, "--strict", action="store_true", help="unreadable images are an error")
    _add(group, "--data-dir", metavar="DIR", help="where prepared tfds data lie")


def _add_recipe_options(group: argparse._ArgumentGroup) -> None:
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
    _add(group, "--precision", choices=PRECISIONS)
    _add(group, "--seed", type=int, metavar="I", help="keys everything but the split")


def _add_proxy_options(group: argparse._ArgumentGroup) -> None:
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
    if "source" not in given:
        raise ValueError(
            "`--data` is needed: digits, decoy_digits, a folder, npz:FILE or tfds:NAME."
        )
    head_epochs = 0 if given.get("weights", "none") == "none" else 1
    defaults = TrainConfig(data=DataConfig(given["source"]), head_epochs=head_epochs)
    return _changed(defaults, {name: _absolute(name, value) for name, value in given.items()})


def _absolute(name: str, value: Any) -> Any:
    """Paths made absolute, so that a run goes on from wherever `--resume` is called."""
    prefix, found, path = (
        str(value).rpartition("npz:") if name == "source" else ("", "", str(value))
    )
    if name in ("source", "weights", "data_dir") and not prefix and Path(path).exists():
        return f"{found}{Path(path).resolve()}"
    return value


def resumed_config(folder: Path, given: dict[str, Any]) -> TrainConfig:
    """The settings saved in a run folder.

    Args:
        folder: A run folder that has begun.
        given: Options given beside `--resume`. They must say what the run was started with; "auto"
            stands for what was measured then.

    Raises:
        ValueError: An option says something else.
    """
    saved = TrainConfig.load(folder / "config.json")
    given = {name: _absolute(name, value) for name, value in given.items() if value != "auto"}
    asked = _changed(saved, given)
    before, now = _flat(saved.to_dict()), _flat(asked.to_dict())
    differing = [
        f"{name} was {before.get(name)!r}, now {now.get(name)!r}"
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    ]
    if differing:
        raise ValueError(
            f"{folder} was started with other settings: {'; '.join(differing)}. Leave these "
            "options out to go on with it, or give another --out."
        )
    return saved


def _changed(config: TrainConfig, given: dict[str, Any]) -> TrainConfig:
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


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command, and returns its exit code: 0 done, 2 bad arguments or data."""
    given = vars(build_parser().parse_args(arguments))
    folder: Path = given.pop("out")
    resume, verbose = given.pop("resume", False), int(not given.pop("quiet", False))
    try:
        if resume and (metrics := runs.finished_metrics(folder)) is not None:
            resumed_config(folder, given)
            print(_result(metrics, folder))
            return 0
        if runs.has_begun(folder):
            if not resume:
                raise ValueError(
                    f"{folder} already holds a run. Add --resume to go on with it, or give "
                    "another --out."
                )
            config = resumed_config(folder, given)
        else:
            if folder.exists() and any(folder.iterdir()) and not resume:
                raise ValueError(f"{folder} is not empty. Give a new or empty folder as --out.")
            config = build_config(given)
        prepared = runs.prepare(config, folder, verbose=verbose)
    except (ValueError, OSError, MemoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        metrics = runs.train(prepared, verbose=verbose)
    except KeyboardInterrupt:
        print(f"\nstopped. Go on with: python -m proxy_keras.train --resume --out {folder}")
        return 130
    except FloatingPointError as error:
        print(f"error: the training has diverged: {error} Lower --lr.", file=sys.stderr)
        return 2
    print(_result(metrics, folder))
    return 0


def _result(metrics: dict[str, Any], folder: Path) -> str:
    return (
        f"accuracy: {metrics['val']['accuracy']:.1%} validation, "
        f"{metrics['test']['accuracy']:.1%} test; {metrics['proxies_made']} proxies made; "
        f"run folder: {folder}"
    )


if __name__ == "__main__":
    sys.exit(main())
