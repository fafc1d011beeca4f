"""The extension `bes`: the exporter to a Build Event Service."""

from __future__ import annotations

from databuild.channels.quick_grpc import import_grpc
from databuild.exporters.exporter import Exporter
from databuild.exporters.registry import ExporterOptions


def open_exporter(uri: str, options: ExporterOptions) -> Exporter:
    """Returns an exporter that is not connected yet.

    Raises:
        InvalidRequestError: The URI is invalid, or a file for TLS cannot be read.
    """
    import_grpc()
    from databuild.exporters.bes.bes_exporter import BesExporter
    from databuild.exporters.bes.run_results import RunLogs

    return BesExporter(
        uri,
        headers=options.headers,
        credential_helper=options.credential_helper,
        environ=options.environ,
        tls=options.tls,
        logs=RunLogs(options.log_place, options.read_log),
        exit_code_of_error=options.exit_code_of,
    )
