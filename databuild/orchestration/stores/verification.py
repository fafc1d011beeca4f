"""Verification of stores: looks for the data of many partitions, part by part, and records what is missing or changed.

A part is a page of partitions, in the order of refs. Each part is recorded before the next begins, so a verification
that was interrupted goes on after the last ref of a part.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from databuild.event_log.reads import BuildReads, PartitionReads, StoredDataReads
from databuild.graph.catalog import JobCatalog
from databuild.model.record_messages import location_to_message
from databuild.model.records import Location
from databuild.model.store_check import ADOPT, REBUILD, StoreCheck, StoreCheckOptions, StoreFinding
from databuild.orchestration.maintenance.operations import operation
from databuild.orchestration.stores.gone_folders import gone_folders, guarded
from databuild.orchestration.stores.job_look import Check, JobFindings, JobLook
from databuild.orchestration.stores.look import Look
from databuild.orchestration.stores.selection import Selection
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

if TYPE_CHECKING:
    from databuild.storage.storages import Storages

PART: Final = 10_000
"""The number of partitions of a part."""


class Reads(BuildReads, PartitionReads, StoredDataReads, Protocol):
    """The reads of a verification."""


class Jobs(NamedTuple):
    """The jobs that are asked about data at which DataBuild cannot look.

    Attributes:
        catalog: The jobs.
        environment: The environment of the event log; empty for the base.
        run: Runs a coroutine that asks jobs, in the thread that calls it, and returns its result.
    """

    catalog: JobCatalog
    environment: str
    run: Callable[[Callable[[Check], Coroutine[Any, Any, JobFindings]]], JobFindings]


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
    jobs: Jobs | None = None,
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
        jobs: The jobs to ask; None to ask none.

    Raises:
        EventLogError: The event log cannot be read.
    """
    data, next_after = selection.page(reader.stored_data_of, reader.stored_data_under, after, limit)
    look = Look(data, content=options.content, storages=storages)
    findings = look.findings
    if look.absent and not options.confirm_losses:
        findings, _ = guarded(findings, gone_folders(look.absent), reader)
    answers, hints = _ask(reader, jobs, look, options)
    findings = tuple(sorted(findings + answers.findings)) if answers.findings else findings
    unseen = len(look.others) - len(answers.looked_at)
    check = StoreCheck(len(data) - unseen, unseen, findings, next_after, hints)
    if options.dry_run or not findings:
        return Part(check, ())
    versions = {one.ref: one.version for one in data}
    missing = [finding.ref for finding in findings if finding.kind == "missing"]
    changed = [finding for finding in findings if finding.kind == "changed"]
    events = [_missing(missing, versions, author, clock)] if missing else []
    if changed and options.changed in {REBUILD, ADOPT}:
        # A build may have replaced the data since it was read. The window that is left is as small as that of `taint`.
        current = {one.ref: one.version for one in reader.stored_data_of([finding.ref for finding in changed])}
        changed = [finding for finding in changed if current.get(finding.ref) == versions[finding.ref]]
        if options.changed == ADOPT:
            events += _adoption(reader, changed, {**look.found, **answers.found}, author, clock)
        else:
            events += _taints(changed, author, clock)
    return Part(check, events)


def _ask(
    reader: Reads, jobs: Jobs | None, look: Look, options: StoreCheckOptions
) -> tuple[JobFindings, tuple[str, ...]]:
    """Asks jobs about data that was not looked at. Returns their answers, and the next steps for the rest."""
    answers = JobFindings()
    others = [one for one, _ in look.others.values()]
    hints = dict.fromkeys(hint for _, hint in look.others.values() if hint)
    if jobs is not None and others:
        job_look = JobLook(jobs.catalog, reader, jobs.environment)
        if questions := job_look.questions(others):
            confirmed = options.confirm_losses
            answers = jobs.run(lambda check: job_look.ask(questions, check, confirm_losses=confirmed))
        rest = [(one, hint) for one, hint in look.others.values() if one.ref not in answers.looked_at]
        hints = dict.fromkeys(hint for _, hint in rest if hint)
        hints.update(dict.fromkeys(job_look.hints([one for one, hint in rest if not hint])))
    return answers, tuple(hints)


def _missing(
    refs: Sequence[str], versions: Mapping[str, str], author: str, clock: Callable[[], float]
) -> ev.BuildEvent:
    partitions = [ev.MissingPartition(ref=ref, version=versions[ref]) for ref in refs]
    return operation(clock, missing=ev.MissingEvent(partitions=partitions, author=author))


def _taints(changed: Sequence[StoreFinding], author: str, clock: Callable[[], float]) -> Iterator[ev.BuildEvent]:
    by_detail: dict[str, list[pt.PartitionRef]] = {}
    for finding in changed:
        by_detail.setdefault(finding.detail, []).append(pt.PartitionRef(str=finding.ref))
    for detail, refs in by_detail.items():
        reason = f"changed in its store: {detail}"
        yield operation(clock, taint=ev.TaintEvent(partitions=refs, tainted=True, author=author, reason=reason))


def _adoption(
    reader: PartitionReads,
    changed: Sequence[StoreFinding],
    found: Mapping[str, Location],
    author: str,
    clock: Callable[[], float],
) -> list[ev.BuildEvent]:
    """Returns the adoption of changed data, which keeps its metadata: other jobs may find the data by it."""
    if not changed:
        return []
    records = reader.partition_records([finding.ref for finding in changed])
    event = operation(
        clock,
        adoption=ev.AdoptionEvent(
            partitions=[pt.PartitionRef(str=finding.ref) for finding in changed],
            author=author,
            reason="changed in its store",
            force=True,
        ),
    )
    for finding in changed:
        record = event.adoption.records.add(ref=finding.ref, version=event.event_id)
        record.location.CopyFrom(location_to_message(found[finding.ref]))
        if finding.ref in records and records[finding.ref].metadata:
            record.metadata.update(records[finding.ref].metadata)
    return [event]
