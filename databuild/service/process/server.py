"""Serves one graph: opens the ports, says where they are, and ends as it was told when it is asked to."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Final, NamedTuple, cast

import uvicorn
from starlette.types import ASGIApp

from databuild.errors import InvalidRequestError, OverloadedError
from databuild.event_log.log import EventLog
from databuild.executors.descriptor_limit import DescriptorLimit
from databuild.executors.executor import Executor
from databuild.graph.catalog import JobCatalog
from databuild.orchestration.build.settings import Settings
from databuild.orchestration.telemetry.telemetry import Telemetry
from databuild.service.api.errors import detail_of
from databuild.service.api.json_codec import to_json
from databuild.service.api.methods import Api
from databuild.service.api.routes import JSON
from databuild.service.dashboard.app import dashboard_routes
from databuild.service.graph.graph_service import GraphService
from databuild.service.graph.metrics import Metrics
from databuild.service.http.connections import Connection
from databuild.service.http.http_api import http_app
from databuild.service.process.options import ServerOptions, grpc_credentials, ssl_context
from databuild.service.resources.limits import Limits
from databuild.service.resources.loop_lag import LoopLag
from databuild.service.rpc.grpc_api import GrpcServer
from databuild.v1 import service_pb2 as sv

_STOP_SECONDS: Final = 2.0
"""How long answers that are under way get once all builds have ended."""

_KEEP_ALIVE_SECONDS: Final = 30
_HEADER_BYTES: Final = 64 * 1024
_BACKLOG: Final = 2048
_DESCRIPTOR_SECONDS: Final = 0.25

_log = logging.getLogger("databuild.service")


class Addresses(NamedTuple):
    """Where the service is reached."""

    http: str
    grpc: str


class _Uvicorn(uvicorn.Server):
    """A server that leaves signals to whoever started it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def serve(
    options: ServerOptions,
    *,
    catalog: JobCatalog,
    event_log: EventLog,
    make_executor: Callable[[], Executor],
    settings: Settings,
    limits: Limits,
    stop: asyncio.Event,
    hurry: asyncio.Event | None = None,
    descriptor_limit: DescriptorLimit | None = None,
    telemetry: Telemetry | None = None,
    started: Callable[[Addresses], None] = lambda _addresses: None,
) -> None:
    """Serves until it is told to stop.

    Args:
        options: Where and how it is reached, and how it ends.
        catalog: The jobs.
        event_log: The event log, which this closes in the end.
        make_executor: Makes what runs processes, once for each event loop.
        settings: Where processes run and what they leave behind.
        limits: What is allowed.
        stop: Set when it is to end; builds get their time from then on.
        hurry: Set when builds are to get no more time; None for never.
        descriptor_limit: The limit of open files, which connections and processes share; None for one of its own.
        telemetry: Takes measurements of builds; None for none.
        started: Told where it is reached, once it is.

    Raises:
        InvalidRequestError: It must not or cannot listen there.
        EventLogError: The event log cannot be read.
    """
    options.check()
    descriptor_limit = descriptor_limit or DescriptorLimit()
    metrics = Metrics()
    lag = LoopLag()
    service = GraphService(
        catalog=catalog,
        event_log=event_log,
        make_executor=make_executor,
        settings=settings,
        limits=limits,
        on_event=metrics.observe,
        telemetry=telemetry,
    )
    metrics.watch(service.running, service.watching, lag)
    leave = False
    try:
        for build in await service.start():
            _log.warning("build %s had died, and has been ended", build)
        api = Api(service)
        pages = dashboard_routes(api, graph_label=catalog.graph_label, tokens=options.tokens)
        app = http_app(api, service, metrics=metrics, tokens=options.tokens, hosts=options.hosts, more_routes=pages)
        async with (
            lag.measure(),
            _descriptors_seen(descriptor_limit),
            _grpc(api, options, limits, catalog.graph_label) as (grpc_server, grpc_port),
            _http(app, options, limits, descriptor_limit) as port,
        ):
            scheme = "http" if options.tls is None else "https"
            host = f"[{options.host}]" if ":" in options.host else options.host
            started(Addresses(f"{scheme}://{host}:{port}", f"{host}:{grpc_port}"))
            await stop.wait()
            await grpc_server.drain()
            leave = options.leave
            await _drain(service, options.drain_seconds, hurry or asyncio.Event())
            await service.close(leave=leave)
    finally:
        await service.close(leave=leave)


