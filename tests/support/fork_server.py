"""A server that forks processes with modules that it has imported once."""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext

import pytest


def start_fork_server(*modules: str) -> ForkServerContext:
    """Starts the one fork server of this process, and returns the context whose processes it forks.

    Args:
        modules: The modules that the server imports, besides the event logs and pytest.
    """
    context = multiprocessing.get_context("forkserver")
    logs = [f"databuild.event_log.{name}.log" for name in ("sqlite", "postgresql")]
    context.set_forkserver_preload([*logs, *modules, "pytest"])
    # The server takes its import path from the environment only, and ignores modules that it does not find. Then each
    # process would import them itself, which takes longer than most of the builds.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", ":".join(filter(None, sys.path)))
        forkserver.ensure_running()
    return context
