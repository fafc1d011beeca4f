"""Many locations are verified in bulk, in a folder and in a bucket: losses and changes are found among them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log
from databuild.job.locations import file_uri, size_and_version
from databuild.model.adoption_events import adoption_event
from databuild.model.pacing import slices
from databuild.model.records import Location, PartitionRecord
from databuild.model.store_check import StoreCheckOptions
from databuild.orchestration.stores.selection import Selection
from databuild.orchestration.stores.verification import PART, verify_part
from databuild.storage.storages import Storages
from tests.integration.object_stores.conftest import Bucket

FILES = 100_000
OBJECTS = 10_000
"""Fewer than of files: the server of the test sorts all of its keys for each page of a listing."""


async def record(log: EventLog, locations: Iterable[Location]) -> None:
    """Records partitions `p/00000` and so on with these locations."""
    records = [
        PartitionRecord(f"p/{number:05}", "AVAILABLE", "", 0.0, True, "1", location=location)
        for number, location in enumerate(locations)
    ]
    for number, part in enumerate(slices(records, PART)):
        event = adoption_event(
            [one.ref for one in part], operation_id=f"a{number}", author="ann", reason="mine", time=1.0, records=part
        )
        await log.append([event])


async def verify(log: EventLog, storages: Storages | None = None) -> tuple[int, dict[str, str]]:
    """Verifies everything part by part, and returns the number of checked partitions and the kinds of findings."""
    found: dict[str, str] = {}
    checked, after, more = 0, "", True
    while more:
        part = verify_part(
            log.reader(),
            Selection((), tuple),
            StoreCheckOptions(),
            after=after,
            author="ann",
            storages=(lambda: storages) if storages is not None else None,
        )
        for event in part.events:
            await log.append([event])
        checked += part.check.checked
        found.update((one.ref, one.kind) for one in part.check.findings)
        after, more = part.check.next_after, bool(part.check.next_after)
    return checked, found


async def test_files_that_are_lost_or_changed_are_found_among_many(tmp_path: Path) -> None:
    paths = [f"{tmp_path}/{number // 1000:03}/{number:05}" for number in range(FILES)]
    for number, path in enumerate(paths):
        if number % 1000 == 0:
            os.mkdir(os.path.dirname(path))  # noqa: PTH102, PTH120 - many texts
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    log = open_event_log("memory:")
    await record(log, (Location(file_uri(path), *size_and_version(path)) for path in paths))
    assert await verify(log) == (FILES, {})
    for number in (0, 9_999, 10_000, 99_999):
        Path(paths[number]).unlink()
    for number in (1, 50_000):
        Path(paths[number]).write_text("changed")

    missing = {f"p/{number:05}": "missing" for number in (0, 9_999, 10_000, 99_999)}
    changed = {f"p/{number:05}": "changed" for number in (1, 50_000)}
    assert await verify(log) == (FILES, missing | changed)
    assert await verify(log) == (FILES - len(missing), changed)
    await log.close()


async def test_objects_that_are_lost_or_changed_are_found_among_many(bucket: Bucket, storages: Storages) -> None:
    bucket.server.fill(f"{bucket.prefix}p/", OBJECTS)
    texts = [str(number) for number in range(OBJECTS)]
    log = open_event_log("memory:")
    await record(
        log,
        (
            Location(
                f"{bucket.uri}/p/{number:05}", len(text), hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
            )
            for number, text in enumerate(texts)
        ),
    )
    assert await verify(log, storages) == (OBJECTS, {})
    bucket.server.remove(f"{bucket.prefix}p/00000")
    bucket.server.remove(f"{bucket.prefix}p/09999")
    bucket.put("p/05000", b"changed")

    found = {"p/00000": "missing", "p/05000": "changed", "p/09999": "missing"}
    assert await verify(log, storages) == (OBJECTS, found)
    await log.close()
