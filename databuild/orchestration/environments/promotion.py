"""Promotion: makes partitions of an environment available in the base without building them again.

A partition may be promoted if a build in the base would use it as it is: the code that asks has made it, from inputs
that the base has in the same version, now or by the same promotion. The data stays where it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from databuild.errors import PromotionRefusedError
from databuild.event_log.log import EventLog
from databuild.event_log.overlay.reader import OverlayReader
from databuild.event_log.reads import PartitionReads
from databuild.graph.catalog import JobCatalog
from databuild.model.adoption_events import adoption_event
from databuild.model.environment_views import Promotion
from databuild.model.pacing import slices
from databuild.model.paging import read_rows
from databuild.model.records import UNRECORDED, Manifest, PartitionRecord, PartitionState
from databuild.tuples import NamedTuple

_PAGE: Final = 5000
"""Number of partitions read by one query."""


async def promote(
    refs: Sequence[str],
    *,
    environment: str,
    reader: OverlayReader,
    event_log: EventLog,
    catalog: JobCatalog,
    operation_id: str,
    author: str,
    reason: str = "",
    clock: Callable[[], float] = time.time,
) -> Promotion:
    """Promotes partitions, all in one append. With refs, it promotes all of them or none.

    Args:
        refs: The partitions; none for all that can be promoted.
        environment: The environment.
        reader: Reads the environment.
        event_log: The event log of the base.
        catalog: The jobs of the code that asks.
        operation_id: The id of the operation, which the event has instead of the id of a build.
        author: The user.
        reason: The reason, to record.
        clock: Returns the time in seconds since the epoch.

    Raises:
        PromotionRefusedError: One of the refs cannot be promoted, or the base has changed meanwhile.
        EventLogError: A log could not be read or written.
    """
    candidates = _Candidates(reader, catalog, refs)
    if refs and candidates.faults:
        raise PromotionRefusedError(candidates.faults)
    records = [candidates.records[ref] for ref in sorted(candidates.records)]
    if not records:
        return Promotion(environment, left_out=candidates.faults)
    event = adoption_event(
        [record.ref for record in records],
        operation_id=operation_id,
        author=author,
        reason=reason or f"promoted from the environment {environment}",
        time=clock(),
        force=True,
        records=records,
    )
    event.adoption.environment = environment
    for ref, version in sorted(candidates.expected().items()):
        event.adoption.expected.add(ref=ref, version=version)
    await event_log.append([event])
    promoted = tuple(record.ref for record in records)
    return Promotion(environment, promoted, candidates.faults, operation_id, author)


class _Base(NamedTuple):
    """The versions in the base that were looked up, by ref; empty for no data."""

    versions: dict[str, str]
    reader: PartitionReads

    def look_up(self, refs: Iterator[str]) -> None:
        unknown = list(dict.fromkeys(ref for ref in refs if ref not in self.versions))
        for part in slices(unknown, _PAGE):
            states: Mapping[str, PartitionState] = self.reader.partition_states(part)
            for ref in part:
                state = states.get(ref)
                self.versions[ref] = state.version if state is not None and state.available else ""


class _Candidates:
    """The partitions that can be promoted, and the faults of the others.

    Attributes:
        records: The records of those that can be promoted, by ref.
        faults: The reason for each that cannot, by ref.
    """

    def __init__(self, reader: OverlayReader, catalog: JobCatalog, refs: Sequence[str]) -> None:
        self.records: dict[str, PartitionRecord] = {}
        self.faults: dict[str, str] = {}
        self._catalog = catalog
        self._base = _Base({}, reader.base)
        for records in _own_records(reader, refs):
            self.records.update(records)
        for ref in refs:
            if ref not in self.records:
                self.faults[ref] = "the environment has no data of its own for it"
        self._base.look_up(iter(self.records))
        if not refs:
            for ref in self._promoted_before():
                del self.records[ref]
        for ref, record in tuple(self.records.items()):
            if fault := self._fault(record):
                self._leave_out(ref, fault)
        self._base.look_up(used for record in self.records.values() for used in _inputs(record.manifest))
        self._check_inputs()

    def expected(self) -> dict[str, str]:
        """Returns the versions in the base on which the promotion relies, by ref; empty for no data."""
        relied_on = set(self.records)
        relied_on.update(used for record in self.records.values() for used in _inputs(record.manifest))
        return {ref: self._base.versions[ref] for ref in relied_on}

    def _promoted_before(self) -> list[str]:
        """Returns the partitions that the base has in the same version from the same code, configuration and inputs."""
        same = [ref for ref, record in self.records.items() if self._base.versions[ref] == record.version]
        return [
            ref
            for part in slices(same, _PAGE)
            for ref, record in self._base.reader.partition_records(part).items()
            if record.manifest == self.records[ref].manifest
        ]

    def _fault(self, record: PartitionRecord) -> str:
        if record.tainted:
            return f"it is tainted in the environment ({record.taint_reason})"
        manifest = record.manifest
        if manifest is None:
            return ""
        job = self._catalog.jobs.get(manifest.job_label)
        if job is None:
            return f"{manifest.job_label} has made it, which is no job of this graph"
        if job.code_digest != manifest.code_digest:
            return f"other code of {manifest.job_label} has made it; build it in the environment with this code first"
        return ""

    def _check_inputs(self) -> None:
        """Leaves out partitions whose inputs the base would not have in the same version, and what depends on them."""
        readers: dict[str, list[str]] = {}
        for ref, record in self.records.items():
            for used in _inputs(record.manifest):
                readers.setdefault(used, []).append(ref)
        checked = list(self.records)
        while checked:
            ref = checked.pop()
            if ref in self.records and (fault := self._input_fault(self.records[ref])):
                self._leave_out(ref, fault)
                checked += readers.get(ref, ())

    def _input_fault(self, record: PartitionRecord) -> str:
        for ref, version in _inputs(record.manifest).items():
            promoted = self.records.get(ref)
            if promoted is not None:
                if promoted.version != version:
                    return f"its input {ref!r} was built again in the environment since; build it there again first"
            elif self._base.versions[ref] != version:
                if ref in self.faults:
                    return f"its input {ref!r} cannot be promoted"
                if not self._base.versions[ref]:
                    return f"its input {ref!r} is not in the base; promote it as well"
                if version.startswith(UNRECORDED):
                    fault = "had changed in its store, and the base has no record of the change"
                    return f"its input {ref!r} {fault}; verify the data of the base, and build in the environment again"
                return f"its input {ref!r} is another one in the base; promote it as well, or build it there again"
        return ""

    def _leave_out(self, ref: str, fault: str) -> None:
        del self.records[ref]
        self.faults[ref] = fault


def _inputs(manifest: Manifest | None) -> dict[str, str]:
    """Returns the versions of inputs that make outputs stale when they change, by ref."""
    return {used.ref: used.version for used in manifest.inputs if not used.query} if manifest is not None else {}


def _own_records(reader: OverlayReader, refs: Sequence[str]) -> Iterator[dict[str, PartitionRecord]]:
    """Yields the records of available data of the environment, some at a time."""
    own = refs or [
        ref
        for ref, _ in read_rows(
            lambda after, limit: reader.own.statuses_under("", after=after, limit=limit),
            key=lambda row: row[0],
            start="",
        )
    ]
    for part in slices(own, _PAGE):
        yield {ref: record for ref, record in reader.own.partition_records(part).items() if record.available}
