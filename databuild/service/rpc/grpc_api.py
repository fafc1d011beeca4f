"""The service over gRPC, with the standard health and reflection services."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from databuild.errors import DataBuildError, DeadlineExceededError, InvalidRequestError, SlowReaderError
from databuild.graph.labels import stable_label
from databuild.service.access.auth import Caller, Tokens
from databuild.service.access.certificates import grpc_certificate_name
from databuild.service.api.errors import detail_of, meaning_of, report, worded_detail_of
from databuild.service.api.methods import ROLES, Api
from databuild.service.api.nul_check import check_no_nul
from databuild.service.api.routes import method_name
from databuild.service.resources.limits import Limits
from databuild.v1 import service_pb2
from databuild.v1.events_pb2 import BuildEvent

ERROR_METADATA: Final = "databuild-error-bin"
ENVIRONMENT_METADATA: Final = "databuild-environment"
_LARGE_BYTES: Final = 50_000
_MAX_MESSAGE_BYTES: Final = 1500
"""Error messages are cut here. Clients accept 8 KiB of metadata by default, and a message is sent twice in it."""

_MAX_FACTS_BYTES: Final = 1000
_FACTS_SIZES: Final = ((1000, 50), (200, 10), (60, 3), (0, 0))
"""Limits on the facts of an error, from large to small: characters of a text, items of a list. The first that fits into
_MAX_FACTS_BYTES is used."""

_SERVICE: Final = service_pb2.DESCRIPTOR.services_by_name["DataBuildService"]
_REFLECTION: Final = f"/{reflection.SERVICE_NAME}/"


class GrpcServer:
    """Serves the API on one port.

    Args:
        api: Answers the RPCs.
        limits: The limits on requests and responses.
        tokens: Authenticates callers.
        graph_label: The graph that is served. A request that names another graph is refused.
    """

    def __init__(self, api: Api, *, limits: Limits, tokens: Tokens, graph_label: str = "") -> None:
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(
            interceptors=(_Authentication(tokens),),
            maximum_concurrent_rpcs=limits.max_requests,
            options=(
                ("grpc.max_receive_message_length", limits.max_request_bytes),
                # Otherwise a second service could open the same port, and get some of the connections.
                ("grpc.so_reuseport", 0),
                ("grpc.keepalive_time_ms", 60_000),
                # Our clients ping every 30 seconds while they wait for events. gRPC would disconnect them by default.
                ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
            ),
        )
        authenticate = functools.partial(_authenticate, tokens, graph_label=graph_label)
        handlers = {method.name: _handler(api, method, limits, authenticate) for method in _SERVICE.methods}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE.full_name, handlers),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (_SERVICE.full_name, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )

    async def start(self, address: str, credentials: grpc.ServerCredentials | None = None) -> int:
        """Starts to listen, and returns the port.

        Args:
            address: The host and port; port 0 for any free port.
            credentials: The TLS configuration; None to listen without TLS.

        Raises:
            RuntimeError: The port cannot be opened.
        """
        if credentials is None:
            port = self._server.add_insecure_port(address)
        else:
            port = self._server.add_secure_port(address, credentials)
        await self._server.start()
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)
        return int(port)

    async def drain(self) -> None:
        """Reports NOT_SERVING to health checks. Requests are still answered."""
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)

    async def stop(self, grace_seconds: float) -> None:
        """Stops listening. Requests that are still in progress after `grace_seconds` are cancelled."""
        await self._server.stop(grace_seconds)

    async def _set_health(self, status: Any) -> None:
        for name in ("", _SERVICE.full_name):
            await self._health.set(name, status)


class _Authentication(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Authenticates callers of the reflection service.

    The handlers of the API authenticate callers themselves. Health needs no token, for load balancers and supervisors.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[grpc.RpcMethodHandler]], details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler:
        handler = await continuation(details)
        if not details.method.startswith(_REFLECTION):
            return handler
        try:
            _authenticate(self._tokens, details.invocation_metadata, {})
        except DataBuildError as error:
            return _failing_handler(error)
        return handler


def _failing_handler(error: DataBuildError) -> grpc.RpcMethodHandler:
    async def fail(_requests: Any, context: grpc.aio.ServicerContext) -> AsyncGenerator[None]:
        await _abort(context, error)
        yield

    return grpc.stream_stream_rpc_method_handler(fail)


def _handler(
    api: Api, method: MethodDescriptor, limits: Limits, authenticate: Callable[[Any, Any], Caller]
) -> grpc.RpcMethodHandler:
    """Returns the handler of one RPC. It reads and writes bytes, so that large messages can be parsed in a thread."""
    name = method_name(method.name)
    role = ROLES[method.name]

    async def api_of(context: grpc.aio.ServicerContext, request: Message, caller: Caller) -> Api:
        """Returns the API of the environment that the metadata names."""
        environment = _headers(context.invocation_metadata()).get(ENVIRONMENT_METADATA, "")
        return await api.of_environment(environment, method.name, request, caller) if environment else api

    async def unary(data: bytes, context: grpc.aio.ServicerContext) -> Message:
        try:
            caller = authenticate(context.invocation_metadata(), context.auth_context())
            caller.check(role)
            request = await _read_request(method, data)
            async with _time_limit(limits.answer_timeout_seconds, DeadlineExceededError):
                answer: Message = await getattr(await api_of(context, request, caller), name)(request, caller)
                return answer
        except Exception as error:
            report(error, method.name)
            await _abort(context, error)
            raise

    async def stream(data: bytes, context: grpc.aio.ServicerContext) -> None:
        try:
            caller = authenticate(context.invocation_metadata(), context.auth_context())
            caller.check(role)
            request = await _read_request(method, data)
            addressed = await api_of(context, request, caller)
            encodings = addressed.service.event_feeds.encodings(serialize_events)
            async with contextlib.aclosing(getattr(addressed, name)(request, caller)) as answers:
                async for answer in answers:
                    message = answer if isinstance(answer, Message) else await encodings.encode(answer)
                    async with _time_limit(limits.send_timeout_seconds, SlowReaderError):
                        await context.write(message)
        except Exception as error:
            report(error, method.name)
            await _abort(context, error)

    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(stream, None, _serialize)
    return grpc.unary_unary_rpc_method_handler(unary, None, _serialize)


@contextlib.asynccontextmanager
async def _time_limit(seconds: float, error: Callable[[float], DataBuildError]) -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise error(seconds) from None


def _authenticate(
    tokens: Tokens, metadata: Any, auth_context: Mapping[str, Iterable[bytes]], graph_label: str = ""
) -> Caller:
    headers = _headers(metadata)
    certificate_name = grpc_certificate_name(auth_context)
    caller = tokens.authenticate(
        headers.get("authorization", ""), headers.get("databuild-author", ""), certificate_name
    )
    expected_graph = headers.get("databuild-graph", "")
    if expected_graph and graph_label and stable_label(expected_graph) != graph_label:
        raise InvalidRequestError(f"this service serves the graph {graph_label}, not {expected_graph}")
    return caller.within(headers.get("traceparent", ""))


def _headers(metadata: Any) -> dict[str, str]:
    return {key: value for key, value in metadata or () if isinstance(value, str)}


async def _read_request(method: MethodDescriptor, data: bytes) -> Message:
    """Parses a request; a large one in a thread.

    Raises:
        InvalidRequestError: The bytes are not a request of this type, or contain a NUL character.
    """
    if len(data) < _LARGE_BYTES:
        return _parse(method, data)
    return await asyncio.to_thread(_parse, method, data)


def _parse(method: MethodDescriptor, data: bytes) -> Message:
    try:
        request: Message = message_factory.GetMessageClass(method.input_type).FromString(data)
    except DecodeError:
        raise InvalidRequestError(f"the request is not a valid {method.input_type.name} message") from None
    check_no_nul(request)
    return request


def _serialize(message: Message | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()


def serialize_events(events: Sequence[BuildEvent]) -> bytes:
    """Returns the bytes of a `WatchBuildResponse`."""
    return service_pb2.WatchBuildResponse(events=events).SerializeToString()


async def _abort(context: grpc.aio.ServicerContext, error: BaseException) -> None:
    # A client fails the whole call with another error if the metadata is too large, so the facts are shortened to fit.
    details = (detail_of(error, max_text=max_text, max_items=max_items) for max_text, max_items in _FACTS_SIZES)
    detail = next(candidate for candidate in details if candidate.facts.ByteSize() <= _MAX_FACTS_BYTES)
    detail.message = _cut(detail.message)
    trailing_metadata = ((ERROR_METADATA, detail.SerializeToString()),)
    # Our client words the remedy in the detail itself. Other clients show the status message, so it has the remedy.
    await context.abort(meaning_of(error).status, _cut(worded_detail_of(error).message), trailing_metadata)


def _cut(message: str) -> str:
    # A character that the cut splits is left out.
    return message.encode()[:_MAX_MESSAGE_BYTES].decode(errors="ignore")
