"""Addresses of executors: `local`, or the URI of an engine that runs jobs on machines of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from databuild.errors import InvalidRequestError

LOCAL: Final = "local"
"""The executor that runs jobs on the machine of the orchestrator."""

EXTENSIONS: Final[Mapping[str, str]] = {
    "reapi": "reapi",
    "reapis": "reapi",
    "dask": "dask",
    "dask+tls": "dask",
}
"""The extension of DataBuild that serves each scheme. rules/private/extensions.bzl lists the same schemes."""


def check_executor(uri: str) -> None:
    """Checks that a text is `local`, or a URI with the scheme of an engine.

    Raises:
        InvalidRequestError: It is neither.
    """
    scheme, separator, rest = uri.partition("://")
    if uri != LOCAL and not (separator and rest and scheme in EXTENSIONS):
        known = ", ".join(f"{scheme}://" for scheme in EXTENSIONS)
        raise InvalidRequestError(f"{uri!r} is not an executor; it must be `{LOCAL}` or begin with one of {known}")


def extension_of(uri: str) -> str:
    """Returns the name of the extension that serves a valid URI of an engine."""
    return EXTENSIONS[uri.partition("://")[0]]


def properties_for(uri: str, properties: Mapping[str, str]) -> Mapping[str, str]:
    """Returns the requirements on machines that are for an engine, in its words.

    Platform properties of the Remote Execution API are written as they are, as in other rules of Bazel. Those of
    another engine have its name before theirs, such as `dask.resources.GPU`.

    Args:
        uri: The address of the engine.
        properties: The requirements of a job for all engines.
    """
    extension = extension_of(uri)
    if extension == "reapi":
        others = tuple(f"{name}." for name in EXTENSIONS.values() if name != extension)
        return {name: value for name, value in properties.items() if not name.startswith(others)}
    prefix = f"{extension}."
    return {name.removeprefix(prefix): value for name, value in properties.items() if name.startswith(prefix)}
