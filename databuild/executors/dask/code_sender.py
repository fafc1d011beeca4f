"""Sends the code of jobs to workers that ask for it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from typing import Final

from databuild.executors.dask.code_tree import archive, fingerprint
from databuild.executors.dask.connection import Connection, ConnectionLostError
from databuild.executors.executor import Code

_MAX_TRANSFERS: Final = 2
"""The number of workers that get code at once."""


class CodeSender:
    """Knows the code of runs by its digest, and sends it once to each worker that asks."""

    def __init__(self) -> None:
        self._fingerprints: dict[str, str] = {}
        self._code: dict[str, Code] = {}
        self._sending: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(_MAX_TRANSFERS)

    async def add(self, code: Code) -> dict[str, str]:
        """Returns what a worker has to know to find the code, or to ask for it.

        Raises:
            OSError: A file of the code cannot be read.
        """
        if code.digest not in self._fingerprints:
            self._fingerprints[code.digest] = await asyncio.to_thread(fingerprint, code)
        self.register(code)
        found = self._fingerprints[code.digest]
        return {"digest": code.digest, "root": code.root, "files": code.files, "fingerprint": found}

    def register(self, code: Code) -> None:
        """Makes code known that workers may ask for."""
        self._code[code.digest] = code

    def send(self, connection: Connection, worker: str, digest: str) -> None:
        """Sends code to a worker, unless that is under way."""
        key = worker, digest
        if digest in self._code and key not in self._sending:
            task = self._sending[key] = asyncio.create_task(self._send(connection, worker, self._code[digest]))
            task.add_done_callback(lambda _: self._sending.pop(key, None))

    def close(self) -> None:
        """Stops sending."""
        for task in self._sending.values():
            task.cancel()

    async def _send(self, connection: Connection, worker: str, code: Code) -> None:
        parts = archive(code)
        found = hashlib.sha256()
        offset = 0
        async with self._slots:
            try:
                part = await asyncio.to_thread(_next, parts)
                while part:
                    found.update(part)
                    following = await asyncio.to_thread(_next, parts)
                    sha256 = "" if following else found.hexdigest()
                    if not await self._send_part(connection, worker, code.digest, offset, part, sha256):
                        return
                    offset += len(part)
                    part = following
            except OSError as error:
                fault = f"the code cannot be read at the client: {error}"
                await connection.call_worker(
                    worker, "code", digest=code.digest, offset=offset, data=b"", sha256="", fault=fault
                )
            except ConnectionLostError:
                return  # the worker asks again

    @staticmethod
    async def _send_part(
        connection: Connection, worker: str, digest: str, offset: int, data: bytes, sha256: str
    ) -> bool:
        answer = await connection.call_worker(
            worker, "code", digest=digest, offset=offset, data=data, sha256=sha256, fault=""
        )
        return bool(answer)


def _next(parts: Iterator[bytes]) -> bytes:
    return next(parts, b"")
