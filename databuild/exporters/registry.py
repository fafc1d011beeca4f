"""The exporters by the scheme of their URIs.

An exporter is an extension: a package below `databuild.exporters` whose module `extension` has a function
`open_exporter(uri, options)`. It is among the runfiles of a graph only if the graph names it, and is imported only by a
process that uses it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from databuild.errors import InvalidRequestError

if TYPE_CHECKING:
    from databuild.exporters.exporter import Exporter
    from databuild.model.records import JobRunRecord

EXTENSIONS: Final[Mapping[str, str]] = {
    "otlp": "otlp",
}
"""The extension of DataBuild that serves each scheme. rules/private/extensions.bzl lists the same schemes."""

_ENDPOINTS: Final[Mapping[str, Sequence[str]]] = {
    "otlp": (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    ),
}
"""The variables that say where an exporter sends to, by scheme."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExporterOptions:
    """The part of a process that exporters use.

    Attributes:
        environ: The environment, which configures them.
        read_log: Reads the end of a log of a job run: the run, the stream and the maximum number of bytes. It may raise
            OSError and StorageError.
    """

    environ: Mapping[str, str]
    read_log: Callable[[JobRunRecord, str, int], bytes]


def check_exporter(uri: str, extensions: Collection[str]) -> None:
    """Checks the URI of an exporter, and that the graph has its extension.

    Args:
        uri: The URI.
        extensions: The extensions that the graph names.

    Raises:
        InvalidRequestError: The URI is invalid, or the graph does not name it.
    """
    scheme, separator, rest = uri.partition(":")
    if not separator or rest or scheme not in EXTENSIONS:
        known = ", ".join(f"{scheme}:" for scheme in EXTENSIONS)
        raise InvalidRequestError(f"{uri!r} is not an exporter; there is {known}")
    if EXTENSIONS[scheme] not in extensions:
        raise InvalidRequestError(
            f"the graph does not have the exporter {uri!r}; add exporters = [{uri!r}] to its databuild_graph"
        )


def has_endpoint(uri: str, environ: Mapping[str, str]) -> bool:
    """Returns True if the environment says where an exporter sends to."""
    return any(environ.get(name) for name in _ENDPOINTS[uri.partition(":")[0]])


def open_exporter(uri: str, options: ExporterOptions, import_paths: Mapping[str, Sequence[str]]) -> Exporter:
    """Returns an exporter that has sent nothing yet.

    Args:
        uri: Its URI.
        options: The part of the process that it uses.
        import_paths: The directories of the packages of each extension that the graph names, by extension.

    Raises:
        InvalidRequestError: The URI or the environment is invalid, or the graph does not name the exporter.
    """
    check_exporter(uri, import_paths)
    extension = EXTENSIONS[uri.partition(":")[0]]
    sys.path.extend(path for path in import_paths[extension] if path not in sys.path)
    module = importlib.import_module(f"databuild.exporters.{extension}.extension")
    exporter: Exporter = module.open_exporter(uri, options)
    return exporter
