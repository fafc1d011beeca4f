"""A receiver of OTLP over HTTP and gRPC, made from the official messages."""

from __future__ import annotations

import gzip
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_service
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_MESSAGES: Mapping[str, tuple[Any, Any]] = {
    "traces": (trace_service.ExportTraceServiceRequest, trace_service.ExportTraceServiceResponse),
    "metrics": (metrics_service.ExportMetricsServiceRequest, metrics_service.ExportMetricsServiceResponse),
    "logs": (logs_service.ExportLogsServiceRequest, logs_service.ExportLogsServiceResponse),
}
_SERVICES = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
}


class OtlpReceiver:
    """Keeps what it takes.

    Attributes:
        http: The address for `OTEL_EXPORTER_OTLP_ENDPOINT` over HTTP.
        grpc: The address over gRPC.
        requests: The requests that were taken, each with its signal.
        headers: The headers of all requests.
        refused: The number of requests that were not taken.
        statuses: The status with which each of the next requests is refused, as in HTTP; 503 and 429 are UNAVAILABLE,
            and others INVALID_ARGUMENT in gRPC.
        rejected: The number of spans of which each response says that they were rejected.
        seconds: The time that each request takes.
        gate: No request is answered while it is not set.
    """

    def __init__(
        self,
        *,
        http_port: int = 0,
        grpc_port: int = 0,
        tls: ssl.SSLContext | None = None,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        """Begins to listen.

        Args:
            http_port: The port of HTTP; 0 for a free one.
            grpc_port: The port of gRPC; 0 for a free one.
            tls: The certificates of HTTP; None for no TLS.
            credentials: Those of gRPC; None for no TLS.
        """
        self.requests: list[tuple[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.refused = 0
        self.statuses: list[int] = []
        self.rejected = 0
        self.seconds = 0.0
        self._lock = threading.Lock()
        self.gate = threading.Event()
        self.gate.set()
        self._http = ThreadingHTTPServer(("127.0.0.1", http_port), _http_handler(self))
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self._grpc = grpc.server(futures.ThreadPoolExecutor(4), options=(("grpc.so_reuseport", 0),))
        self._grpc.add_generic_rpc_handlers((_grpc_handler(self),))
        address = f"127.0.0.1:{grpc_port}"
        if credentials is None:
            port = self._grpc.add_insecure_port(address)
        else:
            port = self._grpc.add_secure_port(address, credentials)
        self.http = f"{'http' if tls is None else 'https'}://127.0.0.1:{self._http.server_port}"
        self.grpc = f"{'http' if credentials is None else 'https'}://127.0.0.1:{port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self._grpc.start()

    def close(self) -> None:
        self.gate.set()
        self._http.shutdown()
        self._http.server_close()
        self._grpc.stop(0).wait()

    def take(self, signal: str, request: Any, headers: Mapping[str, str]) -> int:
        """Keeps or refuses a request; returns the status of HTTP of the answer."""
        time.sleep(self.seconds)
        self.gate.wait()
        with self._lock:
            self.headers.append(headers)
            if self.statuses:
                self.refused += 1
                return self.statuses.pop(0)
            self.requests.append((signal, request))
            return 200

    def response(self, signal: str) -> Any:
        response = _MESSAGES[signal][1]()
        if self.rejected and signal == "traces":
            response.partial_success.rejected_spans = self.rejected
            response.partial_success.error_message = "the trace is too old"
        return response

    @property
    def spans(self) -> list[Span]:
        """All spans, in the order in which they were taken."""
        return [
            span
            for request in self._taken("traces")
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def logs(self) -> list[LogRecord]:
        """All log records."""
        return [
            record
            for request in self._taken("logs")
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The newest value of each metric, by name."""
        return {
            metric.name: metric
            for request in self._taken("metrics")
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def counts(self, name: str) -> dict[str, int]:
        """Returns the newest values of a counter, by its labels."""
        points = self.metrics[name].sum.data_points
        return {" ".join(map(str, values(point.attributes).values())): point.as_int for point in points}

    def _taken(self, signal: str) -> list[Any]:
        with self._lock:
            return [request for kind, request in self.requests if kind == signal]


def values(attributes: Sequence[KeyValue]) -> dict[str, Any]:
    """Returns attributes as a dict."""
    return {item.key: _value(item.value) for item in attributes}


def _value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value") or "string_value")


def _http_handler(receiver: OtlpReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.headers["content-type"] == "application/x-protobuf"
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            signal = self.path.removeprefix("/v1/")
            request = _MESSAGES[signal][0].FromString(body)
            status = receiver.take(signal, request, {name.lower(): value for name, value in self.headers.items()})
            answer = receiver.response(signal).SerializeToString() if status == 200 else b""
            self.send_response(status)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name in the base class)
            pass

    return Handler


def _grpc_handler(receiver: OtlpReceiver) -> grpc.GenericRpcHandler:
    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
            service, _, method = details.method.lstrip("/").partition("/")
            if method != "Export" or service not in _SERVICES:
                return None
            signal = _SERVICES[service]

            def export(request: Any, context: grpc.ServicerContext) -> Any:
                status = receiver.take(signal, request, dict(context.invocation_metadata()))
                if status != 200:
                    code = grpc.StatusCode.UNAVAILABLE if status in {429, 503} else grpc.StatusCode.INVALID_ARGUMENT
                    context.abort(code, f"status {status}")
                return receiver.response(signal)

            return grpc.unary_unary_rpc_method_handler(
                export,
                request_deserializer=_MESSAGES[signal][0].FromString,
                response_serializer=_MESSAGES[signal][1].SerializeToString,
            )

    return Handler()
