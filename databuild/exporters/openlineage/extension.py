"""The extension `openlineage`: the exporter to OpenLineage."""

from __future__ import annotations

from databuild.exporters.exporter import Exporter
from databuild.exporters.openlineage.datasets import Datasets
from databuild.exporters.openlineage.exporter import OpenLineageExporter
from databuild.exporters.openlineage.settings import namespace_of, sender_for
from databuild.exporters.registry import ExporterOptions


def open_exporter(uri: str, options: ExporterOptions) -> Exporter:
    """Returns the exporter, which the standard configuration of OpenLineage describes.

    Its name has the receivers that it sends to, so that each has a cursor of its own.

    Raises:
        InvalidRequestError: The configuration is invalid, or names no transport.
    """
    receivers, sender = sender_for(options.environ)
    return OpenLineageExporter(uri + receivers, Datasets(namespace_of(options.environ), options.pattern_of), sender)
