"""Arms of a study: training recipes that differ only in what is compared."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from proxy_keras.augment import catalogue as augment
from proxy_keras.io.named_options import split_commas
from proxy_keras.settings import (
    CONTROLS,
    PRESETS,
    USUAL_CONTROLS,
    ProxyConfig,
    TrainConfig,
    declared,
)
from proxy_keras.settings.options import changed, with_absolute_paths
from proxy_keras.settings.robust import METHODS
from tuner.comparing.arm_names import PLAIN, PLUS, PROXY_ARM, base_name, parts
from tuner.comparing.cue_arms import check_source_arms

_SHARED = (
    "model",
    "weights",
    "freeze",
    "features",
    "head_epochs",
    "epochs",
    "batch_size",
    "seed",
    "strategy",
    "determinism",
)
_RECIPE_KEYS = {*declared(ProxyConfig), *declared(TrainConfig), "preset", "no_proxy"} - {*_SHARED}


@dataclass(frozen=True)
class Arm:
    """One recipe of a study.

    Attributes:
        name: Name in tables and figures.
        config: Training settings; the study sets `seed`.
    """

    name: str
    config: TrainConfig

    @property
    def folder(self) -> str:
        """The folder name of the arm."""
        return folder_name(self.name)


def folder_name(text: str) -> str:
    """Return a text without the characters that names of folders should not have."""
    return re.sub(r"[^\w.=-]+", "_", text)


_OPTION = re.compile(r"\w+\s*=")


def split_arms(text: str) -> list[str]:
    """Split at commas; `KEY=VALUE` after a comma is an option of the previous arm."""
    words: list[str] = []
    for part in split_commas(text):
        if words and _OPTION.match(part):
            words[-1] += f",{part}"
        else:
            words.append(part)
    return words


def make_arms(words: Sequence[str], base: TrainConfig, *, controls: bool) -> list[Arm]:
    """Return the arms of a study, given by words.

    A word is one of:
    - `none`, plain training;
    - `proxy` or one of `CONTROLS`, such as `random_mask`, with the proxy settings of the study, or
      with a preset as in `proxy:shortcut`;
    - an augmentation such as `cutmix` or `mixup:alpha=0.4`, without proxies;
    - a method against spurious correlations such as `jtt:epochs=1`, without proxies; or one of the
      above and a method, such as `proxy:shortcut+class_balanced`;
    - a YAML file that maps names of arms to the settings they change: those of `TrainConfig` and
      `ProxyConfig`, `preset`, and `no_proxy: true`. Arms with proxies are named `proxy:NAME`, and
      their controls `random_mask:NAME` and so on, so that the study can pair them.

    Args:
        words: Arms, in the order of the tables.
        base: Settings that all arms share.
        controls: Add the missing `USUAL_CONTROLS` of each `proxy` arm. `none` is always added.

    Raises:
        ValueError: A word is not an arm, two arms have the same name or settings, a recipe changes
            a setting that the arms of a study share, or an arm takes its cues from one that the
            study lacks or that depends on it.
        OSError: A file cannot be read.
    """
    arms: list[Arm] = []
    for word in words:
        is_file = word.endswith((".yaml", ".yml"))
        arms += _read_recipes(Path(word), base) if is_file else [_arm(word, base)]
    names = [arm.name for arm in arms]
    if PLAIN not in names:
        arms.insert(0, _arm(PLAIN, base))
    if controls:
        proxies = [arm for arm in arms if base_name(arm.name) == PROXY_ARM]
        wanted = [_control(arm, control) for arm in proxies for control in USUAL_CONTROLS]
        arms += [arm for arm in wanted if arm.name not in names]
    _check_distinct(arms)
    check_source_arms({arm.name: arm.config for arm in arms})
    specs = {spec for arm in arms for spec in arm.config.augmentations}
    if specs:
        # Values of their options are checked by the layers, which import TensorFlow.
        from proxy_keras.augment.registry import build

        for spec in specs:
            build(spec)
    return arms


def _control(arm: Arm, control: str) -> Arm:
    """Return a control of a proxy arm, which differs from it only in `control`."""
    proxy = dataclasses.replace(arm.config.proxy or ProxyConfig(), control=control)
    name = control + arm.name.removeprefix(PROXY_ARM)
    return Arm(name, dataclasses.replace(arm.config, proxy=proxy))


def _arm(word: str, base: TrainConfig) -> Arm:
    if both := parts(word):
        return Arm(word, dataclasses.replace(_arm(both[0], base).config, robust=both[1]))
    kind, _, rest = word.partition(":")
    if kind == PLAIN and not rest:
        return Arm(word, dataclasses.replace(base, proxy=None))
    if kind in (PROXY_ARM, *CONTROLS):
        if rest and rest not in PRESETS:
            raise ValueError(
                f"The preset of the arm {word!r} does not exist. Presets: {', '.join(PRESETS)}."
            )
        settings = ProxyConfig(**PRESETS[rest]) if rest else (base.proxy or ProxyConfig())
        control = None if kind == PROXY_ARM else kind
        return Arm(
            word, dataclasses.replace(base, proxy=dataclasses.replace(settings, control=control))
        )
    if kind in augment.names():
        return Arm(word, dataclasses.replace(base, proxy=None, augment=(*base.augment, word)))
    if kind in METHODS:
        return Arm(word, dataclasses.replace(base, proxy=None, robust=word))
    raise ValueError(
        f"Unknown arm {word!r}. Arms are {', '.join((PLAIN, PROXY_ARM, *CONTROLS))}, with a preset "
        f"as in 'proxy:shortcut'; {', '.join(augment.names())}; {', '.join(METHODS)}; one of the "
        f"first and one of the last, as in 'proxy{PLUS}class_balanced'; or a YAML file of recipes."
    )


def _read_recipes(file: Path, base: TrainConfig) -> list[Arm]:
    try:
        recipes = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is not valid YAML: {error}") from error
    if not isinstance(recipes, dict) or not all(
        isinstance(settings, dict) for settings in recipes.values()
    ):
        raise ValueError(
            f"{file} must map names of arms to their settings, such as "
            "'strong: {preset: shortcut, threshold: 0.3}'."
        )
    return [_recipe(str(name), settings, base, file) for name, settings in recipes.items()]


def _recipe(name: str, settings: dict[str, Any], base: TrainConfig, file: Path) -> Arm:
    if unknown := {str(key) for key in settings} - _RECIPE_KEYS:
        why = (
            "which all arms of a study share"
            if unknown & set(_SHARED)
            else f"which is not a recipe setting: {', '.join(sorted(_RECIPE_KEYS))}"
        )
        raise ValueError(f"The recipe {name!r} of {file} sets {', '.join(sorted(unknown))}, {why}.")
    given = {key: value for key, value in settings.items() if key != "no_proxy" or value}
    try:
        config = changed(base, with_absolute_paths(given))
    except ValueError as error:
        raise ValueError(f"The recipe {name!r} of {file}: {error}") from error
    wanted = None if config.proxy is None else config.proxy.control or PROXY_ARM
    if wanted is not None and base_name(name) != wanted:
        raise ValueError(
            f"The recipe {name!r} of {file} trains with {wanted.replace('_', ' ')}. Name it "
            f"'{wanted}:NAME', so that the study can pair it with its controls."
        )
    return Arm(name, config)


def _check_distinct(arms: Sequence[Arm]) -> None:
    for number, arm in enumerate(arms):
        for other in arms[:number]:
            if arm.name == other.name or arm.folder == other.folder:
                raise ValueError(f"Two arms share the name or folder {arm.folder!r}. Rename one.")
            if arm.config == other.config:
                raise ValueError(
                    f"The arms {other.name!r} and {arm.name!r} have the same settings."
                )
