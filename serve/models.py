"""The models of a server, by name; each can be reloaded while serving."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serve.batcher import Batcher
from serve.limits import ConcurrencyLimit
from serve.model import Model
from serve.protocol.spec import ModelSpec
from serve.settings import Settings
from serve.telemetry import Telemetry

_logger = logging.getLogger(__name__)

# Characters that need no escaping in a URL.
_NAME = re.compile(r"[A-Za-z0-9._~-]{1,128}")


class UnknownModelError(LookupError):
    """No model has this name."""


@dataclass(frozen=True)
class Source:
    """A model file to serve.

    Attributes:
        path: The ONNX file.
        name: Name of the model on the server; None uses the name in its metadata.
    """

    path: Path
    name: str | None = None


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model and its specification. Each request uses one of these from start to end.

    Attributes:
        model: The model.
        spec: Its inputs and outputs, and its name on the server.
    """

    model: Model
    spec: ModelSpec


class ServedModel:
    """A name on the server, with the model that currently answers for it.

    Attributes:
        name: Name in paths and in `model=`.
        source: Its file.
        current: The model for new requests; replaced by `Models.reload`.
        batcher: Runs its images.
        concurrency: Limits its active requests.
    """

    def __init__(
        self, source: Source, loaded: LoadedModel, batcher: Batcher, concurrency: ConcurrencyLimit
    ) -> None:
        self.name = loaded.spec.name
        self.source = source
        self.current = loaded
        self.batcher = batcher
        self.concurrency = concurrency


class Models:
    """All models of a server; iterates over `ServedModel`s in the order given.

    Args:
        sources: One or more files.
        open_model: Opens a file.
        settings: Sizes of batches and queues.
        telemetry: Records batches, queues and models.

    Raises:
        ValueError: A file cannot be served, or two have the same name.
        OSError: A file cannot be read.
        RuntimeError: The requested device is not available.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        open_model: Callable[[Path], Model],
        settings: Settings,
        telemetry: Telemetry,
    ) -> None:
        if not sources:
            raise ValueError("There must be at least one model to serve.")
        self._open_model = open_model
        self._telemetry = telemetry
        self._reloading = asyncio.Lock()
        opened: dict[str, tuple[Source, LoadedModel]] = {}
        for source in sources:
            loaded = self._load(source)
            name = loaded.spec.name
            if name in opened:
                raise ValueError(
                    f"{str(opened[name][0].path)!r} and {str(source.path)!r} are both named "
                    f"{name!r}. Rename one of them: NAME={source.path}"
                )
            opened[name] = (source, loaded)
        # Threads are started only after all files have been opened.
        self._served = {
            name: self._serve(source, loaded, settings) for name, (source, loaded) in opened.items()
        }

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._served.values())

    def get(self, name: str | None = None) -> ServedModel:
        """Return the model with this name; the first one if no name is given.

        Raises:
            UnknownModelError: No model has this name.
        """
        if name is None:
            return next(iter(self))
        if name not in self._served:
            raise UnknownModelError(
                f"There is no model {name[:128]!r}. The models are: {', '.join(self._served)}"
            )
        return self._served[name]

    async def reload(self) -> None:
        """Reload every file; new requests use the new models.

        Each file is opened and tested first. If that fails, the model in use stays, and the reason
        is logged. Active requests finish on the model they started with.
        """
        async with self._reloading:
            for served in self:
                await self._reload(served)

    async def close(self) -> None:
        """Close all batchers, and wait until their queues are empty."""
        for served in self:
            await served.batcher.close()

    async def _reload(self, served: ServedModel) -> None:
        source = Source(served.source.path, served.name)
        try:
            loaded = await asyncio.to_thread(self._load, source)
        except (ValueError, OSError, RuntimeError) as error:
            _logger.error("Kept the current model %r: %s", served.name, error)
            self._telemetry.reloaded(served.name, is_new=False)
            return
        served.current = loaded
        self._publish_info(loaded)
        self._telemetry.reloaded(served.name, is_new=True)
        _logger.info("Reloaded %s", describe(loaded))

    def _load(self, source: Source) -> LoadedModel:
        model = self._open_model(source.path)
        name = source.name or model.card.name
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"A model's name must be 1 to 128 letters, digits or any of . _ ~ - Received: "
                f"{name!r}. Rename it: NAME={source.path}"
            )
        spec = ModelSpec(
            name=name,
            datatype="UINT8" if model.input_dtype is np.uint8 else "FP32",
            image_size=model.card.image_size,
            labels=model.card.labels,
            map_shape=model.map_shape,
            num_cues=len(model.card.cues),
        )
        return LoadedModel(model, spec)

    def _serve(self, source: Source, loaded: LoadedModel, settings: Settings) -> ServedModel:
        name = loaded.spec.name
        batcher = Batcher(
            max_batch=settings.max_batch,
            max_wait_s=settings.max_wait_s,
            on_batch=self._telemetry.watch_batches(name),
        )
        concurrency = ConcurrencyLimit(settings.max_queue)
        self._telemetry.watch_queue(name, lambda: batcher.queued_images, lambda: concurrency.active)
        self._publish_info(loaded)
        return ServedModel(source, loaded, batcher, concurrency)

    def _publish_info(self, loaded: LoadedModel) -> None:
        model = loaded.model
        self._telemetry.model_loaded(
            loaded.spec.name,
            precision=model.card.precision,
            explain=model.card.explain,
            device=model.device,
        )


def describe(loaded: LoadedModel) -> str:
    """Return a one-line description of a model for the log."""
    card = loaded.model.card
    height, width = card.image_size
    ticked = sum(cue.ticked for cue in card.cues)
    cues = f"{len(card.cues)} cues ({ticked} ticked), " if card.cues else ""
    return (
        f"{loaded.spec.name}: {card.name}, {len(card.labels)} classes, {height} x {width} px, "
        f"heatmap {card.explain}, {cues}{card.precision}, {loaded.model.device_note}"
    )
