"""The server process: opens the ports, serves one graph, and stops in order."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from databuild.errors import InvalidRequestError, OverloadedError
from databuild.event_log.log import EventLog
from databuild.event_log.open import EnvironmentLogs
from databuild.executors.descriptor_limit import DescriptorLimit
from databuild.executors.engines import Engines
from databuild.executors.executor import ProcessExecutor
from databuild.graph.catalog import JobCatalog
from databuild.orchestration.build.settings import Settings
from databuild.remedies import Remedy
from databuild.service.api.errors import detail_of
from databuild.service.api.json_codec import to_json
from databuild.service.api.methods import Api
from databuild.service.api.routes import JSON
from databuild.service.dashboard.app import dashboard_routes
from databuild.service.graph.environments import Environments
from databuild.service.graph.graph_service import GraphService
from databuild.service.graph.metrics import Metrics
from databuild.service.http.connections import Connection
from databuild.service.http.http_api import http_app
from databuild.service.process.options import ServerOptions, grpc_credentials, ssl_context
from databuild.service.resources.limits import Limits
from databuild.service.resources.loop_lag import LoopLag
from databuild.service.rpc.grpc_api import GrpcServer
from databuild.storage.storages import Storages
from databuild.tuples import NamedTuple
from databuild.v1 import service_pb2 as sv

if TYPE_CHECKING:
    from databuild.exporters.environment_exports import EnvironmentExports

_STOP_SECONDS: Final = 2.0
"""The time that requests in progress get to finish after all builds have ended."""

_OUTCOME_SECONDS: Final = 1.0
"""The time that callers get to read the outcome of a build which has ended while the service was stopping."""

_KEEP_ALIVE_SECONDS: Final = 30
_HEADER_BYTES: Final = 64 * 1024
_BACKLOG: Final = 2048
_DESCRIPTOR_CHECK_SECONDS: Final = 0.25

_log = logging.getLogger("databuild.service")


class Addresses(NamedTuple):
    """The addresses that the service listens on: the URL of HTTP, and the host and port of gRPC."""

    http: str
    grpc: str


class _Uvicorn(uvicorn.Server):
    """An HTTP server that leaves signals to the caller of `serve`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def serve(
    options: ServerOptions,
    *,
    catalog: JobCatalog,
    event_log: EventLog,
    make_executor: Callable[[], ProcessExecutor],
    settings: Settings,
    limits: Limits,
    stop: asyncio.Event,
    force_stop: asyncio.Event | None = None,
    descriptor_limit: DescriptorLimit | None = None,
    engines: Engines | None = None,
    storages: Storages | None = None,
    environments: EnvironmentLogs | None = None,
    environment_exports: EnvironmentExports | None = None,
    started: Callable[[Addresses], None] = lambda _addresses: None,
) -> None:
    """Serves a graph until `stop` is set.

    Args:
        options: Addresses, authentication, and the behaviour at shutdown.
        catalog: The jobs.
        event_log: The event log. It is closed at the end.
        make_executor: Returns a new executor. Called once for each event loop.
        settings: The directories of job processes, and the timing of builds.
        limits: The limits of the service.
        stop: Set to stop. Running builds then get `options.drain_seconds` to finish.
        force_stop: Set to end that time early; None for never.
        descriptor_limit: The limit on open files, which connections and processes share; None for a new one.
        engines: The engines that builds may use; None for none. They are closed at the end.
        storages: The stores of logs; None for none but folders.
        environments: The logs of the environments; None for none.
        environment_exports: Sends their events to other systems; None for none.
        started: Called with the addresses once both ports are open.

    Raises:
        InvalidRequestError: The options are unsafe, or a port cannot be opened.
        EventLogError: The event log cannot be read.
    """
    options.check()
    descriptor_limit = descriptor_limit or DescriptorLimit()
    metrics = Metrics()
    lag = LoopLag()
    new_service = functools.partial(
        GraphService,
        catalog=catalog,
        make_executor=make_executor,
        limits=limits,
        on_event=metrics.observe,
        engines=engines,
        storages=storages,
    )
    service = new_service(event_log=event_log, settings=settings, environments=environments)
    metrics.watch(service.running, service.event_feeds, lag)
    environment_services: Environments | None = None
    if environments is not None:
        environment_services = Environments(
            environments,
            base_log=event_log,
            catalog=catalog,
            limits=limits,
            make_service=lambda name, log: new_service(
                event_log=log, settings=settings.in_environment(name), owns_engines=False
            ),
            folder_of=settings.environment_folder,
            exports=environment_exports,
        )
    services: list[GraphService | Environments] = [service]
    if environment_services is not None:
        services.insert(0, environment_services)  # they read the event log of the base, so they close first
    leave_builds = False
    try:
        for build in await service.start():
            _log.warning("build %s: its process has died; the build is recorded as failed", build)
        if environment_services is not None:
            await environment_services.start()
        api = Api(service, environment_services)
        pages = dashboard_routes(api, service.reports, graph_label=catalog.graph_label, tokens=options.tokens)
        app = http_app(api, service, metrics=metrics, tokens=options.tokens, hosts=options.hosts, extra_routes=pages)
        async with (
            lag.measure(),
            _watch_descriptors(descriptor_limit),
            _grpc(api, options, limits, catalog.graph_label) as (grpc_server, grpc_port),
            _http(app, options, limits, descriptor_limit) as port,
        ):
            scheme = "http" if options.tls is None else "https"
            host = f"[{options.host}]" if ":" in options.host else options.host
            started(Addresses(f"{scheme}://{host}:{port}", f"{host}:{grpc_port}"))
            await stop.wait()
            # Both ports stay open while builds finish, so that clients can watch them.
            await grpc_server.drain()
            leave_builds = options.leave_builds
            await _drain(services, options.drain_seconds, force_stop or asyncio.Event())
            for part in services:
                await part.close(leave_builds=leave_builds)
    finally:
        # After the ports are closed, this does nothing. It stops the builds if a port could not be opened.
        for part in services:
            await part.close(leave_builds=leave_builds)


