"""The app: MLflow's scoring contract (``/invocations``, ``/ping``, ``/version``), and what operators need beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version as installed_version
from time import perf_counter
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from include.packaging.files import Manifest
from include.serving.model.batching import Batcher
from include.serving.model.columns import Signature
from include.serving.model.predictor import response_body
from include.serving.request_error import RequestError
from include.serving.service_metrics import CONTENT_TYPE, ServiceMetrics
from include.serving.web import api_page
from include.serving.web.bodies import read_table

_JSON = "application/json"
_PATHS = frozenset({"/invocations", "/ping", "/version", "/health", "/ready", "/metrics", "/docs", "/openapi.json"})


@dataclass
class Service:
    """One model behind the app, and whether it takes requests."""

    manifest: Manifest
    digest: str
    version: int | None
    """The registered version; None where a bundle is served without a registry."""
    signature: Signature
    batcher: Batcher
    metrics: ServiceMetrics
    request_bytes_at_most: int
    ready: bool = False
    """Whether ``/ready`` responds with 200; false while the process drains."""
    retired: bool = False
    """Whether another version has taken over: every response then closes its connection."""
    golden_rows: Mapping[str, Any] = field(default_factory=dict)
    """One row that the documentation shows, as ``dataframe_split``."""

    @property
    def identity(self) -> dict[str, str]:
        """Name, version and digest of the model."""
        known = "" if self.version is None else str(self.version)
        return {"model": self.manifest.model, "version": known, "digest": self.digest}


def build_app(service: Service) -> ASGIApp:
    """
    The ASGI app of one model.

    MLflow's scoring contract is that of ``mlflow.pyfunc.scoring_server``; tests compare the two.
    """

    async def invocations(request: Request) -> Response:
        try:
            return await _predictions(service, request)
        except RequestError as error:
            return _refusal(error)

    async def ping(_request: Request) -> Response:
        # MLflow's own body of /ping.
        return Response("\n", media_type=_JSON)

    async def version(_request: Request) -> Response:
        return Response(installed_version("mlflow"), media_type=_JSON)

    async def health(_request: Request) -> Response:
        return Response(orjson.dumps({"status": "ok", **service.identity}), media_type=_JSON)

    async def ready(_request: Request) -> Response:
        state = "ready" if service.ready else "draining"
        body = orjson.dumps({"status": state, **service.identity})
        return Response(body, status_code=200 if service.ready else 503, media_type=_JSON)

    async def metrics(_request: Request) -> Response:
        service.metrics.ready = service.ready
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)

    gets = {"ping": ping, "version": version, "health": health, "ready": ready, "metrics": metrics}
    routes = [Route(f"/{name}", endpoint) for name, endpoint in gets.items()] + _documents(service)
    # First: Starlette tries routes in order, and nearly all requests are for this one.
    routes.insert(0, Route("/invocations", invocations, methods=["POST"]))
    return _Gate(Starlette(routes=routes, exception_handlers={HTTPException: _not_routed}), service)


def _documents(service: Service) -> list[Route]:
    """The API page and its OpenAPI document."""
    # Made once: the model of a process never changes (11 ms a page, ADR 22).
    document = api_page.openapi(service.manifest, service.identity, service.golden_rows)
    page, description = api_page.page(service.manifest, service.identity, document), orjson.dumps(document)

    async def docs(_request: Request) -> Response:
        return HTMLResponse(page)

    async def openapi(_request: Request) -> Response:
        return Response(description, media_type=_JSON)

    return [Route("/docs", docs), Route("/openapi.json", openapi)]


async def _not_routed(_request: Request, error: Exception) -> Response:
    """404 and 405 with the body of MLflow's scoring server."""
    if not isinstance(error, HTTPException):
        raise error
    body = orjson.dumps({"detail": error.detail})
    return Response(body, status_code=error.status_code, headers=error.headers, media_type=_JSON)


async def _predictions(service: Service, request: Request) -> Response:
    content_type = request.headers.get("content-type")
    if content_type is None:
        raise RequestError("The request has no Content-Type; send application/json or text/csv.", status=415)
    body = await _read_body(request, service.request_bytes_at_most)
    table = read_table(body, content_type, service.signature)
    columns = service.signature.typed(table)
    predictions = await service.batcher.submit(columns, table.row_count)
    return Response(response_body(predictions), media_type=_JSON)


async def _read_body(request: Request, limit_bytes: int) -> bytes:
    """The body, never more of it in memory than the limit; it may come in chunks without a length."""
    # The declared length spares reading a body that is refused anyway; it may be missing or wrong.
    declared = request.headers.get("content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit_bytes:
        raise _too_large(limit_bytes)
    chunks, size_bytes = [], 0
    async for chunk in request.stream():
        size_bytes += len(chunk)
        if size_bytes > limit_bytes:
            raise _too_large(limit_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(limit_bytes: int) -> RequestError:
    return RequestError(f"The body is larger than {limit_bytes} bytes; send fewer rows at a time.", status=413)


def _refusal(error: RequestError) -> Response:
    response = Response(orjson.dumps(error.document()), status_code=error.status, media_type=_JSON)
    if error.status == 413:  # noqa: PLR2004 (the body was not read, so the connection cannot carry another request)
        response.headers["Connection"] = "close"
    if error.status == 503:  # noqa: PLR2004
        response.headers["Retry-After"] = "1"
    return response


class _Gate:
    """Around the app: headers with the model's name, metrics, and closing the connections of a retired process."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service
        self._headers = [(f"x-model-{name}".encode(), text.encode()) for name, text in _header_names(service).items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        metrics, began, status = self._service.metrics, perf_counter(), 500
        metrics.in_flight += 1

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message["headers"], *self._headers]
                # Clients keep connections for minutes; only this moves them to the process that has taken over.
                if self._service.retired:
                    headers.append((b"connection", b"close"))
                message["headers"] = headers
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        finally:
            metrics.in_flight -= 1
            path = scope["path"]
            # Unknown paths count as one: a scanner would make a series of each.
            metrics.request(path if path in _PATHS else "other", status, perf_counter() - began)


def _header_names(service: Service) -> dict[str, str]:
    identity = service.identity
    return {"name": identity["model"], "version": identity["version"], "digest": identity["digest"]}
