"""The service over HTTP and JSON: one endpoint for each row of the table of routes, and some that are no RPC."""

from __future__ import annotations

import asyncio
import functools
import json
import re
from collections.abc import AsyncGenerator, Collection, Sequence
from typing import Any, Final

from google.protobuf.message import Message
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Match
from starlette.routing import Route as HttpRoute
from starlette.types import ASGIApp

from databuild.errors import DataBuildError, HttpRequestError, InvalidRequestError
from databuild.service.access.auth import READ, Caller, Tokens
from databuild.service.access.certificates import CERTIFICATE_NAME_KEY
from databuild.service.api.errors import meaning_of, report, worded_detail_of
from databuild.service.api.json_codec import from_json_async, from_query, to_json, to_json_async
from databuild.service.api.methods import ROLES, Api
from databuild.service.api.routes import EVENT_STREAM, JSON, OCTET_STREAM, PREFIX, ROUTES, SVG, Route
from databuild.service.graph.graph_service import GraphService
from databuild.service.graph.metrics import CONTENT_TYPE, Metrics
from databuild.service.http.event_streams import event_stream
from databuild.service.http.guard import Guard
from databuild.service.http.openapi import openapi_document
from databuild.service.partitions.pictures import PICTURES, STYLE_SOURCE
from databuild.v1 import service_pb2 as sv

# Proxies close connections that are idle for long.
_PING_SECONDS: Final = 15
# A picture contains its style sheet, and may load nothing.
_SVG_HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src {STYLE_SOURCE}; frame-ancestors 'none'"
}
ENVIRONMENT_HEADER: Final = "databuild-environment"
ENVIRONMENT_PARAMETER: Final = "environment"
_LAST_EVENT_ID: Final = re.compile(r"\d{1,18}")
_RESUME_FIELDS: Final = {"WatchBuild": "after_sequence", "FollowLog": "offset"}
"""The field of the request that `Last-Event-ID` sets, for each streaming RPC."""


def http_app(
    api: Api,
    service: GraphService,
    *,
    metrics: Metrics,
    tokens: Tokens,
    hosts: Collection[str] = (),
    extra_routes: Sequence[BaseRoute] = (),
) -> ASGIApp:
    """Returns the ASGI application.

    Args:
        api: Answers the RPCs.
        service: The service behind it.
        metrics: The metrics of the service.
        tokens: Authenticates callers.
        hosts: The accepted values of the `Host` header; any value is accepted if empty.
        extra_routes: Further routes, which authenticate callers themselves.
    """
    endpoints = _Endpoints(api, service, metrics, tokens)
    routes: list[BaseRoute] = [
        HttpRoute(PREFIX + route.path, functools.partial(endpoints.answer, route), methods=[route.method])
        for route in ROUTES
    ]
    routes += [
        HttpRoute(f"{PREFIX}/openapi.json", endpoints.openapi),
        HttpRoute("/metrics", endpoints.metrics),
        HttpRoute("/healthz", endpoints.health),
        *extra_routes,
    ]
    handlers: dict[Any, Any] = {HTTPException: _no_route, DataBuildError: _failed, Exception: _failed}
    app = Starlette(routes=routes, exception_handlers=handlers)
    # A path with an additional slash is a mistake in a client, so it gets a 404 instead of a redirect.
    app.router.redirect_slashes = False
    return Guard(app, limits=service.limits, hosts=hosts, error_response=_error_response)


async def _failed(request: Request, error: Exception) -> Response:
    report(error, f"{request.method} {request.url.path}")
    return _error_response(error)


def _error_response(error: Exception) -> Response:
    text = to_json(sv.ErrorResponse(error=worded_detail_of(error)))
    status = meaning_of(error).http
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return Response(text, status, media_type=JSON, headers=headers)


