"""The output of processes, from the store of an engine into files and callbacks."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import grpc

from databuild.executors.executor import ProcessSpec
from databuild.executors.output import LogFile, TailBuffer
from databuild.executors.reapi import remote_execution_pb2 as api
from databuild.executors.reapi.actions import REPORT
from databuild.executors.reapi.blob_store import BlobStore
from databuild.executors.reapi.limits import OutageError, explain


class ReportLostError(Exception):
    """The report of a process cannot be read any more."""


class Results:
    """Delivers the output of processes."""

    def __init__(self, store: BlobStore, log_limit_bytes: int) -> None:
        """Reads nothing yet.

        Args:
            store: The store of the engine.
            log_limit_bytes: The maximum size of each stream of output.
        """
        self._store = store
        self._log_limit_bytes = log_limit_bytes

    async def deliver_output(self, path: str, raw: bytes, digest: api.Digest, note: str = "") -> bytes:
        """Writes a stream of output, and returns it if there is no file for it.

        Args:
            path: The file, which is replaced if it exists; empty to return the output.
            raw: The output, if the engine has sent it along.
            digest: The digest of the output otherwise.
            note: A line of DataBuild's own at the end; empty for none.
        """
        if path:
            Path(path).unlink(missing_ok=True)
        sink = LogFile(path, self._log_limit_bytes) if path else TailBuffer(self._log_limit_bytes)
        try:
            async with contextlib.aclosing(self._content(raw, digest)) as pieces:
                async for piece in pieces:
                    sink.write(piece)
        except (OutageError, grpc.aio.AioRpcError) as error:
            note = f"the rest of the output cannot be read from the engine: {_words(error)}"
        if note:
            sink.write(f"\n[databuild: {note}]\n".encode())
        sink.close()
        return sink.content() if isinstance(sink, TailBuffer) else b""

    async def deliver_report(
        self, spec: ProcessSpec, result: api.ActionResult, on_report: Callable[[bytes], None]
    ) -> None:
        """Passes each line of the report to a callback.

        Raises:
            ReportLostError: A part of the report cannot be read.
        """
        for file in result.output_files:
            if file.path == REPORT and spec.report:
                await self._pass_on(file, on_report)

    async def _pass_on(self, file: api.OutputFile, on_report: Callable[[bytes], None]) -> None:
        partial = b""
        try:
            async with contextlib.aclosing(self._content(file.contents, file.digest)) as pieces:
                async for piece in pieces:
                    *lines, partial = (partial + piece).split(b"\n")
                    for line in lines:
                        on_report(line)
        except (OutageError, grpc.aio.AioRpcError) as error:
            raise ReportLostError(
                f"the process has ended, but its report cannot be read from the engine: {_words(error)}"
            ) from error
        if partial:
            on_report(partial)

    async def _content(self, raw: bytes, digest: api.Digest) -> AsyncGenerator[bytes, None]:
        if raw:
            yield raw
        elif digest.size_bytes:
            async with contextlib.aclosing(self._store.read(digest)) as pieces:
                async for piece in pieces:
                    yield piece


def _words(error: OutageError | grpc.aio.AioRpcError) -> str:
    return explain(error) if isinstance(error, grpc.aio.AioRpcError) else str(error)
