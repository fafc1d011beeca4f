"""The content-addressable store of an engine: what it lacks, what is sent to it, what is read from it."""

from __future__ import annotations

import asyncio
import io
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import grpc

from databuild.executors.reapi import digests
from databuild.executors.reapi import remote_execution_pb2 as api
from databuild.executors.reapi.connection import Connection
from databuild.executors.reapi.digests import Blob
from databuild.executors.reapi.limits import TRANSIENT, Outage
from databuild.executors.reapi.methods import BATCH_UPDATE_BLOBS, FIND_MISSING_BLOBS, QUERY_WRITE_STATUS, READ, WRITE

_MAX_DIGESTS: Final = 10_000
"""In one request: below a megabyte."""

_MAX_BATCH_BYTES: Final = 3 << 20
"""Servers of gRPC take messages of 4 MiB, unless they are configured otherwise."""

_BLOB_BYTES: Final = 128
"""An upper bound for the size of the fields around a blob in a batch."""

_PIECE_BYTES: Final = 1 << 20
_MAX_UPLOADS: Final = 8
_OK: Final = grpc.StatusCode.OK.value[0]
_TRANSIENT_CODES: Final = frozenset(code.value[0] for code in TRANSIENT)


class UploadError(Exception):
    """An engine does not take a blob."""


