"""The engines that a process uses, each with one connection that all of its builds share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection

from databuild.errors import InvalidRequestError
from databuild.executors.executor import RemoteExecutor
from databuild.model.executor_uri import LOCAL


class Engines:
    """Opens the executor of each engine once.

    A process uses only engines that its user named: a request or a record of somebody else must not make it present
    its credentials elsewhere.
    """

    def __init__(self, uris: Collection[str], open_executor: Callable[[str], RemoteExecutor]) -> None:
        """Opens nothing yet.

        Args:
            uris: The addresses of the engines, as the user gave them.
            open_executor: Returns an executor that is not connected yet.
        """
        self._uris = frozenset(uris) - {LOCAL}
        self._open_executor = open_executor
        self._executors: dict[str, RemoteExecutor] = {}

    def uses(self, uri: str) -> bool:
        """Returns True for the address of an engine of this process; False for `local` and for others."""
        return uri in self._uris

    def get(self, uri: str) -> RemoteExecutor | None:
        """Returns the executor of an engine; None for `local` or an empty text.

        Raises:
            InvalidRequestError: The engine is none of this process.
        """
        if uri in {"", LOCAL}:
            return None
        if uri not in self._uris:
            known = ", ".join(sorted({LOCAL, *self._uris}))
            raise InvalidRequestError(f"the executor {uri!r} is not in use here; there is {known}")
        if uri not in self._executors:
            self._executors[uri] = self._open_executor(uri)
        return self._executors[uri]

    def leave(self) -> None:
        """Lets the runs on all engines go on when the tasks that await them are cancelled."""
        for executor in self._executors.values():
            executor.leave()

    async def close(self) -> None:
        """Disconnects from all engines."""
        async with contextlib.AsyncExitStack() as stack:
            for executor in self._executors.values():
                stack.push_async_callback(executor.close)


def no_engines() -> Engines:
    """Returns the engines of a process that uses none."""

    def open_executor(uri: str) -> RemoteExecutor:
        raise AssertionError(uri)

    return Engines((), open_executor)
