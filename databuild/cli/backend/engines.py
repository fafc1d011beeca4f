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
        _headers(call)  # reports a fault in the flag
        return no_engines()
    from databuild.executors.registry import open_executor

    catalog = call.catalog()
    options = _options(call)
    return Engines({executor}, lambda uri: open_executor(uri, options, catalog.extensions))


def _options(call: Invocation) -> ExecutorOptions:
    from databuild.executors.registry import ClientTls, ExecutorOptions

    flags = call.flags
    return ExecutorOptions(
        headers=_headers(call),
        credential_helper=_path(call, "credential_helper"),
        tls=ClientTls(
            authority=_path(call, "tls_certificate"),
            certificate=_path(call, "tls_client_certificate"),
            key=_path(call, "tls_client_key"),
        ),
        environ=call.environ,
        cache_directory=f"{call.state_dir}/executors",
        grace_seconds=flags["grace_period"],
    )


def _headers(call: Invocation) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    for text in call.flags["remote_header"]:
        name, separator, value = text.partition("=")
        if not (name and separator):
            raise UsageError(f"--remote_header={text} must be NAME=VALUE", call.command)
        headers[name.lower()] = value
    return headers


def _path(call: Invocation, flag: str) -> str:
    value: Any = call.flags[flag]
    return call.path(value) if value else ""
