"""Previews of the data of partitions: each is made by a process of its own, which is killed if it takes too long.

Only places that the event log knows are looked at: the location of the current data, and the pictures in its metadata.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from databuild.graph.catalog import JobCatalog
from databuild.model.metadata import image_uri
from databuild.previews.preview import MAX_PICTURE_BYTES, Preview
from databuild.service.resources.reader_pool import ReaderPool
from databuild.tuples import NamedTuple
from databuild.v1 import service_pb2 as sv

_PROGRAM: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from databuild.previews.process import main; main()"
)
_MAX_SECONDS: Final = 10.0
_MAX_PROCESSES: Final = 2
_MAX_OUTPUT_BYTES: Final = 2 * MAX_PICTURE_BYTES
_SECRETS: Final = frozenset({"DATABUILD_TOKENS"})


class _Place(NamedTuple):
    uri: str
    version: str


class Previews:
    """Makes previews. Used from one event loop.

    Args:
        catalog: The jobs, and the extensions of the graph.
        readers: Read the event log.
        enabled: False to make none.
        max_seconds: The time for one preview.
    """

    def __init__(
        self, catalog: JobCatalog, readers: ReaderPool, *, enabled: bool, max_seconds: float = _MAX_SECONDS
    ) -> None:
        self._catalog = catalog
        self._readers = readers
        self._enabled = enabled
        self._max_seconds = max_seconds
        self._slots = asyncio.Semaphore(_MAX_PROCESSES)

    async def make(self, ref: str, image: str = "") -> Preview:
        """Makes the preview of the data of a partition, or of a picture in its metadata.

        Args:
            ref: The partition.
            image: The name of the metadata value; empty for the data.

        Raises:
            InvalidRequestError: `ref` is not a valid ref.
        """
        self._catalog.check_ref(ref)
        if not self._enabled:
            return Preview(unavailable="this service shows no previews")
        records = await self._readers.read(lambda reader: reader.partition_records([ref]))
        record = records.get(ref)
        if record is None or not record.available:
            return Preview(unavailable="the partition has no data")
        if image:
            uri = image_uri(record.metadata.get(image))
            place = None if uri is None else _Place(uri, "")
        else:
            place = None if record.location is None else _Place(record.location.uri, record.location.version)
        if place is None:
            return Preview(unavailable="no job has reported where it is")
        request = {
            "uri": place.uri,
            "version": place.version,
            "import_paths": {name: list(paths) for name, paths in self._catalog.extensions.items()},
            "only_picture": bool(image),
        }
        async with self._slots:
            return await self._run(request)

    async def _run(self, request: Mapping[str, Any]) -> Preview:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-c",
            _PROGRAM,
            json.dumps([path for path in sys.path if path]),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if name not in _SECRETS},
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self._max_seconds):
                output = await _answer(process, json.dumps(request).encode())
                if len(output) <= _MAX_OUTPUT_BYTES:
                    await process.wait()
        except TimeoutError:
            return Preview(unavailable=f"it takes more than {self._max_seconds:.0f} s")
        finally:
            if process.returncode is None:  # a signal to a process that has ended would take its exit code from asyncio
                process.kill()
                await process.wait()
        return _preview(output)


async def _answer(process: asyncio.subprocess.Process, request: bytes) -> bytes:
    """Sends the request and returns the output, of which no more than a limit is read."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(ConnectionError):
        process.stdin.write(request)
        await process.stdin.drain()
    process.stdin.close()
    parts: list[bytes] = []
    size = 0
    while size <= _MAX_OUTPUT_BYTES and (data := await process.stdout.read(1 << 16)):
        parts.append(data)
        size += len(data)
    return b"".join(parts)


def _preview(output: bytes) -> Preview:
    try:
        answer = json.loads(output)
    except ValueError:
        return Preview(unavailable="its process ended without an answer, perhaps for lack of memory or time")
    columns: Sequence[Any] = answer.pop("columns")
    picture = base64.b64decode(answer.pop("picture"))
    return Preview(columns=[(name, kind) for name, kind in columns], picture=picture, **answer)


def preview_to_message(preview: Preview) -> sv.Preview:
    message = sv.Preview(truncated=preview.truncated)
    if preview.unavailable:
        message.unavailable = preview.unavailable
    elif preview.picture:
        message.image.data, message.image.media_type = preview.picture, preview.media_type
    elif preview.text is not None:
        message.text = preview.text
    else:
        message.table.columns.extend(sv.PreviewColumn(name=name, type=kind) for name, kind in preview.columns)
        for row in preview.rows:
            message.table.rows.add().extend(row)
    return message
