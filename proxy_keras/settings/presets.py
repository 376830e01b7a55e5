"""Settings of Proxy Attention by name."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "thesis": {},
    "shortcut": {
        "schedule": "every:3,finish:0.2",
        "select": "all",
        "subset": 1.0,
        "show": 0.5,
        "threshold": 0.5,
        "weight": 1.0,
        # `blended` keeps the hue of a dimmed patch, which a network can still read.
        "replacement": "black",
    },
}
"""Named settings: what differs from the defaults of `ProxyConfig`."""
