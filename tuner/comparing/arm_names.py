"""Names of the arms of a study, and what they say of the arm."""

from __future__ import annotations

import re

PLAIN = "none"
PROXY_ARM = "proxy"

PLUS = "+"
"""Between an arm and the method against spurious correlations that it also uses."""


def base_name(arm: str) -> str:
    """Return the kind of an arm: `proxy` for `proxy:shortcut` and `proxy+class_balanced`."""
    return re.split(rf"[:{PLUS}]", arm, maxsplit=1)[0]


def parts(arm: str) -> tuple[str, str] | None:
    """Return the arm and the method of `proxy:shortcut+class_balanced`; None without a method."""
    first, found, method = arm.partition(PLUS)
    return (first, method) if found else None
