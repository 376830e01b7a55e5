"""Writes the option tables of docs/train.md and docs/robust.md from the declared settings.

python docs/option_tables.py
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

# The packages of the repository, without an installation.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from proxy_keras.settings import DataConfig, Declared, ProxyConfig, TrainConfig, declared
from proxy_keras.settings.robust import METHODS
from proxy_keras.settings.wording import default_text, rule_text

PAGES = ("train.md", "robust.md")
CLASSES = {"data": DataConfig, "recipe": TrainConfig, "proxies": ProxyConfig}
METHOD_TABLE = "methods"
SEE = {
    "augment": "See [augmentations](augmentations.md).",
    "method": "See [explanations](explanations.md).",
    "robust": "See [methods against spurious correlations](robust.md).",
    "strategy": "See [several devices](distributed.md).",
}
"""Page that explains the names a setting takes."""

_TABLE = re.compile(r"(?<=<!-- options: )(\w+)( -->\n).*?(?=\n<!-- /options -->)", re.DOTALL)


def option_table(cls: type) -> str:
    """Return a Markdown table of the options of the settings that a class declares."""
    rows = [f"| {_option(s)} | {_default(s)} | {_meaning(s)} |" for s in declared(cls).values()]
    return "\n".join(["| option | default | meaning |", "|---|---|---|", *rows])


def method_table() -> str:
    """Return a Markdown table of the options of the methods against spurious correlations."""
    rows = [
        f"| `{name}` | `{s.name}` | {_default(s)} | {_meaning(s)} |"
        for name, method in METHODS.items()
        for s in declared(method).values()
    ]
    return "\n".join(["| method | option | default | meaning |", "|---|---|---|---|", *rows])


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

    def table(match: re.Match[str]) -> str:
        made = method_table() if match[1] == METHOD_TABLE else option_table(CLASSES[match[1]])
        return f"{match[1]}{match[2]}\n{made}\n"

    return _TABLE.sub(table, page)


if __name__ == "__main__":
    for name in PAGES:
        path = Path(__file__).with_name(name)
        path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")
