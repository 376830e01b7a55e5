"""The metrics of the server, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_REASONS = {
    401: "no_key",
    408: "slow_body",
    413: "too_large",
    421: "wrong_host",
    499: "client_left",
    503: "overloaded",
}
_SHARES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_IMAGES = (1, 2, 4, 8, 16, 32, 64, 128)


class Telemetry:
    """The metrics of one server, in their own registry."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        common: dict[str, Any] = {"namespace": "proxy_serve", "registry": self._registry}
        seconds = {**common, "buckets": _SECONDS}
        self._requests = Counter(
            "requests", "Requests answered.", ["route", "model", "status"], **common
        )
        self._latency = Histogram(
            "request_seconds",
            "Seconds from a request's headers to its answer.",
            ["route"],
            **seconds,
        )
        self._in_flight = Gauge("in_flight_requests", "Active requests.", **common)
        self._rejected = Counter("rejected", "Requests refused, by reason.", ["reason"], **common)
        self._batch_images = Histogram(
            "batch_images", "Images in a batch.", ["model"], buckets=_IMAGES, **common
        )
        self._batch_seconds = Histogram(
            "batch_seconds", "Seconds to run a batch.", ["model"], **seconds
        )
        self._queue = Gauge("queue_images", "Images waiting for a batch.", ["model"], **common)
        self._active = Gauge(
            "queue_requests", "Requests counted against --max-queue.", ["model"], **common
        )
        self._model = Gauge(
            "model_info",
            "1 for each loaded model.",
            ["model", "precision", "explain", "device"],
            **common,
        )
        self._ticked_share = Histogram(
            "ticked_share",
            "Share of an answer's evidence on cues ticked as not the object.",
            ["model"],
            buckets=_SHARES,
            **common,
        )
        self._marked = Counter(
            "marked_answers",
            "Answers whose ticked_share exceeds --max-ticked.",
            ["model"],
            **common,
        )
        self._reloads = Counter("reloads", "Reloads, by outcome.", ["model", "outcome"], **common)

    def request_began(self) -> None:
        """Count a request as active."""
        self._in_flight.inc()

    def request_ended(self, route: str, model: str, status: int, seconds: float) -> None:
        """Count an answer.

        Args:
            route: The path's pattern, not the path: the number of paths is unlimited.
            model: The model's name; "" if the request has none.
            status: The HTTP status.
            seconds: From the headers to the answer.
        """
        self._in_flight.dec()
        self._requests.labels(route, model, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def refused(self, status: int) -> None:
        """Count a refusal by its reason, if its status is one that protects the server."""
        if status in _REASONS:
            self._rejected.labels(_REASONS[status]).inc()

    def answered(self, model: str, ticked_shares: Sequence[float], *, marked: int) -> None:
        """Record what answers rest on.

        Args:
            model: The model's name.
            ticked_shares: For each image, the share of its evidence on ticked cues.
            marked: Number of these above the limit.
        """
        shares = self._ticked_share.labels(model)
        for share in ticked_shares:
            shares.observe(share)
        self._marked.labels(model).inc(marked)

    def watch_batches(self, model: str) -> Callable[[int, float], None]:
        """Return a thread-safe function that records a batch, given its images and seconds."""
        images = self._batch_images.labels(model)
        seconds = self._batch_seconds.labels(model)

        def count(rows: int, duration_s: float) -> None:
            images.observe(rows)
            seconds.observe(duration_s)

        return count

    def watch_queue(
        self, model: str, images: Callable[[], int], requests: Callable[[], int]
    ) -> None:
        """Register the functions that return the queue's lengths whenever metrics are read."""
        self._queue.labels(model).set_function(images)
        self._active.labels(model).set_function(requests)

    def model_loaded(self, model: str, *, precision: str, explain: str, device: str) -> None:
        """Set the info of a model, replacing its previous one."""
        self._model.remove_by_labels({"model": model})
        self._model.labels(model, precision, explain, device).set(1)

    def reloaded(self, model: str, *, is_new: bool) -> None:
        """Count a reload: one that replaced the session, or one that kept the old."""
        self._reloads.labels(model, "replaced" if is_new else "kept").inc()

    def render(self) -> bytes:
        """Return all metrics in the text format."""
        return generate_latest(self._registry)
