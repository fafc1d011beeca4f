"""The logs of job runs as log records, one for each line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

from databuild.exporters.otlp.attributes import SCOPE, key_values, resource_of
from databuild.exporters.otlp.build_trace import EndedRun
from databuild.model.trace_context import TraceContext, span_of_job_run

MAX_LOG_BYTES: Final = 1024 * 1024
"""The maximum size of the part of each stream that is sent: its end."""


def log_records(
    run: EndedRun, trace: TraceContext, build_request_id: str, stream: str, log: bytes, environment: str
) -> list[LogRecord]:
    """Returns the records of one stream of a job run.

    Args:
        run: The job run.
        trace: The trace of its build.
        build_request_id: Its build.
        stream: `stdout` or `stderr`.
        log: The end of the stream.
        environment: The environment of the build; empty for the base.
    """
    attributes = key_values(
        {
            # https://opentelemetry.io/docs/specs/semconv/registry/attributes/log/
            "log.iostream": stream,
            "databuild.build_request_id": build_request_id,
            "databuild.environment": environment,
            "databuild.job": run.job_label,
            "databuild.job_run_id": run.job_run_id,
        }
    )
    trace_id, span_id = bytes.fromhex(trace.trace_id), bytes.fromhex(span_of_job_run(run.job_run_id))
    return [
        LogRecord(
            # The time of a line is unknown, so only the time of observation is set.
            observed_time_unix_nano=run.time,
            body=AnyValue(string_value=line),
            attributes=attributes,
            trace_id=trace_id,
            span_id=span_id,
            flags=int(trace.sampled),
        )
        for line in log.decode(errors="replace").splitlines()
    ]


def log_request(records: list[LogRecord], resource: Mapping[str, str]) -> ExportLogsServiceRequest:
    scope = ScopeLogs(scope=SCOPE, log_records=records)
    return ExportLogsServiceRequest(resource_logs=[ResourceLogs(resource=resource_of(resource), scope_logs=[scope])])
