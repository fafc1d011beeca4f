"""The service over HTTP and JSON: a few lines around each request of the API, in the order of the table of routes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import re
from collections.abc import AsyncGenerator, Collection, Sequence
from typing import Any, Final

from google.protobuf.message import Message
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute
from starlette.routing import Route as HttpRoute
from starlette.types import ASGIApp

from databuild.errors import DataBuildError, HttpRequestError, InvalidRequestError
from databuild.service.access.auth import READ, Caller, Tokens
from databuild.service.access.certificates import CERTIFICATE_NAME_KEY
from databuild.service.api.errors import meaning_of, report, worded_detail_of
from databuild.service.api.json_codec import from_json, from_query, to_json, to_json_aside
from databuild.service.api.methods import ROLES, Api
from databuild.service.api.routes import BYTES, EVENTS, JSON, PICTURE, PREFIX, ROUTES, Route
from databuild.service.graph.graph_service import GraphService
from databuild.service.graph.metrics import CONTENT_TYPE, Metrics
from databuild.service.http.event_texts import EventTexts
from databuild.service.http.guard import Guard
from databuild.service.http.openapi import document
from databuild.service.partitions.pictures import STYLE_SOURCE, graph_picture
from databuild.v1 import service_pb2 as sv

_PING_SECONDS: Final = 15
_PICTURE_HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src {STYLE_SOURCE}; frame-ancestors 'none'"
}
_EVENT_ID: Final = re.compile(r"\d{1,18}")
_RESUME_FIELDS: Final = {"WatchBuild": "after_sequence", "FollowLog": "offset"}
"""By which field of the request a stream goes on."""


def http_app(
    api: Api,
    service: GraphService,
    *,
    metrics: Metrics,
    tokens: Tokens,
    hosts: Collection[str] = (),
    more_routes: Sequence[BaseRoute] = (),
) -> ASGIApp:
    """Returns the application.

    Args:
        api: What answers.
        service: What it answers for.
        metrics: What is counted.
        tokens: Who may ask.
        hosts: The names under which it may be reached; none for any.
        more_routes: What is served besides.
    """
    http = _Http(api, service, metrics, tokens)
    routes: list[BaseRoute] = [
        HttpRoute(PREFIX + route.path, functools.partial(http.answer, route), methods=[route.method])
        for route in ROUTES
    ]
    routes += [
        HttpRoute(f"{PREFIX}/openapi.json", http.openapi),
        HttpRoute("/metrics", http.metrics),
        HttpRoute("/healthz", http.health),
        *more_routes,
    ]
    handlers: dict[Any, Any] = {HTTPException: _not_there, DataBuildError: refusal, Exception: refusal}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return Guard(app, limits=service.limits, hosts=hosts, refuse=error_response)


async def refusal(request: Request, error: Exception) -> Response:
    """Returns the answer to a request that an error came of."""
    report(error, f"{request.method} {request.url.path}")
    return error_response(error)


def error_response(error: Exception) -> Response:
    """Returns an error in its one shape."""
    text = to_json(sv.ErrorResponse(error=worded_detail_of(error)))
    status = meaning_of(error).http
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return Response(text, status, media_type=JSON, headers=headers)


async def _not_there(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    what = f"{request.method} {request.url.path[:200]!r} is nothing that can be asked for; see {PREFIX}/openapi.json"
    response = error_response(HttpRequestError(405 if status == 405 else 404, what))
    response.headers.update(getattr(error, "headers", None) or {})
    return response


class _Http:
    def __init__(self, api: Api, service: GraphService, metrics: Metrics, tokens: Tokens) -> None:
        self._api = api
        self._service = service
        self._metrics = metrics
        self._tokens = tokens
        self._texts = EventTexts()

    async def answer(self, route: Route, request: Request) -> Response:
        """Answers one request of the table."""
        caller = self._caller(request, ROLES[route.rpc])
        message = await _message(route, request)
        if route.form == EVENTS:
            return await self._events(route, request, message, caller)
        if route.form == BYTES:
            return await self._download(message)
        answer: Any = await self._api.answer(route.rpc, message, caller)
        if route.form == PICTURE:
            picture = await asyncio.to_thread(graph_picture, answer)
            return Response(picture, media_type=PICTURE, headers=_PICTURE_HEADERS)
        return Response(await to_json_aside(answer), media_type=JSON)

    async def openapi(self, request: Request) -> Response:
        """Returns the OpenAPI document."""
        self._caller(request, READ)
        return Response(_openapi_text(), media_type=JSON)

    async def metrics(self, request: Request) -> Response:
        """Returns the metrics."""
        self._caller(request, READ)
        return Response(self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def health(self, _request: Request) -> Response:
        """Says whether builds are taken."""
        if self._service.running.stopped:
            return PlainTextResponse("shutting down\n", 503)
        return PlainTextResponse("serving\n")

    def _caller(self, request: Request, role: str) -> Caller:
        headers = request.headers
        certificate = request.scope.get("state", {}).get(CERTIFICATE_NAME_KEY)
        caller = self._tokens.authenticate(
            headers.get("authorization", ""), headers.get("databuild-author", ""), certificate
        )
        caller.check(role)
        return caller

    async def _events(self, route: Route, request: Request, message: Any, caller: Caller) -> Response:
        resumed = _RESUME_FIELDS[route.rpc]
        last = request.headers.get("last-event-id", "")
        if last:
            if _EVENT_ID.fullmatch(last) is None:
                raise InvalidRequestError(f"the Last-Event-ID is {last[:80]!r}, and has to be a whole number")
            setattr(message, resumed, int(last))
        # What cannot be is found out before the stream begins, and has a status of its own.
        if route.rpc == "WatchBuild":
            await self._service.builds.get(message.build_request_id)
        else:
            await self._api.read_log(_of_log(message), caller)
        stream = self._stream(getattr(self._api, route.method_name)(message, caller))
        seconds = self._service.limits.send_timeout_seconds
        return EventSourceResponse(stream, ping=_PING_SECONDS, send_timeout=seconds, sep="\n")

    async def _stream(self, answers: AsyncGenerator[Any]) -> AsyncGenerator[bytes | ServerSentEvent]:
        """Returns answers as server-sent events; one called `end` says that nothing follows."""
        try:
            async with contextlib.aclosing(answers):
                async for answer in answers:
                    if isinstance(answer, sv.WatchBuildResponse):
                        yield b"".join([await self._texts.of(event) for event in answer.events])
                    else:
                        yield ServerSentEvent(await to_json_aside(answer), id=str(answer.next_offset))
        except DataBuildError as error:
            yield ServerSentEvent(to_json(sv.ErrorResponse(error=worded_detail_of(error))), event="error")
            return
        if not self._service.watching.closed:  # otherwise it goes on when the service is back
            yield ServerSentEvent("{}", event="end")

    async def _download(self, message: Any) -> Response:
        logs = self._service.logs
        stream = message.stream or "stderr"
        first = await logs.chunk(message.job_run_id, stream, offset=message.offset)

        async def pieces() -> AsyncGenerator[bytes]:
            chunk = first
            while chunk.data:
                yield chunk.data
                chunk = await logs.chunk(message.job_run_id, stream, offset=chunk.next_offset)

        name = f"{message.job_run_id}.{stream}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(pieces(), media_type=BYTES, headers=headers)


async def _message(route: Route, request: Request) -> Message:
    """Reads the message of a request."""
    fields = {name: request.path_params[name] for name in route.path_fields}
    if route.method == "GET":
        return from_query(request.query_params.multi_items(), route.request, fields)
    body = await request.body()
    if body and request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise HttpRequestError(415, f"the body has to be of the type {JSON}")
    return await asyncio.to_thread(from_json, body, route.request, fields)


def _of_log(message: Any) -> sv.ReadLogRequest:
    return sv.ReadLogRequest(job_run_id=message.job_run_id, stream=message.stream, offset=message.offset, limit=1)


@functools.cache
def _openapi_text() -> str:
    return json.dumps(document(), indent=2)