async def _no_route(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    message = f"there is no request {request.method} {request.url.path[:200]!r}; see {PREFIX}/openapi.json"
    response = _error_response(HttpRequestError(405 if status == 405 else 404, message))
    if status == 405:
        response.headers["Allow"] = ", ".join(sorted(_methods_of_path(request)))
    return response


def _methods_of_path(request: Request) -> set[str]:
    """Returns the methods of all routes of a path. The router knows those of the first one only."""
    beginning = PREFIX if request.url.path.startswith(PREFIX) else ""  # the dashboard has a page for all other paths
    routes = [
        route for route in request.app.routes if isinstance(route, HttpRoute) and route.path.startswith(beginning)
    ]
    matching = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return {method for route in matching for method in route.methods or ()}


class _Endpoints:
    def __init__(self, api: Api, service: GraphService, metrics: Metrics, tokens: Tokens) -> None:
        self._api = api
        self._service = service
        self._metrics = metrics
        self._tokens = tokens

    async def answer(self, route: Route, request: Request) -> Response:
        # The role is checked before the body is read, so that a refused request costs little.
        caller = self._authenticate(request, ROLES[route.rpc])
        message = await _read_message(route, request)
        api = await self._api.of_environment(_environment(request), route.rpc, message, caller)
        if route.media_type == EVENT_STREAM:
            return await self._stream(api, route, request, message, caller)
        if route.media_type == OCTET_STREAM:
            return await self._download(api, message)
        answer: Any = await api.answer(route.rpc, message, caller)
        if route.media_type == SVG:
            picture = await asyncio.to_thread(PICTURES[route.rpc], answer)
            return Response(picture, media_type=SVG, headers=_SVG_HEADERS)
        return Response(await to_json_async(answer), media_type=JSON)

    async def openapi(self, request: Request) -> Response:
        self._authenticate(request, READ)
        return Response(_openapi_text(), media_type=JSON)

    async def metrics(self, request: Request) -> Response:
        self._authenticate(request, READ)
        return Response(self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def health(self, _request: Request) -> Response:
        """Needs no token, for load balancers and supervisors."""
        if self._service.running.stopped:
            return PlainTextResponse("shutting down\n", 503)
        return PlainTextResponse("serving\n")

    def _authenticate(self, request: Request, role: str) -> Caller:
        headers = request.headers
        certificate_name = request.scope.get("state", {}).get(CERTIFICATE_NAME_KEY)
        caller = self._tokens.authenticate(
            headers.get("authorization", ""), headers.get("databuild-author", ""), certificate_name
        )
        caller.check(role)
        return caller.within(headers.get("traceparent", ""))

    async def _stream(self, api: Api, route: Route, request: Request, message: Any, caller: Caller) -> Response:
        last_event_id = request.headers.get("last-event-id", "")
        if last_event_id:
            if _LAST_EVENT_ID.fullmatch(last_event_id) is None:
                raise InvalidRequestError(
                    f"Last-Event-ID is {last_event_id[:80]!r}; it must be a number, as sent in `id`"
                )
            setattr(message, _RESUME_FIELDS[route.rpc], int(last_event_id))
        # Validate before streaming starts, so that an invalid request gets a proper HTTP status.
        if route.rpc == "WatchBuild":
            await api.service.builds.check_exists(message.build_request_id)
        else:
            await api.read_log(_first_byte_of_log(message), caller)
        answers = getattr(api, route.method_name)(message, caller)
        events = event_stream(answers, api.service.event_feeds)
        timeout = self._service.limits.send_timeout_seconds
        return EventSourceResponse(events, ping=_PING_SECONDS, send_timeout=timeout, sep="\n")

    async def _download(self, api: Api, message: Any) -> Response:
        logs = api.service.logs
        stream = message.stream or "stderr"
        # Read before the response starts, so that an unknown job run gets a proper HTTP status.
        first_chunk = await logs.chunk(message.job_run_id, stream, offset=message.offset)

        async def contents() -> AsyncGenerator[bytes]:
            chunk = first_chunk
            while chunk.data:
                yield chunk.data
                chunk = await logs.chunk(message.job_run_id, stream, offset=chunk.next_offset)

        name = f"{message.job_run_id}.{stream}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(contents(), media_type=OCTET_STREAM, headers=headers)


async def _read_message(route: Route, request: Request) -> Message:
    fields = {name: request.path_params[name] for name in route.path_fields}
    if route.method == "GET":
        items = [(name, text) for name, text in request.query_params.multi_items() if name != ENVIRONMENT_PARAMETER]
        return from_query(items, route.request, fields)
    body = await request.body()
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # Against cross-site requests: browsers send forms and plain text to other sites unasked, but JSON only after a
    # preflight request, which this service refuses.
    if body and content_type != JSON:
        raise HttpRequestError(415, f"the Content-Type of the body is {content_type[:80]!r}; it must be {JSON}")
    return await from_json_async(body, route.request, fields)


def _environment(request: Request) -> str:
    """Returns the environment that a request is about, by its header or, for links, by its query."""
    named: str = request.query_params.get(ENVIRONMENT_PARAMETER, "")
    return named or request.headers.get(ENVIRONMENT_HEADER, "")


def _first_byte_of_log(message: Any) -> sv.ReadLogRequest:
    return sv.ReadLogRequest(job_run_id=message.job_run_id, stream=message.stream, offset=message.offset, max_bytes=1)


@functools.cache
def _openapi_text() -> str:
    return json.dumps(openapi_document(), indent=2)
