"""Settings in words: their rule, their default, and help texts."""

from __future__ import annotations

import dataclasses
import textwrap

from annotated_types import Ge, Gt, Le, Lt

from proxy_keras.settings.declaration import Declared, declared


def default_text(setting: Declared) -> str:
    """Return the default in words; empty where there is none."""
    default = setting.default
    if isinstance(default, bool):
        return "on" if default else "off"
    if default is None:
        return setting.about.unset
    if default is dataclasses.MISSING or isinstance(default, dict | tuple):
        return ""
    return f"{default:g}" if isinstance(default, float) else str(default)


def rule_text(setting: Declared) -> str:
    """Return bounds, or the names where the help does not explain them all; else empty."""
    if setting.is_number:
        return required(setting, "")
    is_explained = all(f"`{name}`" in setting.about.help for name in setting.choices)
    return "" if is_explained else required(setting, None)


def required(setting: Declared, value: object) -> str:
    """Return what a value must be, without the parts of the rule that `value` meets."""
    if setting.is_flag:
        return "true, false or a text" if str in setting.parts else "true or false"
    choices = setting.choices
    if not setting.is_number:
        return f"one of {', '.join(choices)}" if choices else _kind(setting)
    is_right = isinstance(value, int | float) and not isinstance(value, bool)
    if setting.is_whole and isinstance(value, float):
        is_right = value.is_integer()
    words = [] if is_right else ["a whole number" if setting.is_whole else "a number"]
    words += [text for text in (_bounds(setting), setting.about.unit) if text]
    rule = " ".join(words) or "a finite number"
    return rule + "".join(f", or {name!r}" for name in choices)


def _kind(setting: Declared) -> str:
    if dict in setting.parts:
        return "a mapping of names to values"
    return "a list of texts, such as ['cutmix']" if tuple in setting.parts else "text"


def _bounds(setting: Declared) -> str:
    bounds = {type(part): part for part in setting.parts}
    low, high = bounds.get(Ge) or bounds.get(Gt), bounds.get(Le) or bounds.get(Lt)
    if low is None:
        return ""
    least = low.ge if isinstance(low, Ge) else low.gt
    if high is None:
        return f"{'>=' if isinstance(low, Ge) else '>'} {least:g}"
    most = high.le if isinstance(high, Le) else high.lt
    left, right = "[" if isinstance(low, Ge) else "(", "]" if isinstance(high, Le) else ")"
    return f"in {left}{least:g}, {most:g}{right}"


def option_help(setting: Declared) -> str:
    """Return the help of an option: what it does, the names it takes, its default."""
    text = setting.about.help.replace("`", "")
    names = setting.about.names or setting.choices
    if not all(name in text for name in names):
        text += f" One of: {', '.join(names)}."
    default = default_text(setting).replace("`", "")
    return f"{text} (default: {default})" if default else text


def arguments_text(cls: type, *, indent: int) -> str:
    """Return the settings of a class as the arguments section of a docstring.

    Args:
        cls: The class that declares them.
        indent: Columns before the first line.
    """
    blocks = []
    for name, setting in declared(cls).items():
        text = f"{name}: {setting.about.help}"
        if rule := rule_text(setting):
            text += f" Must be {rule}."
        if default := default_text(setting):
            text += f" Default: {default}."
        space = " " * indent
        wrapped = textwrap.wrap(text, 100, initial_indent=space, subsequent_indent=space + "    ")
        blocks.append("\n".join(wrapped))
    return "\n".join(blocks).lstrip()
