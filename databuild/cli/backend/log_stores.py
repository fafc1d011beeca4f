"""The place of job logs, from flags and the graph."""

from __future__ import annotations

from databuild.cli.backend.invocation import Invocation
from databuild.orchestration.logs.log_uploads import LogUploads
from databuild.storage.storages import Storages, check_storage


def storages(call: Invocation) -> Storages:
    """Returns the storages that the graph names."""
    return Storages(call.catalog().extensions)


def chosen_log_store(call: Invocation) -> str:
    """Returns the URI of the store that `--log_store` or the graph names; empty for the state directory.

    Raises:
        InvalidRequestError: It is no place for files, or the graph does not name its kind.
    """
    text: str = call.flags["log_store"] or call.catalog().log_store
    if not text:
        return ""
    uri = text if ":" in text else call.path(text)
    check_storage(uri, call.catalog().extensions)
    return uri.rstrip("/") or uri


def log_uploads(call: Invocation) -> LogUploads:
    """Returns the uploads of this process to all stores. They start no thread before they are used."""
    return LogUploads(storages(call), call.log_dir)
