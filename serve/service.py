"""The service: runs a request through reading, decoding and batching, within the limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request

from serve.batcher import PreparedT
from serve.limits import MemoryBudget, decompress, overloaded, read_body, while_connected
from serve.model import Answers
from serve.models import LoadedModel, Models, ServedModel
from serve.prediction import is_marked
from serve.settings import Settings
from serve.telemetry import Telemetry


class Service:
    """The state shared by all routes of a server.

    Attributes:
        models: The models served.
        settings: The limits.
        telemetry: The metrics.
        is_draining: Whether the server is shutting down: it still answers, but is not ready.
    """

    def __init__(self, models: Models, settings: Settings, telemetry: Telemetry) -> None:
        self.models = models
        self.settings = settings
        self.telemetry = telemetry
        self.is_draining = False
        self._budget = MemoryBudget(settings.max_buffered)
        self._decoders = ThreadPoolExecutor(settings.decoders, thread_name_prefix="decoder")

    async def answer(
        self,
        request: Request,
        served: ServedModel,
        prepare: Callable[[LoadedModel, bytes], PreparedT],
    ) -> tuple[LoadedModel, PreparedT, Answers]:
        """Run a model on a request.

        Args:
            request: The request; its body must not have been read.
            served: The model to run.
            prepare: Creates images from the loaded model and the body, in a thread. Its errors
                are propagated.

        Returns:
            The loaded model that answered, the result of `prepare`, and the model's outputs.

        Raises:
            HTTPException: 408, the body took too long; 413, 415, 400: the body is too large or
                wrongly compressed; 499, the client disconnected; 503, overloaded or timed out.
            BatchError: The model failed.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.settings.timeout_s
        with self._budget.reserve() as reserve:
            try:
                async with asyncio.timeout_at(deadline):
                    body = await read_body(
                        request.headers,
                        request.receive,
                        max_body=self.settings.max_body,
                        reserve=reserve,
                    )
            except TimeoutError:
                raise HTTPException(
                    408,
                    f"The request's body must arrive within {self.settings.timeout_s:g} s.",
                    {"Connection": "close"},
                ) from None
            coding = request.headers.get("content-encoding", "")
            # The request uses this model to the end, even if another one is loaded meanwhile.
            loaded = served.current

            def prepare_body() -> PreparedT:
                return prepare(loaded, decompress(body, coding, max_body=self.settings.max_body))

            with served.concurrency.slot():
                try:
                    async with asyncio.timeout_at(deadline), while_connected(request.receive):
                        prepared, answers = await served.batcher.submit(
                            loaded.model, prepare_body, self._decoders
                        )
                except TimeoutError:
                    raise overloaded(
                        f"The model did not answer within {self.settings.timeout_s:g} s."
                    ) from None
        self._record(served.name, answers)
        return loaded, prepared, answers

    def _record(self, model: str, answers: Answers) -> None:
        """Record what the answers rest on, if the model has cues."""
        if answers.ticked_share is not None:
            # One NaN would make the sum of all shares NaN until the server is restarted.
            shares = answers.ticked_share[np.isfinite(answers.ticked_share)].tolist()
            marked = sum(bool(is_marked(share, self.settings.max_ticked)) for share in shares)
            self.telemetry.answered(model, shares, marked=marked)

    async def close(self) -> None:
        """Wait until all accepted requests have been run."""
        self._decoders.shutdown(wait=False, cancel_futures=True)
        await self.models.close()
