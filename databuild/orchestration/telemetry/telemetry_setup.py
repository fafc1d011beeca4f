"""Set-up of the OpenTelemetry SDK from its standard `OTEL_*` variables.

DataBuild does not depend on the SDK and its exporters; they are used if they are installed. Without a variable that
enables telemetry, nothing is imported. The SDK itself reads the variables of samplers, resources, batches and
endpoints. Variables: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from databuild.orchestration.telemetry.telemetry import OpenTelemetry, Telemetry

_OTLP: Final = {
    "": ("otlp_proto_grpc", "otlp_proto_http"),
    "grpc": ("otlp_proto_grpc",),
    "http/protobuf": ("otlp_proto_http",),
}
"""Entry points of the OTLP exporters, by protocol. Without a protocol, the first that is installed."""


def telemetry_from_environment(environ: Mapping[str, str], warn: Callable[[str], None]) -> Telemetry | None:
    """Sets the global providers of the process; returns None if telemetry is disabled or cannot be set up.

    The providers export the remaining data when the process exits.

    Args:
        environ: The environment of the process.
        warn: Called with one line if telemetry is enabled but cannot be set up.
    """
    names = {signal: list(_exporter_names(environ, signal)) for signal in ("traces", "metrics")}
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or not any(names.values()):
        return None
    try:
        from opentelemetry import metrics, trace
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        warn(f"telemetry is off: an OTEL_* variable enables it, but the OpenTelemetry SDK is not installed ({error})")
        return None
    try:
        exporters = {signal: [_exporter(environ, signal, name) for name in names[signal]] for signal in names}
    except Exception as error:  # an exporter may raise anything for an invalid variable
        warn(f"telemetry is off: {error}")
        return None
    resource = Resource.create()
    if not environ.get("OTEL_SERVICE_NAME") and "service.name=" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        resource = Resource.create({"service.name": "databuild"})
    if exporters["traces"]:
        tracing = TracerProvider(resource=resource)
        for exporter in exporters["traces"]:
            tracing.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(tracing)
    if exporters["metrics"]:
        readers = [
            exporter if isinstance(exporter, MetricReader) else PeriodicExportingMetricReader(exporter)
            for exporter in exporters["metrics"]
        ]
        metrics.set_meter_provider(MeterProvider(readers, resource=resource))
    return OpenTelemetry()


def _exporter_names(environ: Mapping[str, str], signal: str) -> Iterator[str]:
    """Yields the exporters named by the variable of a signal; without that variable, OTLP if it has an endpoint."""
    kind = signal.upper()
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{kind}_ENDPOINT")
    default = "otlp" if any(environ.get(name) for name in endpoints) else "none"
    for name in (environ.get(f"OTEL_{kind}_EXPORTER") or default).split(","):
        if name.strip() not in {"", "none"}:
            yield name.strip()


def _exporter(environ: Mapping[str, str], signal: str, name: str) -> Any:
    from importlib.metadata import entry_points

    choices: tuple[str, ...] = (name,)
    if name == "otlp":
        general = environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "")
        protocol = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", general)
        if protocol not in _OTLP:
            raise ValueError(f"the OTLP protocol {protocol!r} is not supported; it must be grpc or http/protobuf")
        choices = _OTLP[protocol]
    for choice in choices:
        for entry_point in entry_points(group=f"opentelemetry_{signal}_exporter", name=choice):
            return entry_point.load()()
    raise LookupError(f"no installed package has the exporter {name!r} for {signal}")
