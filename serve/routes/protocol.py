"""The routes of the Open Inference Protocol: health, metadata, inference."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from starlette.exceptions import HTTPException

from serve.finite import check_finite
from serve.model import Answers
from serve.models import LoadedModel, ServedModel
from serve.protocol.request import InferRequest, parse_header_length, parse_infer_request
from serve.protocol.response import HEADER_LENGTH, build_infer_response
from serve.protocol.spec import MODEL_VERSION, ProtocolError, model_metadata, server_metadata
from serve.responses import json_response
from serve.routes import schemas
from serve.service import Service

SERVER_NAME = "proxy-attention"

HeaderLength = Annotated[
    str | None,
    Header(
        alias=HEADER_LENGTH,
        description="Length of the JSON part in bytes; default: the whole body.",
    ),
]


def protocol_routes(service: Service, version: str) -> APIRouter:
    """Create the routes under /v2.

    Args:
        service: The service.
        version: Version of this project, for the server's metadata.
    """
    router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])
    _add_server_routes(router, service, version)
    _add_model_routes(router, service)
    _add_infer_routes(router, service)
    return router


def _add_server_routes(router: APIRouter, service: Service, version: str) -> None:
    @router.get("", responses={200: {"model": schemas.ServerBody}, **schemas.errors()})
    async def server() -> Response:
        """The server's name, version and extensions."""
        return json_response(server_metadata(SERVER_NAME, version))

    @router.get("/health/live", responses=_answers(schemas.LiveBody, 421))
    async def live() -> Response:
        """Whether the server is running. Needs no key."""
        return json_response({"live": True})

    @router.get("/health/ready", responses=_ready(schemas.ReadyBody, 421))
    async def ready() -> Response:
        """Whether the server accepts requests. Needs no key."""
        return _readiness(service, {})

    @router.post(
        "/repository/index",
        responses={200: {"model": list[schemas.IndexEntryBody]}, **schemas.errors()},
    )
    async def index() -> Response:
        """The models."""
        state = {"version": MODEL_VERSION, "state": "READY", "reason": ""}
        return json_response([{"name": served.name, **state} for served in service.models])


def _add_model_routes(router: APIRouter, service: Service) -> None:
    metadata = _answers(schemas.ModelMetadataBody, 401, 404, 421)
    readiness = _ready(schemas.ModelReadyBody, 401, 404, 421)

    @router.get("/models/{name}", responses=metadata)
    async def model(request: Request, name: str) -> Response:
        """A model's inputs and outputs."""
        return json_response(model_metadata(_find(service, request, name).current.spec))

    @router.get("/models/{name}/versions/{version}", responses=metadata)
    async def model_version(request: Request, name: str, version: str) -> Response:
        """A model's inputs and outputs; its only version is 1."""
        return json_response(model_metadata(_find(service, request, name, version).current.spec))

    @router.get("/models/{name}/ready", responses=readiness)
    async def model_ready(request: Request, name: str) -> Response:
        """Whether a model accepts requests."""
        return _readiness(service, {"name": _find(service, request, name).name})

    @router.get("/models/{name}/versions/{version}/ready", responses=readiness)
    async def version_ready(request: Request, name: str, version: str) -> Response:
        """Whether a model accepts requests; its only version is 1."""
        return _readiness(service, {"name": _find(service, request, name, version).name})


def _add_infer_routes(router: APIRouter, service: Service) -> None:
    responses = _answers(schemas.InferBody, *schemas.MODEL_ERRORS)
    body = {"requestBody": schemas.INFER_REQUEST}

    @router.post("/models/{name}/infer", openapi_extra=body, responses=responses)
    async def infer(request: Request, name: str, header_length: HeaderLength = None) -> Response:
        """A model's outputs for one or more images."""
        return await _infer(service, request, _find(service, request, name), header_length)

    @router.post("/models/{name}/versions/{version}/infer", openapi_extra=body, responses=responses)
    async def infer_version(
        request: Request, name: str, version: str, header_length: HeaderLength = None
    ) -> Response:
        """A model's outputs for one or more images; its only version is 1."""
        served = _find(service, request, name, version)
        return await _infer(service, request, served, header_length)


async def _infer(
    service: Service, request: Request, served: ServedModel, header_length: str | None
) -> Response:
    # Of two headers, a proxy might use the other one.
    if len(request.headers.getlist(HEADER_LENGTH)) > 1:
        raise ProtocolError(f"{HEADER_LENGTH} must be sent once.")
    parse = partial(
        _parse,
        header_length=parse_header_length(header_length),
        max_rows=service.settings.max_batch,
    )
    loaded, parsed, answers = await service.answer(request, served, parse)
    outputs = _outputs(answers)
    check_finite({wanted.name: outputs[wanted.name] for wanted in parsed.outputs})
    body, headers = build_infer_response(parsed, loaded.spec, outputs)
    return Response(body, headers=headers)


def _parse(
    loaded: LoadedModel, body: bytes, *, header_length: int | None, max_rows: int
) -> InferRequest:
    return parse_infer_request(body, header_length, loaded.spec, max_rows=max_rows)


def _outputs(answers: Answers) -> dict[str, Any]:
    outputs = {"logits": answers.logits, "probabilities": answers.probabilities}
    if answers.heatmaps is not None:
        outputs["heatmap"] = answers.heatmaps
    if answers.cues is not None and answers.ticked_share is not None:
        outputs |= {"cues": answers.cues, "ticked_share": answers.ticked_share}
    return outputs


def _find(
    service: Service, request: Request, name: str, version: str = MODEL_VERSION
) -> ServedModel:
    """Return the model in a path, and record its name for the metrics."""
    served = service.models.get(name)
    request.state.model = served.name
    if version != MODEL_VERSION:
        raise HTTPException(
            404, f"Model {name!r} has only version {MODEL_VERSION}. Requested: {version[:40]!r}"
        )
    return served


def _readiness(service: Service, content: dict[str, Any]) -> Response:
    is_ready = not service.is_draining
    return json_response({**content, "ready": is_ready}, status=200 if is_ready else 503)


def _answers(model: type[Any], *statuses: int) -> dict[int | str, dict[str, Any]]:
    return {200: {"model": model}, **schemas.errors(*statuses)}


def _ready(model: type[Any], *statuses: int) -> dict[int | str, dict[str, Any]]:
    not_ready = {"model": model, "description": "The server is shutting down."}
    return {**_answers(model, *statuses), 503: not_ready}
