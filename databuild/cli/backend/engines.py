"""The engine on which the builds of an invocation run, from flags and the graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from databuild.cli.backend.invocation import Invocation
from databuild.cli.flags.usage_error import UsageError
from databuild.executors.engines import Engines, no_engines
from databuild.model.executor_uri import LOCAL

if TYPE_CHECKING:
    from databuild.executors.registry import ExecutorOptions
    from databuild.model.client_tls import ClientTls


def chosen_executor(call: Invocation) -> str:
    """Returns the address of the engine that `--executor` or the graph names; empty for this machine.

    Raises:
        InvalidRequestError: It is not the address of an executor, or the graph does not have its extension.
    """
    executor: str = call.flags["executor"] or call.catalog().executor
    if executor == LOCAL:
        return ""
    from databuild.executors.registry import check_extension

    check_extension(executor, call.catalog().extensions)
    return executor


def engines(call: Invocation) -> Engines:
    """Returns the engines that builds of this invocation may use: the one that it names, if any.

    Raises:
        InvalidRequestError: As for `chosen_executor`.
        UsageError: A flag about engines is invalid.
    """
    executor = chosen_executor(call)
    if not executor:
        headers_of(call, "remote_header")  # reports a fault in the flag
        return no_engines()
    from databuild.executors.registry import open_executor

    catalog = call.catalog()
    options = _options(call)
    return Engines({executor}, lambda uri: open_executor(uri, options, catalog.extensions))


def _options(call: Invocation) -> ExecutorOptions:
    from databuild.executors.registry import ExecutorOptions

    flags = call.flags
    return ExecutorOptions(
        headers=headers_of(call, "remote_header"),
        credential_helper=credential_helper(call),
        tls=client_tls(call),
        environ=call.environ,
        cache_directory=f"{call.state_dir}/executors",
        grace_seconds=flags["grace_period"],
    )


def credential_helper(call: Invocation) -> str:
    """Returns the path of the credential helper that a flag names; empty for none."""
    return _path(call, "credential_helper")


def client_tls(call: Invocation) -> ClientTls:
    """Returns the files for TLS that flags name."""
    from databuild.model.client_tls import ClientTls

    return ClientTls(
        authority=_path(call, "tls_certificate"),
        certificate=_path(call, "tls_client_certificate"),
        key=_path(call, "tls_client_key"),
    )


def headers_of(call: Invocation, flag: str) -> Mapping[str, str]:
    """Returns the headers that a repeated flag names.

    Raises:
        UsageError: A value is not NAME=VALUE.
    """
    headers: dict[str, str] = {}
    for text in call.flags[flag]:
        name, separator, value = text.partition("=")
        if not (name and separator):
            raise UsageError(f"--{flag}={text} must be NAME=VALUE", call.command)
        headers[name.lower()] = value
    return headers


def _path(call: Invocation, flag: str) -> str:
    value: Any = call.flags[flag]
    return call.path(value) if value else ""