async def _drain(services: Sequence[GraphService | Environments], seconds: float, force_stop: asyncio.Event) -> None:
    """Waits until running builds have ended, the time is up or `force_stop` is set.

    After builds that have ended meanwhile, it also waits for callers that read their outcome.
    """

    async def drain() -> None:
        has_builds = any(service.has_builds for service in services)
        ended = await asyncio.gather(*(service.drain(seconds) for service in services))
        if has_builds and all(ended):
            await asyncio.sleep(_OUTCOME_SECONDS)

    drain_task = asyncio.create_task(drain(), name="drain")
    force_stop_task = asyncio.create_task(force_stop.wait(), name="force-stop")
    await asyncio.wait({drain_task, force_stop_task}, return_when=asyncio.FIRST_COMPLETED)
    for task in (drain_task, force_stop_task):
        task.cancel()


@contextlib.asynccontextmanager
async def _watch_descriptors(limit: DescriptorLimit) -> AsyncGenerator[None]:
    """Raises the limit on open files in time for gRPC connections.

    gRPC does not report its connections. A new descriptor has the lowest free number, so opening one from time to time
    shows how many are in use.
    """

    async def watch() -> None:
        while True:
            with contextlib.suppress(OSError):
                descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
                limit.opened(descriptor)
                os.close(descriptor)
            await asyncio.sleep(_DESCRIPTOR_CHECK_SECONDS)

    task = asyncio.create_task(watch(), name="descriptors")
    try:
        yield
    finally:
        task.cancel()


def _overload_response(max_connections: int) -> bytes:
    """Returns a complete HTTP response. It is sent without reading a request, so the application cannot make it."""
    body = to_json(
        sv.ErrorResponse(error=detail_of(OverloadedError(f"{max_connections} connections are open")))
    ).encode()
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
        raise _cannot_listen(options.host, options.grpc_port, "OTHER_GRPC_PORT") from None
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
        listener = socket.create_server((options.host, options.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise _cannot_listen(options.host, options.port, "OTHER_HTTP_PORT", error.strerror) from None
    # Imports the part of anyio for asyncio, which would take 10 ms of the first stream, and of its build.
    await run_in_threadpool(int)
    # Nagle's algorithm would hold back the last part of a response until the client acknowledges the one before.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # TCP_USER_TIMEOUT (milliseconds) makes the kernel drop peers that stop reading. Twice our own limit, so ours fires
    # first.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(2 * limits.send_timeout_seconds * 1000))
    config = uvicorn.Config(
        app,
        http=cast(
            "Any",
            functools.partial(
                Connection,
                max_connections=limits.max_connections,
                overload_response=_overload_response(limits.max_connections),
                on_descriptor=descriptor_limit.opened,
            ),
        ),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",  # errors are logged by our own code; silence uvicorn
        access_log=False,
        server_header=False,
        proxy_headers=False,  # they would let a client choose its scheme, which the check of the origin uses
        backlog=_BACKLOG,
        h11_max_incomplete_event_size=_HEADER_BYTES,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(_STOP_SECONDS),
        ssl_context_factory=None if context is None else lambda _config, _default: context,
    )
    server = _Uvicorn(config)
    server_task = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await server_task
        listener.close()


def _cannot_listen(host: str, port: int, remedy: Remedy, reason: str | None = None) -> InvalidRequestError:
    suffix = f": {reason}" if reason else ""
    return InvalidRequestError(f"cannot listen on {host}, port {port}{suffix}").with_remedy(remedy)
