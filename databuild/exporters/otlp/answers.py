"""The answers of receivers of OTLP, which are the same over gRPC and HTTP."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.message import DecodeError

from databuild.exporters.otlp.settings import LOGS, METRICS, TRACES

MAX_REASON: Final = 200
"""The maximum length of the reason of a fault or a refusal."""

_REJECTED: Final = {TRACES: "rejected_spans", METRICS: "rejected_data_points", LOGS: "rejected_log_records"}


def refusal(signal: str, answer: bytes) -> str:
    """Returns the reason of a partial success; empty if everything was taken."""
    response = _response_of(signal)
    try:
        response.ParseFromString(answer)
    except DecodeError:  # some receivers answer with a text
        return ""
    partial = response.partial_success
    rejected = getattr(partial, _REJECTED[signal])
    return f"{rejected} of the {signal}: {partial.error_message}"[:MAX_REASON] if rejected else ""


def _response_of(signal: str) -> Any:
    # Each signal has messages of its own, and most exporters send no logs.
    if signal == TRACES:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

        return ExportTraceServiceResponse()
    if signal == METRICS:
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

        return ExportMetricsServiceResponse()
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

    return ExportLogsServiceResponse()
