"""Writes the option tables of docs/train.md from the declared settings.

python docs/option_tables.py
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

# The packages of the repository, without an installation.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from proxy_keras.settings import DataConfig, Declared, ProxyConfig, TrainConfig, declared
from proxy_keras.settings.wording import default_text, rule_text

PAGE = Path(__file__).with_name("train.md")
CLASSES = {"data": DataConfig, "recipe": TrainConfig, "proxies": ProxyConfig}
SEE = {
    "augment": "See [augmentations](augmentations.md).",
    "method": "See [explanations](explanations.md).",
    "strategy": "See [several devices](distributed.md).",
}
"""Page that explains the names a setting takes."""

_TABLE = re.compile(r"(?<=<!-- options: )(\w+)( -->\n).*?(?=\n<!-- /options -->)", re.DOTALL)


def option_table(cls: type) -> str:
    """Return a Markdown table of the options of the settings that a class declares."""
    rows = [f"| {_option(s)} | {_default(s)} | {_meaning(s)} |" for s in declared(cls).values()]
    return "\n".join(["| option | default | meaning |", "|---|---|---|", *rows])


def _option(setting: Declared) -> str:
    metavar = setting.about.metavar.replace("|", "\\|")
    metavar = f"[{metavar}]" if metavar and setting.is_flag else metavar
    option = f"`{setting.option} {metavar}`" if metavar else f"`{setting.option}`"
    return f"{option}, `--no-{setting.option[2:]}`" if setting.default is True else option


def _default(setting: Declared) -> str:
    text = default_text(setting)
    return f"`{text}`" if isinstance(setting.default, str) else text


def _meaning(setting: Declared) -> str:
    parts = [setting.about.help]
    if setting.is_number:
        rule = re.sub("'(.+)'", r"`\1`", rule_text(setting))
        parts.append(f"{rule[0].upper()}{rule[1:]}.")
    elif setting.name not in ("augment", "method") and (names := _names(setting)):
        parts.append(f"One of {', '.join(f'`{name}`' for name in names)}.")
    if setting.name in SEE:
        parts.append(SEE[setting.name])
    return " ".join(parts)


def _names(setting: Declared) -> tuple[str, ...]:
    """Return the names that a setting takes, unless its help explains them."""
    return setting.about.names or (setting.choices if rule_text(setting) else ())


def with_tables(page: str) -> str:
    """Return the page with new tables between its `options` and `/options` comments."""
    return _TABLE.sub(
        lambda match: f"{match[1]}{match[2]}\n{option_table(CLASSES[match[1]])}\n", page
    )


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