class BlobStore:
    """Sends and reads blobs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._uploads = asyncio.Semaphore(_MAX_UPLOADS)
        self._batch_bytes = _MAX_BATCH_BYTES

    def limit_batches(self, limit_bytes: int) -> None:
        """Sets the maximum size of a batch for this engine; 0 for no limit."""
        if limit_bytes:
            self._batch_bytes = min(limit_bytes, _MAX_BATCH_BYTES)

    async def missing(self, wanted: Sequence[api.Digest]) -> set[str]:
        """Returns the hashes of those blobs that the engine lacks."""
        found: set[str] = set()
        for start in range(0, len(wanted), _MAX_DIGESTS):
            request = api.FindMissingBlobsRequest(
                instance_name=self._connection.address.instance, blob_digests=wanted[start : start + _MAX_DIGESTS]
            )
            response = await self._connection.call(FIND_MISSING_BLOBS, request)
            found.update(digest.hash for digest in response.missing_blob_digests)
        return found

    async def upload(self, blobs: Iterable[Blob]) -> None:
        """Sends blobs, the small ones together.

        Raises:
            UploadError: The engine does not take one of them.
            OSError: A file cannot be read.
        """
        try:
            async with asyncio.TaskGroup() as uploads:
                for batch in self._batches(blobs):
                    await self._uploads.acquire()
                    task = uploads.create_task(self._upload(batch))
                    task.add_done_callback(lambda _: self._uploads.release())
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def upload_small(self, blobs: Sequence[Blob]) -> None:
        """Sends blobs as `upload` does, with less effort if they fit into one request."""
        if sum(blob.digest.size_bytes + _BLOB_BYTES for blob in blobs) <= self._batch_bytes:
            await self._upload(blobs)
        else:
            await self.upload(blobs)

    async def read(self, digest: api.Digest) -> AsyncGenerator[bytes, None]:
        """Yields the content of a blob in pieces, and continues after a broken connection.

        Raises:
            grpc.aio.AioRpcError: The engine refuses the request, for example because it has lost the blob.
            OutageError: It does not answer.
        """
        name = self._connection.address.resource(f"blobs/{digest.hash}/{digest.size_bytes}")
        outage = Outage(self._connection.limits)
        position = 0
        while position < digest.size_bytes:
            try:
                request = api.ReadRequest(resource_name=name, read_offset=position)
                async with self._connection.stream(READ, request) as call:
                    while (response := await call.read()) is not grpc.aio.EOF:
                        outage.end()
                        position += len(response.data)
                        yield response.data
            except grpc.aio.AioRpcError as error:
                renewable = self._connection.can_renew_headers and not outage.headers_refused
                if error.code() is grpc.StatusCode.UNAUTHENTICATED and renewable:
                    outage.headers_refused = True
                elif error.code() in TRANSIENT:
                    await outage.wait(error)
                else:
                    raise
            else:
                if position < digest.size_bytes:
                    await outage.wait_after(f"the engine sends only {position:,} bytes of a blob")

    def _batches(self, blobs: Iterable[Blob]) -> Iterator[Sequence[Blob]]:
        """Yields batches that fit into one request, and larger blobs alone."""
        batch: list[Blob] = []
        size = 0
        for blob in blobs:
            blob_size = blob.digest.size_bytes + _BLOB_BYTES
            if size + blob_size > self._batch_bytes and batch:
                yield batch
                batch, size = [], 0
            batch.append(blob)
            size += blob_size
        if batch:
            yield batch

    async def _upload(self, blobs: Sequence[Blob]) -> None:
        if len(blobs) == 1 and blobs[0].digest.size_bytes + _BLOB_BYTES > self._batch_bytes:
            await self._write(blobs[0])
            return
        outage = Outage(self._connection.limits)
        while blobs:
            request = api.BatchUpdateBlobsRequest(instance_name=self._connection.address.instance)
            for blob in blobs:
                data = blob.data if blob.data is not None else await asyncio.to_thread(_read, blob)
                request.requests.add(digest=blob.digest, data=data)
            response = await self._connection.call(BATCH_UPDATE_BLOBS, request)
            refused = {answer.digest.hash: answer.status for answer in response.responses if answer.status.code != _OK}
            blobs = [blob for blob in blobs if blob.digest.hash in refused]
            for blob in blobs:
                if refused[blob.digest.hash].code not in _TRANSIENT_CODES:
                    raise UploadError(_refusal(blob, refused[blob.digest.hash].message))
            if blobs:
                await outage.wait_after(refused[blobs[0].digest.hash].message)

    async def _write(self, blob: Blob) -> None:
        """Sends a blob in pieces, and continues after a broken connection."""
        name = self._connection.address.resource(
            f"uploads/{uuid.uuid4()}/blobs/{blob.digest.hash}/{blob.digest.size_bytes}"
        )
        outage = Outage(self._connection.limits)
        start = 0
        while True:
            try:
                response = await self._connection.write(WRITE, partial(_pieces, name, blob, start))
                if response.committed_size not in {blob.digest.size_bytes, -1}:
                    raise UploadError(_refusal(blob, f"it has stored {response.committed_size:,} bytes of it"))
                return
            except grpc.aio.AioRpcError as error:
                if error.code() not in TRANSIENT:
                    raise UploadError(_refusal(blob, error.details() or error.code().name)) from error
                await outage.wait(error)
            committed = await self._committed(name)
            if committed > start:
                outage.end()
            start = committed

    async def _committed(self, name: str) -> int:
        """Returns the number of bytes of a write that have arrived; 0 if the engine cannot continue it."""
        try:
            request = api.QueryWriteStatusRequest(resource_name=name)
            return (await self._connection.call(QUERY_WRITE_STATUS, request)).committed_size
        except grpc.aio.AioRpcError:
            return 0


def _read(blob: Blob) -> bytes:
    data = Path(blob.path).read_bytes()
    if digests.blob(data).digest != blob.digest:
        raise UploadError(
            f"the file {blob.path} does not have the content that it had when it was hashed; build the graph again "
            "with Bazel, and do not change it while a build runs"
        )
    return data


async def _pieces(name: str, blob: Blob, start: int) -> AsyncIterator[api.WriteRequest]:
    size = blob.digest.size_bytes
    position = start
    with open(blob.path, "rb", buffering=0) if blob.data is None else io.BytesIO(blob.data) as file:  # noqa: ASYNC230, PTH123
        file.seek(position)
        while True:
            data = await asyncio.to_thread(file.read, _PIECE_BYTES)
            end = position + len(data)
            last = end >= size or not data
            yield api.WriteRequest(
                resource_name=name if position == start else "", write_offset=position, finish_write=last, data=data
            )
            if last:
                return
            position = end


def _refusal(blob: Blob, fault: str) -> str:
    what = f"the file {blob.path}" if blob.path else f"{blob.digest.size_bytes:,} bytes"
    return f"the engine does not store {what}: {fault}"
