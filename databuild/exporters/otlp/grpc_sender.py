"""Requests of OTLP over gRPC.

https://opentelemetry.io/docs/specs/otlp/#otlpgrpc says which answers mean that a request may be sent again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from databuild.channels.quick_grpc import import_grpc
from databuild.exporters.exporter import ReceiverError
from databuild.exporters.otlp.answers import MAX_REASON, refusal
from databuild.exporters.otlp.settings import LOGS, METRICS, TRACES, Endpoint

if TYPE_CHECKING:
    import grpc
    from google.protobuf.message import Message

_SERVICES: Final = {TRACES: "trace.v1.TraceService", METRICS: "metrics.v1.MetricsService", LOGS: "logs.v1.LogsService"}
_SEND_AGAIN_CODES: Final = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}
)


class GrpcSender:
    """A `Sender` over gRPC."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Reads certificates; connects with the first request.

        Raises:
            OSError: A file with a certificate cannot be read.
        """
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
            reason = f"{fault.code().name}: {fault.details()}"[:MAX_REASON]
            if fault.code().name in _SEND_AGAIN_CODES or _has_retry_info(fault):
                raise ReceiverError(reason) from error
            return reason
        return refusal(self._endpoint.signal, answer)

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
