"""Chooses the backend of an invocation: the one place that knows both."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from databuild.cli.backend.backend import Backend
    from databuild.cli.backend.invocation import Invocation


def open_backend(call: Invocation) -> Backend:
    """Returns the service if one is named, else the state directory of this machine."""
    if call.server:
        from databuild.cli.backend.remote_backend import RemoteBackend

        return RemoteBackend(call)
    from databuild.cli.backend.local_backend import LocalBackend

    return LocalBackend(call)
