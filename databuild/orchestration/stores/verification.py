"""Verification of stores: looks for the data of many partitions, part by part, and records what is missing or changed.

A part is a page of partitions, in the order of refs. Each part is recorded before the next begins, so a verification
that was interrupted goes on after the last ref of a part.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from databuild.event_log.reads import PartitionReads, StoredDataReads, StoredRowReads
from databuild.event_log.rows import stored_data
from databuild.model.store_check import StoreCheck, StoreCheckOptions
from databuild.orchestration.stores.recorded_files import not_as_recorded
from databuild.orchestration.stores.selection import Selection

if TYPE_CHECKING:
    from databuild.storage.storages import Storages
    from databuild.v1 import events_pb2 as ev

PART: Final = 10_000
"""The number of partitions of a part."""


class Reads(PartitionReads, StoredDataReads, StoredRowReads, Protocol):
    """The reads of a verification."""


class Part(NamedTuple):
    """A part of a verification, and the events that record it.

    Attributes:
        check: The findings.
        events: The events, each an operation of its own. Append each separately.
    """

    check: StoreCheck
    events: Sequence[ev.BuildEvent]


def verify_part(
    reader: Reads,
    selection: Selection,
    options: StoreCheckOptions,
    *,
    after: str = "",
    author: str,
    limit: int = PART,
    clock: Callable[[], float] = time.time,
    storages: Callable[[], Storages] | None = None,
) -> Part:
    """Looks for the data of the next part of a selection. Blocks; writes nothing.

    Args:
        reader: Reads the event log.
        selection: The partitions.
        options: The options.
        after: The last ref of the part before; empty for the first part.
        author: The user who verifies.
        limit: The maximum number of partitions.
        clock: Returns the time in seconds since the epoch.
        storages: Returns the storages of the graph; None to look at no objects.

    Raises:
        EventLogError: The event log cannot be read.
    """
    rows, next_after = selection.page(
        reader.stored_rows_of, reader.stored_rows_under, after, limit, ref=lambda row: row[0]
    )
    others = rows if options.content else not_as_recorded(rows)
    if not others:
        return Part(StoreCheck(len(rows), next_after=next_after), ())
    data = stored_data(others)
    # Only what is not as recorded needs these.
    from databuild.orchestration.stores.finding_events import finding_events
    from databuild.orchestration.stores.gone_folders import gone_folders, guarded
    from databuild.orchestration.stores.look import Look

    look = Look(data, content=options.content, storages=storages)
    findings = look.findings
    if look.absent and not options.confirm_losses:
        findings, _ = guarded(findings, gone_folders(look.absent), reader)
    check = StoreCheck(
        len(rows) - look.not_looked_at,
        look.not_looked_at,
        findings,
        next_after,
        tuple(look.hints),
        look.without_facts,
    )
    if options.dry_run or not findings:
        return Part(check, ())
    versions = {one.ref: one.version for one in data}
    return Part(
        check, finding_events(reader, findings, versions, look.found, options.changed, author=author, clock=clock)
    )
