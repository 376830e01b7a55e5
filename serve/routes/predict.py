"""The server's own API: predictions for an image file, and the list of models."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from numpy.typing import NDArray
from pydantic import BeforeValidator
from starlette.exceptions import HTTPException

from serve.finite import check_finite
from serve.model import Answers
from serve.models import LoadedModel, ServedModel
from serve.prediction import cue_shares, is_marked
from serve.prediction import top_k as best_classes
from serve.responses import json_response
from serve.routes import schemas
from serve.routes.form import file_of_form
from serve.service import Service

# curl --data-binary sends the last one for any file.
_ANY_FILE = ("", "application/octet-stream", "application/x-www-form-urlencoded")


def _as_written(pattern: str, rule: str) -> BeforeValidator:
    """Refuse text that Pydantic would accept, such as "1_0" or "y"."""

    def check(value: Any) -> Any:
        if isinstance(value, str) and not re.fullmatch(pattern, value):
            raise ValueError(rule)
        return value

    return BeforeValidator(check)


_Digits = Annotated[int, _as_written("[0-9]+", "must be an integer written in digits")]
# Python's clients write True.
_Flag = Annotated[bool, _as_written("(?i:true|false)", "must be true or false")]
_QUERY = frozenset({"model", "top_k", "heatmap"})

# Invisible, and halves the size of the response.
_HEATMAP_DIGITS = 4


@dataclass(frozen=True, eq=False, slots=True)
class _Picture:
    images: NDArray[np.uint8]


def predict_routes(service: Service) -> APIRouter:
    """Create the routes under /v1."""
    router = APIRouter(prefix="/v1", tags=["predict"])

    @router.get("/models", responses={200: {"model": schemas.ModelsBody}, **schemas.errors()})
    async def models() -> Response:
        """The models; the first one is the default."""
        return json_response({"models": [_card(served) for served in service.models]})

    @router.post(
        "/predict",
        openapi_extra={"requestBody": schemas.IMAGE_REQUEST},
        responses={
            200: {"model": schemas.PredictBody},
            **schemas.errors(*schemas.MODEL_ERRORS),
        },
    )
    async def predict(
        request: Request,
        model: Annotated[str | None, Query(description="Default: the first model.")] = None,
        top_k: Annotated[_Digits, Query(ge=1, description="Largest number of classes.")] = 3,
        heatmap: Annotated[_Flag, Query(description="Whether to return the heatmap.")] = False,
    ) -> Response:
        """The classes of one image, and optionally its heatmap."""
        _check_query(request)
        served = service.models.get(model)
        request.state.model = served.name
        if heatmap and served.current.spec.map_shape is None:
            raise HTTPException(
                400,
                f"Model {served.name!r} has no heatmap: it was exported with --explain none. "
                "Omit heatmap=true.",
            )
        decode = partial(
            _decode,
            content_type=request.headers.get("content-type", ""),
            max_pixels=service.settings.max_pixels,
        )
        loaded, _, answers = await service.answer(request, served, decode)
        limit = service.settings.max_ticked
        return json_response(_answer(loaded, answers, top_k, heatmap, limit))

    return router


def _check_query(request: Request) -> None:
    unknown = sorted(set(request.query_params) - _QUERY)
    if unknown:
        raise HTTPException(
            422,
            f"The query parameters are {', '.join(sorted(_QUERY))}. Received: {unknown[0][:40]!r}",
        )


def _decode(loaded: LoadedModel, body: bytes, *, content_type: str, max_pixels: int) -> _Picture:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        body = file_of_form(body, content_type)
    elif kind not in _ANY_FILE and not kind.startswith("image/"):
        raise HTTPException(
            415,
            "Send an image file with Content-Type image/* or application/octet-stream, or in a "
            f"multipart/form-data form. Received: {kind[:80]!r}",
        )
    return _Picture(loaded.model.read(body, max_pixels=max_pixels)[np.newaxis])


def _answer(
    loaded: LoadedModel,
    answers: Answers,
    top_k: int,
    has_heatmap: bool,
    max_ticked: float | None,
) -> dict[str, Any]:
    heatmaps = answers.heatmaps if has_heatmap else None
    check_finite(
        {
            "logits": answers.logits,
            "probabilities": answers.probabilities,
            "heatmap": heatmaps,
            "cues": answers.cues,
            "ticked_share": answers.ticked_share,
        }
    )
    classes = best_classes(
        answers.probabilities[0], loaded.spec.labels, top_k, logits_row=answers.logits[0]
    )
    content: dict[str, Any] = {
        "model": loaded.spec.name,
        "predictions": [one.to_dict() for one in classes],
    }
    # The model may have been reloaded without heatmaps since the request arrived.
    if heatmaps is not None:
        values = heatmaps[0].astype(np.float64).round(_HEATMAP_DIGITS)
        content["heatmap"] = {"shape": list(values.shape), "values": values.tolist()}
    if answers.ticked_share is not None:
        share = float(answers.ticked_share[0])
        content |= {"cues": cue_shares(answers, loaded.model.card), "ticked_share": share}
        if (marked := is_marked(share, max_ticked)) is not None:
            content["marked"] = marked
    return content


def _card(served: ServedModel) -> dict[str, Any]:
    model = served.current.model
    card = model.card
    cues = {"cues": [asdict(cue) for cue in card.cues]} if card.cues else {}
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
        **cues,
    }
