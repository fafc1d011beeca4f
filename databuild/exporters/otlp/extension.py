"""The extension `otlp`: the exporter to OpenTelemetry."""

from __future__ import annotations

from databuild.exporters.exporter import Exporter
from databuild.exporters.otlp.exporter import OtlpExporter
from databuild.exporters.otlp.senders import sender_for
from databuild.exporters.otlp.settings import settings_from
from databuild.exporters.registry import ExporterOptions


def open_exporter(uri: str, options: ExporterOptions) -> Exporter:
    """Returns the exporter, which the standard `OTEL_*` variables configure.

    Its name has the host that it sends to, so that each receiver has a cursor of its own.

    Raises:
        InvalidRequestError: A variable is invalid, or a certificate cannot be used.
    """
    settings = settings_from(options.environ)
    senders = {signal: sender_for(endpoint) for signal, endpoint in settings.endpoints.items()}
    hosts = dict.fromkeys(endpoint.host for endpoint in settings.endpoints.values())
    return OtlpExporter(
        uri + ",".join(hosts), settings, senders, read_log=options.read_log, environment=options.environment
    )
