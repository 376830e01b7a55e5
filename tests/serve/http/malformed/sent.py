"""Requests that must be refused, and their paths."""

from __future__ import annotations

from dataclasses import dataclass, field

SIZE = 8
PREDICT = "/v1/predict"
INFER = "/v2/models/mean_colour/infer"
LENGTH = "Inference-Header-Content-Length"
TIMEOUT_S = 8
PAGES = ["/", "/docs", "/page/script.js"]
GETS = [
    *("/v1/models", "/v2", "/v2/health/live", "/v2/health/ready", "/metrics", "/openapi.json"),
    *("/v2/models/mean_colour", "/v2/models/mean_colour/ready"),
    *("/v2/models/mean_colour/versions/1", "/v2/models/mean_colour/versions/1/ready"),
]
POSTS = [PREDICT, INFER, "/v2/models/mean_colour/versions/1/infer", "/v2/repository/index"]


@dataclass
class Sent:
    """A request with a body, valid as HTTP.

    Attributes:
        what: For the report.
        may_pass: Chance made it; it may be valid after all.
    """

    what: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST"
    may_pass: bool = False
