"""The place of job logs, from flags and the graph. It imports little, since most builds keep logs where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from databuild.cli.backend.invocation import Invocation

if TYPE_CHECKING:
    from databuild.orchestration.logs.log_uploads import LogUploads
    from databuild.storage.storages import Storages


def storages(call: Invocation) -> Storages:
    """Returns the storages that the graph names."""
    from databuild.storage.storages import Storages

    return Storages(call.catalog().extensions)


def chosen_log_store(call: Invocation) -> str:
    """Returns the URI of the store that `--log_store` or the graph names; empty for the state directory.

    Raises:
        InvalidRequestError: It is no place for files, or the graph does not name its kind.
    """
    text: str = call.flags["log_store"] or call.catalog().log_store
    if not text:
        return ""
    from databuild.storage.storages import check_storage

    uri = text if ":" in text else call.path(text)
    check_storage(uri, call.catalog().extensions)
    return uri.rstrip("/") or uri


class InvocationUploads:
    """The uploads of this process to all stores of logs, which are made on first use."""

    def __init__(self, call: Invocation) -> None:
        self._call = call
        self._uploads: LogUploads | None = None

    def __call__(self) -> LogUploads:
        if self._uploads is None:
            from databuild.orchestration.logs.log_uploads import LogUploads

            self._uploads = LogUploads(storages(self._call), self._call.log_dir)
        return self._uploads

    def close(self) -> None:
        """Copies the logs of ended job runs for a limited time, and stops."""
        if self._uploads is not None:
            self._uploads.close()
