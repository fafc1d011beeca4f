"""Requests of OTLP over gRPC and HTTP.

https://opentelemetry.io/docs/specs/otlp/ says which answers mean that a request may be sent again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from databuild.channels.quick_grpc import import_grpc
from databuild.errors import InvalidRequestError
from databuild.exporters.exporter import ReceiverError
from databuild.exporters.http_requests import HttpError, HttpReceiver, fault_of
from databuild.exporters.otlp.settings import GRPC, LOGS, METRICS, TRACES, Endpoint

if TYPE_CHECKING:
    import grpc

_RESPONSES: Final[dict[str, type[Message]]] = {
    TRACES: ExportTraceServiceResponse,
    METRICS: ExportMetricsServiceResponse,
    LOGS: ExportLogsServiceResponse,
}
_SERVICES: Final = {TRACES: "trace.v1.TraceService", METRICS: "metrics.v1.MetricsService", LOGS: "logs.v1.LogsService"}
_REJECTED: Final = {TRACES: "rejected_spans", METRICS: "rejected_data_points", LOGS: "rejected_log_records"}

_SEND_AGAIN: Final = frozenset({429, 502, 503, 504})
_SEND_AGAIN_CODES: Final = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}
)
_MAX_REASON: Final = 200


class Sender(Protocol):
    """Sends requests to one receiver."""

    def send(self, request: Message, seconds: float) -> str:
        """Sends a request within a time limit.

        Returns:
            The reason why the receiver refused it or a part of it for good; empty if it took all.

        Raises:
            ReceiverError: The request has to be sent again.
        """
        ...

    def close(self) -> None:
        """Closes the connection."""
        ...


def sender_for(endpoint: Endpoint) -> Sender:
    """Returns the sender for a receiver.

    Raises:
        InvalidRequestError: A file with a certificate cannot be used.
    """
    try:
        return _GrpcSender(endpoint) if endpoint.protocol == GRPC else _HttpSender(endpoint)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidRequestError(f"a certificate for OTLP cannot be used: {reason}") from error


class _HttpSender:
    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        context = None
        if endpoint.secure:
            import ssl

            context = ssl.create_default_context(cafile=endpoint.authority or None)
            if endpoint.certificate:
                context.load_cert_chain(endpoint.certificate, endpoint.key or None)
        headers = {"content-type": "application/x-protobuf", **endpoint.headers}
        if endpoint.gzip:
            headers["content-encoding"] = "gzip"
        self._receiver = HttpReceiver(endpoint.url, headers, context)

    def send(self, request: Message, seconds: float) -> str:
        body = request.SerializeToString()
        if self._endpoint.gzip:
            import gzip

            body = gzip.compress(body, 1)
        try:
            answer = self._receiver.post(body, seconds)
        except (OSError, HttpError) as error:
            raise ReceiverError(fault_of(error)) from error
        if 200 <= answer.status < 300:
            return _refusal(self._endpoint.signal, answer.body)
        reason = f"status {answer.status} {answer.reason}"
        if answer.status in _SEND_AGAIN:
            raise ReceiverError(reason)
        return reason

    def close(self) -> None:
        self._receiver.close()


class _GrpcSender:
    def __init__(self, endpoint: Endpoint) -> None:
        import_grpc()
        import grpc

        self._endpoint = endpoint
        self._compression = grpc.Compression.Gzip if endpoint.gzip else grpc.Compression.NoCompression
        if endpoint.secure:
            self._channel = grpc.secure_channel(endpoint.host, _credentials(endpoint))
        else:
            self._channel = grpc.insecure_channel(endpoint.host)
        self._export = self._channel.unary_unary(
            f"/opentelemetry.proto.collector.{_SERVICES[endpoint.signal]}/Export",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=lambda data: data,
        )

    def send(self, request: Message, seconds: float) -> str:
        import grpc

        metadata = tuple(self._endpoint.headers.items())
        try:
            answer = self._export(request, timeout=seconds, metadata=metadata, compression=self._compression)
        except grpc.RpcError as error:
            fault: Any = error
            reason = f"{fault.code().name}: {fault.details()}"[:_MAX_REASON]
            if fault.code().name in _SEND_AGAIN_CODES or _has_retry_info(fault):
                raise ReceiverError(reason) from error
            return reason
        return _refusal(self._endpoint.signal, answer)

    def close(self) -> None:
        self._channel.close()


def _credentials(endpoint: Endpoint) -> grpc.ChannelCredentials:
    from pathlib import Path

    import grpc

    authority, key, certificate = (
        Path(path).read_bytes() if path else None for path in (endpoint.authority, endpoint.key, endpoint.certificate)
    )
    return grpc.ssl_channel_credentials(authority, key, certificate)


def _has_retry_info(fault: Any) -> bool:
    """Returns True if a receiver without resources says that it will recover."""
    return fault.code().name == "RESOURCE_EXHAUSTED" and any(
        key == "grpc-status-details-bin" and b"google.rpc.RetryInfo" in value
        for key, value in fault.trailing_metadata() or ()
    )


def _refusal(signal: str, answer: bytes) -> str:
    """Returns the reason of a partial success; empty if everything was taken."""
    response: Any = _RESPONSES[signal]()
    try:
        response.ParseFromString(answer)
    except DecodeError:  # some receivers answer with a text
        return ""
    partial = response.partial_success
    rejected = getattr(partial, _REJECTED[signal])
    return f"{rejected} of the {signal}: {partial.error_message}"[:_MAX_REASON] if rejected else ""
