"""Arms of a study: recipes that differ in what is compared, and in nothing else."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from proxy_keras.augment import catalogue as augment
from proxy_keras.settings import CONTROLS, PRESETS, ProxyConfig, TrainConfig, declared
from proxy_keras.settings.options import changed

PLAIN = "none"
PROXY_ARM = "proxy"
_SHARED = ("model", "weights", "freeze", "head_epochs", "epochs", "batch_size", "seed", "strategy")
_RECIPE_KEYS = {*declared(ProxyConfig), *declared(TrainConfig), "preset", "no_proxy"} - {*_SHARED}


@dataclass(frozen=True)
class Arm:
    """One recipe of a study.

    Attributes:
        name: Its name in tables and figures.
        config: Its settings; the study sets `seed`.
    """

    name: str
    config: TrainConfig

    @property
    def folder(self) -> str:
        """Its name as the name of a folder."""
        return re.sub(r"[^\w.=-]+", "_", self.name)


_OPTION = re.compile(r"\w+\s*=")


def split_arms(text: str) -> list[str]:
    """The arms that commas separate; `KEY=VALUE` after a comma is an option of the arm before."""
    words: list[str] = []
    for part in augment.split_commas(text):
        if words and _OPTION.match(part):
            words[-1] += f",{part}"
        else:
            words.append(part)
    return words


def make_arms(words: Sequence[str], base: TrainConfig, *, controls: bool) -> list[Arm]:
    """The arms that the words stand for.

    A word is `none` (plain training); `proxy` or one of its controls, `random_mask`, `erasing` and
    `proxies_off`, with the study's own proxy settings, or with a preset's as `proxy:shortcut`; an
    augmentation such as `cutmix` or `mixup:alpha=0.4`, without proxies; or a YAML file of recipes,
    which maps the name of an arm to settings that it changes: those of `TrainConfig` and
    `ProxyConfig`, `preset`, and `no_proxy: true`. One with proxies is named `proxy:NAME`, and one
    of its controls `random_mask:NAME` and the like, by which a study holds them together.

    Args:
        words: Arms, in the order of the tables.
        base: What all arms share.
        controls: Add all controls of each `proxy` arm where they are missing. `none`, which all are
            compared with, is always added.

    Raises:
        ValueError: A word stands for no arm, two arms have one name or settings, or a recipe
            changes what the arms of a study share.
        OSError: A file cannot be read.
    """
    arms: list[Arm] = []
    for word in words:
        arms += _read_recipes(Path(word), base) if _is_file(word) else [_arm(word, base)]
    names = [arm.name for arm in arms]
    if PLAIN not in names:
        arms.insert(0, _arm(PLAIN, base))
    if controls:
        proxies = [arm for arm in arms if _kind(arm.name) == PROXY_ARM]
        wanted = [_control(arm, control) for arm in proxies for control in CONTROLS]
        arms += [arm for arm in wanted if arm.name not in names]
    _check_distinct(arms)
    specs = {spec for arm in arms for spec in arm.config.augmentations}
    if specs:
        # Their options are checked by the layers, which import TensorFlow.
        from proxy_keras.augment.registry import build

        for spec in specs:
            build(spec)
    return arms


def _kind(name: str) -> str:
    return name.partition(":")[0]


def _control(arm: Arm, control: str) -> Arm:
    """A proxy arm's control, which differs from it in nothing else."""
    proxy = dataclasses.replace(arm.config.proxy or ProxyConfig(), control=control)
    name = control + arm.name.removeprefix(PROXY_ARM)
    return Arm(name, dataclasses.replace(arm.config, proxy=proxy))


def _is_file(word: str) -> bool:
    return word.endswith((".yaml", ".yml"))


def _arm(word: str, base: TrainConfig) -> Arm:
    kind, _, rest = word.partition(":")
    if kind == PLAIN and not rest:
        return Arm(word, dataclasses.replace(base, proxy=None))
    if kind in (PROXY_ARM, *CONTROLS):
        if rest and rest not in PRESETS:
            raise ValueError(
                f"The arm {word!r} names no preset. Presets are: {', '.join(PRESETS)}."
            )
        settings = ProxyConfig(**PRESETS[rest]) if rest else (base.proxy or ProxyConfig())
        control = None if kind == PROXY_ARM else kind
        return Arm(
            word, dataclasses.replace(base, proxy=dataclasses.replace(settings, control=control))
        )
    if kind in augment.names():
        return Arm(word, dataclasses.replace(base, proxy=None, augment=(*base.augment, word)))
    raise ValueError(
        f"There is no arm {word!r}. Arms are {', '.join((PLAIN, PROXY_ARM, *CONTROLS))}, with a "
        f"preset as 'proxy:shortcut'; {', '.join(augment.names())}; or a YAML file of recipes."
    )


def _read_recipes(file: Path, base: TrainConfig) -> list[Arm]:
    try:
        recipes = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is not YAML: {error}") from error
    if not isinstance(recipes, dict) or not all(
        isinstance(settings, dict) for settings in recipes.values()
    ):
        raise ValueError(
            f"{file} must map the name of each arm to its settings, such as "
            "'strong: {preset: shortcut, threshold: 0.3}'."
        )
    return [_recipe(str(name), settings, base, file) for name, settings in recipes.items()]


def _recipe(name: str, settings: dict[str, Any], base: TrainConfig, file: Path) -> Arm:
    if unknown := {str(key) for key in settings} - _RECIPE_KEYS:
        why = (
            "that all arms of a study share"
            if unknown & set(_SHARED)
            else f"that is no setting of a recipe: {', '.join(sorted(_RECIPE_KEYS))}"
        )
        raise ValueError(f"The recipe {name!r} of {file} sets {', '.join(sorted(unknown))}, {why}.")
    given = {key: value for key, value in settings.items() if key != "no_proxy" or value}
    try:
        config = changed(base, given)
    except ValueError as error:
        raise ValueError(f"The recipe {name!r} of {file}: {error}") from error
    wanted = None if config.proxy is None else config.proxy.control or PROXY_ARM
    if wanted is not None and _kind(name) != wanted:
        raise ValueError(
            f"The recipe {name!r} of {file} trains with {wanted.replace('_', ' ')}: name it "
            f"'{wanted}:NAME', by which the study compares it with what belongs to it."
        )
    return Arm(name, config)


def _check_distinct(arms: Sequence[Arm]) -> None:
    for number, arm in enumerate(arms):
        for other in arms[:number]:
            if arm.name == other.name or arm.folder == other.folder:
                raise ValueError(f"There are two arms {arm.name!r}. Give each its own name.")
            if arm.config == other.config:
                raise ValueError(
                    f"The arms {other.name!r} and {arm.name!r} have the very same settings."
                )
