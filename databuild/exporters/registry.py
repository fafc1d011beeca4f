"""The exporters by the scheme of their URIs.

An exporter is an extension: a package below `databuild.exporters` whose module `extension` has a function
`open_exporter(uri, options)`. It is among the runfiles of a graph only if the graph names it, and is imported only by a
process that uses it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from databuild.errors import InvalidRequestError
from databuild.model.client_tls import ClientTls
from databuild.tuples import EMPTY, NamedTuple

if TYPE_CHECKING:
    from databuild.exporters.exporter import Exporter
    from databuild.model.records import JobRunRecord

EXTENSIONS: Final[Mapping[str, str]] = {
    "bes": "bes",
    "openlineage": "openlineage",
    "otlp": "otlp",
}
"""The extension of DataBuild that serves each scheme. rules/private/extensions.bzl lists the same schemes."""

_ADDRESSES: Final[Mapping[str, str]] = {
    "bes": "grpc://HOST:PORT",
}
"""The form of the address after the scheme. The environment has the addresses of other exporters."""

_ENDPOINTS: Final[Mapping[str, Sequence[str]]] = {
    "openlineage": ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__TRANSPORT*"),
    "otlp": (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    ),
}
"""The variables that say where an exporter sends to, by scheme. `*` stands for the rest of a name."""


class RefPattern(NamedTuple):
    """The partition pattern of a ref.

    Attributes:
        text: The pattern.
        fields: The text of each field, by name.
        folder: The literal folder below which all refs of the pattern are, and no ref of another one; empty if there is
            none.
    """

    text: str
    fields: Mapping[str, str]
    folder: str


class ExporterOptions(NamedTuple):
    """The part of a process that exporters use.

    Attributes:
        environ: The environment variables, which configure them.
        log_place: Returns the path or the URI of a log of a job run: the run and the stream.
        read_log: Reads the end of a log of a job run: the run, the stream and the maximum number of bytes. It may raise
            OSError and StorageError.
        pattern_of: Returns the pattern of a ref; None if no pattern of the graph matches it.
        exit_code_of: Returns the exit code with which the command line ends after an error.
        environment: The environment (docs/environments.md) whose events are sent; empty for the base.
        headers: Headers of requests to a Build Event Service, by name.
        credential_helper: The path of a program that prints more of them; empty for none.
        tls: The files for TLS, of exporters with an address.
    """

    environ: Mapping[str, str]
    log_place: Callable[[JobRunRecord, str], str]
    read_log: Callable[[JobRunRecord, str, int], bytes]
    pattern_of: Callable[[str], RefPattern | None]
    exit_code_of: Callable[[BaseException], int]
    environment: str = ""
    headers: Mapping[str, str] = EMPTY
    credential_helper: str = ""
    tls: ClientTls = ClientTls()


def check_exporter(uri: str, extensions: Collection[str]) -> None:
    """Checks the URI of an exporter, and that the graph has its extension.

    Args:
        uri: The URI.
        extensions: The extensions that the graph names.

    Raises:
        InvalidRequestError: The URI is invalid, or the graph does not name it.
    """
    scheme, separator, rest = uri.partition(":")
    if not separator or bool(rest) != (scheme in _ADDRESSES) or scheme not in EXTENSIONS:
        known = ", ".join(f"{scheme}:{_ADDRESSES.get(scheme, '')}" for scheme in EXTENSIONS)
        raise InvalidRequestError(f"{uri!r} is not an exporter; there is {known}")
    if EXTENSIONS[scheme] not in extensions:
        raise InvalidRequestError(
            f"the graph does not have the exporter {uri!r}; add exporters = [{uri!r}] to its databuild_graph"
        )


def has_endpoint(uri: str, environ: Mapping[str, str]) -> bool:
    """Returns True if its URI or the environment says where an exporter sends to."""
    scheme = uri.partition(":")[0]
    return scheme in _ADDRESSES or any(_is_set(name, environ) for name in _ENDPOINTS[scheme])


def _is_set(name: str, environ: Mapping[str, str]) -> bool:
    if name.endswith("*"):
        return any(variable.startswith(name[:-1]) for variable in environ)
    return bool(environ.get(name))


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
