"""Program that fills one event log with available partitions at places.

    placed_log.py URI files FOLDER            one for each file below a folder
    placed_log.py URI objects PREFIX COUNT    objects as `tests.engines.s3` makes them

It is a process of its own, so that its memory is not that of the benchmark.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from databuild.event_log.open import open_event_log
from databuild.job.locations import file_uri, size_and_version
from databuild.model.adoption_events import adoption_event
from databuild.model.pacing import slices
from databuild.model.records import Location, PartitionRecord

_REFS_PER_EVENT = 10_000


def _files(folder: Path) -> Iterator[PartitionRecord]:
    for below, _, names in os.walk(folder):
        for name in names:
            path = Path(below, name)
            ref = str(path.relative_to(folder))
            yield _record(ref, Location(file_uri(path), *size_and_version(path)))


def _objects(prefix: str, count: int) -> Iterator[PartitionRecord]:
    for number in range(count):
        content = str(number).encode()
        version = hashlib.md5(content, usedforsecurity=False).hexdigest()
        yield _record(f"leaf/{number:05}", Location(f"{prefix}{number:05}", len(content), version))


def _record(ref: str, location: Location) -> PartitionRecord:
    return PartitionRecord(ref, "AVAILABLE", "", 1.0, available=True, version="1", location=location)


async def _fill(uri: str, records: Iterator[PartitionRecord]) -> None:
    log = open_event_log(uri)
    for number, some in enumerate(slices(records, _REFS_PER_EVENT)):
        event = adoption_event(
            [record.ref for record in some],
            operation_id=f"load-{number}",
            author="benchmark",
            reason="load",
            time=1.0,
            force=True,
            records=some,
        )
        await log.append([event])
    await log.close()


def main(uri: str, kind: str, place: str, *count: str) -> None:
    asyncio.run(_fill(uri, _files(Path(place)) if kind == "files" else _objects(place, int(*count))))


if __name__ == "__main__":
    main(*sys.argv[1:])
