"""Arms that train without cues: where these come from; and what had to be known for an arm."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from proxy_keras.settings import ProxyConfig, TrainConfig
from proxy_keras.settings.proxy_config import ARM, PLANTED

NOTHING = "none"


def source_arm(config: TrainConfig) -> str | None:
    """Return the name of the arm in whose network the cues are found; None: not in one."""
    return None if config.proxy is None else config.proxy.source_arm


def check_source_arms(configs: Mapping[str, TrainConfig]) -> None:
    """Check that the arms that give cues are there, and come before those that take them.

    Args:
        configs: The settings of all arms, by name.

    Raises:
        ValueError: An arm is missing, or arms wait for each other.
    """
    sources = {name: source_arm(config) for name, config in configs.items()}
    for name, source in sources.items():
        if source is not None and source not in configs:
            raise ValueError(
                f"The arm {name!r} takes its cues from the arm {source!r}, which must be in the "
                f"study. Received: {', '.join(configs)}. Add it, or use `cues: {ARM}{NOTHING}`."
            )
    for name in configs:
        chain = [name]
        while (source := sources[chain[-1]]) is not None:
            chain.append(source)
            if source == name:
                raise ValueError(
                    "Arms must not take their cues from each other in a circle. Received: "
                    f"{' from '.join(chain)}. Use `cues: {ARM}{NOTHING}` in one of them."
                )
            if source in chain[:-1]:
                break  # The circle is reported for an arm that is part of it.


def check_cue_folders(configs: Mapping[str, TrainConfig]) -> None:
    """Check that the folders of cues exist, before each training run fails on it.

    Raises:
        ValueError: One does not.
    """
    for name, config in configs.items():
        folder = None if config.proxy is None else _folder(config.proxy)
        if folder is not None and not (folder / "cues.json").is_file():
            raise ValueError(
                f"The arm {name!r} needs a folder of cues with a cues.json. Received: "
                f"{str(folder)!r}. Make it with python -m proxy_keras.cues."
            )


def supervision(config: TrainConfig) -> str:
    """Return what an arm was told beside the classes, in a few words."""
    method = config.robust_method
    told = (_told_for_proxies(config.proxy), None if method is None else method.supervision)
    return "; ".join(text for text in told if text is not None) or NOTHING


def _told_for_proxies(proxy: ProxyConfig | None) -> str | None:
    if proxy is None:
        return None
    if proxy.cues == PLANTED:
        return "the planted shortcut"
    if proxy.needs_objects or proxy.source_arm is not None:
        return f"objects of {100.0 * proxy.object_share:g}% of the training images"
    if (folder := _folder(proxy)) is not None:
        return f"ticked cues in {folder.name}"
    return None if proxy.spare is None else "objects of all training images"


def _folder(proxy: ProxyConfig) -> Path | None:
    """Return the folder of cues of an arm; None: it has none."""
    return None if proxy.cue_folder is None else Path(proxy.cue_folder)