async def _drain(service: GraphService, seconds: float, hurry: asyncio.Event) -> None:
    """Gives builds that run a time to end, unless there is a hurry."""
    draining = asyncio.create_task(service.drain(seconds), name="drain")
    hurrying = asyncio.create_task(hurry.wait(), name="hurry")
    await asyncio.wait({draining, hurrying}, return_when=asyncio.FIRST_COMPLETED)
    for task in (draining, hurrying):
        task.cancel()


@contextlib.asynccontextmanager
async def _descriptors_seen(limit: DescriptorLimit) -> AsyncGenerator[None]:
    """Has the limit of open files raised in time for connections over gRPC, which nobody tells of."""

    async def look() -> None:
        while True:
            with contextlib.suppress(OSError):
                descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
                limit.saw(descriptor)
                os.close(descriptor)
            await asyncio.sleep(_DESCRIPTOR_SECONDS)

    looking = asyncio.create_task(look(), name="descriptors")
    try:
        yield
    finally:
        looking.cancel()


def _refusal(connections: int) -> bytes:
    """Returns the answer to one connection too many, which is sent before any request."""
    body = to_json(sv.ErrorResponse(error=detail_of(OverloadedError(f"{connections} connections are open")))).encode()
    head = f"HTTP/1.1 429 Too Many Requests\r\ncontent-type: {JSON}\r\ncontent-length: {len(body)}\r\nconnection: close"
    return head.encode() + b"\r\n\r\n" + body


@contextlib.asynccontextmanager
async def _grpc(
    api: Api, options: ServerOptions, limits: Limits, graph_label: str
) -> AsyncGenerator[tuple[GrpcServer, int]]:
    server = GrpcServer(api, limits=limits, tokens=options.tokens, graph_label=graph_label)
    credentials = None if options.tls is None else grpc_credentials(options.tls)
    host = f"[{options.host}]" if ":" in options.host else options.host
    try:
        port = await server.start(f"{host}:{options.grpc_port}", credentials)
    except RuntimeError:
        raise _cannot_listen(options.host, options.grpc_port, "--grpc_port") from None
    try:
        yield server, port
    finally:
        await server.stop(_STOP_SECONDS)


@contextlib.asynccontextmanager
async def _http(
    app: ASGIApp, options: ServerOptions, limits: Limits, descriptor_limit: DescriptorLimit
) -> AsyncGenerator[int]:
    context: ssl.SSLContext | None = None if options.tls is None else ssl_context(options.tls)
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        listening = socket.create_server((options.host, options.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise _cannot_listen(options.host, options.port, "--port", error.strerror) from None
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # an answer waits for no acknowledgement
    # Who does not read is let go by the kernel, too, with what it keeps for them; later, so that it is we who notice.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(limits.send_timeout_seconds * 2000))
    config = uvicorn.Config(
        app,
        http=cast(
            "Any",
            functools.partial(
                Connection,
                connections=limits.max_connections,
                refusal=_refusal(limits.max_connections),
                saw_descriptor=descriptor_limit.saw,
            ),
        ),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",  # what is to be told, is told where it happens
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        h11_max_incomplete_event_size=_HEADER_BYTES,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(_STOP_SECONDS),
        ssl_context_factory=None if context is None else lambda _config, _default: context,
    )
    server = _Uvicorn(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="http")
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await serving
        listening.close()


def _cannot_listen(host: str, port: int, flag: str, fault: str | None = None) -> InvalidRequestError:
    why = f": {fault}" if fault else ""
    return InvalidRequestError(f"nobody can listen on {host}, port {port}{why}; {flag} chooses another")
