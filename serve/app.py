"""The FastAPI application: routes, error handlers and middleware around one service."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from serve.access import AccessMiddleware
from serve.batcher import BatchError
from serve.finite import NotFiniteError
from serve.images import UnreadableImageError
from serve.models import UnknownModelError
from serve.protocol.response import HEADER_LENGTH
from serve.protocol.spec import ProtocolError
from serve.responses import Compression, HeadAsGet, error_response
from serve.routes import schemas
from serve.routes.form import FormError
from serve.routes.openapi import adapt_document
from serve.routes.pages import page_routes
from serve.routes.predict import predict_routes
from serve.routes.protocol import protocol_routes
from serve.service import Service
from serve.version import VERSION

_CLOSE_S = 1.0

# Smaller bodies fit in one packet without compression.
_PACKET_BYTES = 1400

_DESCRIPTION = (
    "Classifies images, with heatmaps of where the network looked. POST /v1/predict takes an image "
    "file; the routes under /v2 implement the Open Inference Protocol with tensors."
)


class _Application(FastAPI):
    """FastAPI with an OpenAPI document of the actual responses."""

    has_key = False

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        document = super().openapi()
        adapt_document(document, has_key=self.has_key)
        return document


def create_app(service: Service) -> FastAPI:
    """Create the application, which closes the service on shutdown.

    Args:
        service: The models, limits and metrics.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        # All answers have been sent, so the remaining work can be abandoned.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(service.close(), _CLOSE_S)

    app = _Application(
        title="Proxy Attention",
        version=VERSION,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        # A path with an extra slash is a 404, not a redirect that loses the body.
        redirect_slashes=False,
    )
    app.include_router(predict_routes(service))
    app.include_router(protocol_routes(service, app.version))
    app.include_router(page_routes(app.openapi))
    _add_metrics(app, service)
    _add_errors(app, service)
    settings = service.settings
    app.has_key = settings.api_key is not None
    # Level 1, the fastest: tensors hardly shrink at any level.
    app.add_middleware(Compression, minimum_size=_PACKET_BYTES, compresslevel=1)
    app.add_middleware(HeadAsGet)
    app.add_middleware(AccessMiddleware, settings=settings, telemetry=service.telemetry)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["*"],
            # Without the first, a page cannot find the bytes of a binary answer.
            expose_headers=[HEADER_LENGTH, "Retry-After", "WWW-Authenticate"],
        )
    return app


def _add_metrics(app: FastAPI, service: Service) -> None:
    text = {"content": {"text/plain": {"schema": {"type": "string"}}}}

    @app.get(
        "/metrics",
        response_class=Response,
        responses={200: text, **schemas.errors()},
        tags=["Server"],
    )
    async def metrics() -> Response:
        """Metrics for Prometheus."""
        return Response(service.telemetry.render(), media_type=CONTENT_TYPE_LATEST)


def _add_errors(app: FastAPI, service: Service) -> None:
    """Answer all errors in the same format, each with its status."""

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        service.telemetry.refused(error.status_code)
        headers = dict(error.headers or {})
        if "GET" in headers.get("Allow", ""):
            headers["Allow"] += ", HEAD"
        return error_response(error.detail, status=error.status_code, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        reasons = [f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors()]
        return error_response("; ".join(reasons), status=422)

    @app.exception_handler(ProtocolError)
    async def off_protocol(request: Request, error: ProtocolError) -> Response:
        service.telemetry.refused(error.status)
        return error_response(str(error), status=error.status)

    def answer(kind: type[Exception], status: int) -> None:
        @app.exception_handler(kind)
        async def known(request: Request, error: Exception) -> Response:
            return error_response(str(error.args[0]), status=status)

    answer(UnknownModelError, 404)
    answer(FormError, 400)
    answer(UnreadableImageError, 422)
    answer(NotFiniteError, 422)
    answer(BatchError, 500)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        return error_response("The server failed on this request; see its log.", status=500)
