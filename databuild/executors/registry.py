"""The executors of engines, by the scheme of their URIs.

An engine is an extension: a package below `databuild.executors` whose module `extension` has a function
`open_executor(uri, options)`. It is among the runfiles of a graph only if the graph names it, and is imported only by a
build that uses it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from databuild.errors import InvalidRequestError
from databuild.executors.executor import RemoteExecutor
from databuild.model.client_tls import ClientTls
from databuild.model.executor_uri import LOCAL, check_executor, extension_of


@dataclass(frozen=True, kw_only=True, slots=True)
class ExecutorOptions:
    """Options of the connection to an engine.

    Attributes:
        headers: Headers of all requests, by name.
        credential_helper: The path of a program that prints headers for an address, by the protocol of Bazel's
            `--credential_helper`; empty for none.
        tls: The files for TLS.
        environ: The environment of the credential helper.
        grace_seconds: The time between TERM and KILL for a process that has to stop, where the engine allows it.
        log_limit_bytes: The maximum size of each stream of output.
        cache_directory: The directory for digests of code, which builds share; empty to keep none.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    credential_helper: str = ""
    tls: ClientTls = field(default_factory=ClientTls)
    environ: Mapping[str, str] = field(default_factory=dict)
    grace_seconds: float = 10.0
    log_limit_bytes: int = 64 * 1024 * 1024
    cache_directory: str = ""


def check_extension(uri: str, extensions: Collection[str]) -> None:
    """Checks the address of an executor, and that the graph has its extension.

    Args:
        uri: The address of an engine, or `local`.
        extensions: The extensions that the graph names.

    Raises:
        InvalidRequestError: The URI is invalid, or the graph does not name its extension.
    """
    check_executor(uri)
    if uri != LOCAL and (extension := extension_of(uri)) not in extensions:
        raise InvalidRequestError(
            f"the graph does not have the executor of {uri!r}; add executors = [{extension!r}] to its databuild_graph"
        )


def open_executor(uri: str, options: ExecutorOptions, import_paths: Mapping[str, Sequence[str]]) -> RemoteExecutor:
    """Returns an executor that is not connected yet.

    Args:
        uri: Its address.
        options: How to talk to it.
        import_paths: The directories of the packages of each extension that the graph names, by extension.

    Raises:
        InvalidRequestError: The URI is invalid, or the graph does not name its extension.
    """
    check_extension(uri, import_paths)
    extension = extension_of(uri)
    sys.path.extend(path for path in import_paths[extension] if path not in sys.path)
    module = importlib.import_module(f"databuild.executors.{extension}.extension")
    executor: RemoteExecutor = module.open_executor(uri, options)
    return executor
