"""Sets up the OpenTelemetry SDK from its standard `OTEL_*` variables.

The SDK and its exporters are not packages of DataBuild: they are used where they can be imported. Without a variable
that asks for them, nothing is imported. The SDK itself reads the variables of samplers, resources, batches and
endpoints.
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
"""Entry points of the OTLP exporters by protocol; without a protocol, the one that is installed."""


def telemetry_from_environment(environ: Mapping[str, str], warn: Callable[[str], None]) -> Telemetry | None:
    """Returns the telemetry that the environment asks for; None where it asks for none, or it cannot be set up.

    The providers of the process are set, and export what is left when the process exits.

    Args:
        environ: The environment of the process.
        warn: Takes a line that says why telemetry is off although it is asked for.
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
        warn(f"telemetry is off: an OTEL_* variable asks for it, and the OpenTelemetry SDK is not installed ({error})")
        return None
    try:
        exporters = {signal: [_exporter(environ, signal, name) for name in names[signal]] for signal in names}
    except Exception as error:  # whatever an exporter raises for its own variables
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
            found if isinstance(found, MetricReader) else PeriodicExportingMetricReader(found)
            for found in exporters["metrics"]
        ]
        metrics.set_meter_provider(MeterProvider(readers, resource=resource))
    return OpenTelemetry()


def _exporter_names(environ: Mapping[str, str], signal: str) -> Iterator[str]:
    """Yields the exporters of a signal: those that its variable names, or OTLP where there is an endpoint."""
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
            raise ValueError(f"the protocol {protocol!r} of OTLP is none of grpc and http/protobuf")
        choices = _OTLP[protocol]
    for choice in choices:
        for entry_point in entry_points(group=f"opentelemetry_{signal}_exporter", name=choice):
            return entry_point.load()()
    raise LookupError(f"no package with the exporter {name!r} for {signal} is installed")
