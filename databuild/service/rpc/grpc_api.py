"""The service over gRPC, with health and reflection: a few lines around each request of the API."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
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
from databuild.service.api.nul_check import check_texts
from databuild.service.api.routes import method_name
from databuild.service.resources.limits import Limits
from databuild.v1 import service_pb2

ERROR_METADATA: Final = "databuild-error-bin"
_LARGE_BYTES: Final = 50_000
_MESSAGE_BYTES: Final = 1500
"""How much of a message is sent: clients take no more than 8 KiB of metadata, and it is there twice."""

_FACTS: Final = ((1000, 50), (200, 10), (60, 3), (0, 0))
"""How much of the facts of an error may be sent, characters and items, from the most to the least."""

_FACTS_BYTES: Final = 1000

_SERVICE: Final = service_pb2.DESCRIPTOR.services_by_name["DataBuildService"]
_REFLECTION: Final = f"/{reflection.SERVICE_NAME}/"


class GrpcServer:
    """Serves the API on one port."""

    def __init__(self, api: Api, *, limits: Limits, tokens: Tokens, graph_label: str = "") -> None:
        """Takes the API, what is allowed, who may ask, and which graph is served, for whoever means one."""
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(
            interceptors=(_Authentication(tokens),),
            maximum_concurrent_rpcs=limits.max_requests,
            options=(
                ("grpc.max_receive_message_length", limits.max_request_bytes),
                ("grpc.so_reuseport", 0),
                ("grpc.keepalive_time_ms", 60_000),
                ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
            ),
        )
        asked = functools.partial(_caller, tokens, graph_label=graph_label)
        handlers = {method.name: _handler(api, method, limits, asked) for method in _SERVICE.methods}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE.full_name, handlers),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (_SERVICE.full_name, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )

    async def start(self, address: str, credentials: grpc.ServerCredentials | None = None) -> int:
        """Begins to listen, and returns on which port.

        Args:
            address: The host and port; port 0 for any that is free.
            credentials: Those of TLS; None for none.

        Raises:
            RuntimeError: Nobody may listen there.
        """
        if credentials is None:
            port = self._server.add_insecure_port(address)
        else:
            port = self._server.add_secure_port(address, credentials)
        await self._server.start()
        await self._set(health_pb2.HealthCheckResponse.SERVING)
        return int(port)

    async def drain(self) -> None:
        """Says that it does not serve any more; what is asked is still answered."""
        await self._set(health_pb2.HealthCheckResponse.NOT_SERVING)

    async def stop(self, grace_seconds: float) -> None:
        """Stops listening, and gives requests a time to end."""
        await self._server.stop(grace_seconds)

    async def _set(self, status: Any) -> None:
        for name in ("", _SERVICE.full_name):
            await self._health.set(name, status)


class _Authentication(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Lets nobody look around by reflection without a token, where there are tokens; the health is for everybody."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[grpc.RpcMethodHandler]], details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler:
        handler = await continuation(details)
        if not details.method.startswith(_REFLECTION):
            return handler  # the handlers of the API see to it themselves
        try:
            _caller(self._tokens, details.invocation_metadata, {})
        except DataBuildError as error:
            return _refusing(error)
        return handler


def _refusing(error: DataBuildError) -> grpc.RpcMethodHandler:
    async def refuse(_requests: Any, context: grpc.aio.ServicerContext) -> AsyncGenerator[None]:
        await _abort(context, error)
        yield

    return grpc.stream_stream_rpc_method_handler(refuse)


def _handler(
    api: Api, method: MethodDescriptor, limits: Limits, caller_of: Callable[[Any, Any], Caller]
) -> grpc.RpcMethodHandler:
    """Returns what serves one RPC."""
    call = getattr(api, method_name(method.name))
    role = ROLES[method.name]

    async def unary(data: bytes, context: grpc.aio.ServicerContext) -> Message:
        try:
            caller = caller_of(context.invocation_metadata(), context.auth_context())
            caller.check(role)
            request = await _request(method, data)
            async with _at_most(limits.answer_timeout_seconds, DeadlineExceededError):
                answer: Message = await call(request, caller)
                return answer
        except Exception as error:
            report(error, method.name)
            await _abort(context, error)
            raise

    async def stream(data: bytes, context: grpc.aio.ServicerContext) -> None:
        try:
            caller = caller_of(context.invocation_metadata(), context.auth_context())
            caller.check(role)
            request = await _request(method, data)
            async with contextlib.aclosing(call(request, caller)) as answers:
                async for answer in answers:
                    async with _at_most(limits.send_timeout_seconds, SlowReaderError):
                        await context.write(answer)
        except Exception as error:
            report(error, method.name)
            await _abort(context, error)

    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(stream, None, _bytes)
    return grpc.unary_unary_rpc_method_handler(unary, None, _bytes)


@contextlib.asynccontextmanager
async def _at_most(seconds: float, error: Callable[[float], DataBuildError]) -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise error(seconds) from None


def _caller(
    tokens: Tokens, metadata: Any, authenticated: Mapping[str, Iterable[bytes]], graph_label: str = ""
) -> Caller:
    sent = {key: value for key, value in metadata or () if isinstance(value, str)}
    certificate = grpc_certificate_name(authenticated)
    caller = tokens.authenticate(sent.get("authorization", ""), sent.get("databuild-author", ""), certificate)
    meant = sent.get("databuild-graph", "")
    if meant and graph_label and stable_label(meant) != graph_label:
        raise InvalidRequestError(f"this service serves the graph {graph_label}, and not {meant}")
    return caller


async def _request(method: MethodDescriptor, data: bytes) -> Message:
    """Reads a request; a large one in a thread.

    Raises:
        InvalidRequestError: It is no such message, or has a text that cannot be.
    """
    if len(data) < _LARGE_BYTES:
        return _parse(method, data)
    return await asyncio.to_thread(_parse, method, data)


def _parse(method: MethodDescriptor, data: bytes) -> Message:
    try:
        request: Message = message_factory.GetMessageClass(method.input_type).FromString(data)
    except DecodeError:
        raise InvalidRequestError(f"the request is no {method.input_type.name}") from None
    check_texts(request)
    return request


def _bytes(message: Message) -> bytes:
    return message.SerializeToString()


async def _abort(context: grpc.aio.ServicerContext, error: BaseException) -> None:
    details = (detail_of(error, max_text=text, max_items=items) for text, items in _FACTS)
    detail = next(one for one in details if one.facts.ByteSize() <= _FACTS_BYTES)
    detail.message = detail.message.encode()[:_MESSAGE_BYTES].decode(errors="ignore")
    trailing = ((ERROR_METADATA, detail.SerializeToString()),)
    # Clients of ours read the detail, and word its remedy themselves; others show this text.
    text = worded_detail_of(error).message.encode()[:_MESSAGE_BYTES].decode(errors="ignore")
    await context.abort(meaning_of(error).status, text, trailing)
