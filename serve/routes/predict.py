"""The routes of this project's own: an image to classes and a heatmap, and what is served."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from numpy.typing import NDArray
from pydantic import BeforeValidator
from starlette.exceptions import HTTPException

from serve.model import Answers
from serve.models import LoadedModel, ServedModel
from serve.prediction import top_k as best_classes
from serve.responses import json_response
from serve.routes import schemas
from serve.routes.form import file_of_form
from serve.service import Service

# The last is what curl says of any file that it sends by --data-binary.
_ANY_FILE = ("", "application/octet-stream", "application/x-www-form-urlencoded")


def _as_written(pattern: str, rule: str) -> BeforeValidator:
    """Refuses text that Pydantic would read all the same, such as "1_0" or "y"."""

    def check(value: Any) -> Any:
        if isinstance(value, str) and not re.fullmatch(pattern, value):
            raise ValueError(rule)
        return value

    return BeforeValidator(check)


_Digits = Annotated[int, _as_written("[0-9]+", "a whole number is written in digits")]
_Flag = Annotated[bool, _as_written("true|false", "say true or false")]
_QUERY = frozenset({"model", "top_k", "heatmap"})

# Finer steps are not seen, and the grid takes half the bytes.
_HEATMAP_DIGITS = 4


@dataclass(frozen=True, eq=False, slots=True)
class _Picture:
    images: NDArray[np.uint8]


def predict_routes(service: Service) -> APIRouter:
    """The routes under /v1."""
    router = APIRouter(prefix="/v1", tags=["predict"])

    @router.get("/models", responses={200: {"model": schemas.ModelsBody}, **schemas.refusals()})
    async def models() -> Response:
        """All models that are served; the first answers where none is named."""
        return json_response({"models": [_card(served) for served in service.models]})

    @router.post(
        "/predict",
        openapi_extra={"requestBody": schemas.IMAGE_REQUEST},
        responses={
            200: {"model": schemas.PredictBody},
            **schemas.refusals(*schemas.ASKED_OF_A_MODEL),
        },
    )
    async def predict(
        request: Request,
        model: Annotated[str | None, Query(description="Default: the first one.")] = None,
        top_k: Annotated[_Digits, Query(ge=1, description="Most classes to name.")] = 3,
        heatmap: Annotated[_Flag, Query(description="Whether to say where it looked.")] = False,
    ) -> Response:
        """The classes of one image, and on request its heatmap."""
        _check_query(request)
        served = service.models.get(model)
        request.state.model = served.name
        if heatmap and served.current.spec.map_shape is None:
            raise HTTPException(
                400,
                f"Model {served.name!r} has no heatmap: it was exported with --explain none. "
                "Ask without heatmap=true.",
            )
        decode = partial(
            _decode,
            content_type=request.headers.get("content-type", ""),
            max_pixels=service.settings.max_pixels,
        )
        loaded, _, answers = await service.answer(request, served, decode)
        return json_response(_answer(loaded, answers, top_k, heatmap))

    return router


def _check_query(request: Request) -> None:
    unknown = sorted(set(request.query_params) - _QUERY)
    if unknown:
        raise HTTPException(
            422, f"The query knows {', '.join(sorted(_QUERY))}. Received: {unknown[0][:40]!r}"
        )


def _decode(loaded: LoadedModel, body: bytes, *, content_type: str, max_pixels: int) -> _Picture:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        body = file_of_form(body, content_type)
    elif kind not in _ANY_FILE and not kind.startswith("image/"):
        raise HTTPException(
            415,
            "Send an image as it is, with Content-Type image/* or application/octet-stream, or in "
            f"a form as multipart/form-data. Received: {kind[:80]!r}",
        )
    return _Picture(loaded.model.read(body, max_pixels=max_pixels)[np.newaxis])


def _answer(loaded: LoadedModel, answers: Answers, top_k: int, has_heatmap: bool) -> dict[str, Any]:
    classes = best_classes(
        answers.probabilities[0], loaded.spec.labels, top_k, logits_row=answers.logits[0]
    )
    content: dict[str, Any] = {
        "model": loaded.spec.name,
        "predictions": [one.to_dict() for one in classes],
    }
    # A reload may have taken the heatmaps away since the request came.
    if has_heatmap and answers.heatmaps is not None:
        values = answers.heatmaps[0].astype(np.float64).round(_HEATMAP_DIGITS)
        content["heatmap"] = {"shape": list(values.shape), "values": values.tolist()}
    return content


def _card(served: ServedModel) -> dict[str, Any]:
    model = served.current.model
    card = model.card
    return {
        "name": served.name,
        "network": card.name,
        "labels": list(card.labels),
        "image_size": list(card.image_size),
        "explain": card.explain,
        "target_layer": card.target_layer,
        "precision": card.precision,
        "device": model.device,
        "test_accuracy": card.test_accuracy,
        "split_sha256": card.split_sha256,
        "versions": card.versions,
    }
