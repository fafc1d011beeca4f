"""Verification of stores: looks for the data of many partitions, part by part, and records what is missing or changed.

A part is a page of partitions, in the order of refs. Each part is recorded before the next begins, so a verification
that was interrupted goes on after the last ref of a part.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from databuild.event_log.reads import BuildReads, PartitionReads, StoredDataReads, StoredRowReads
from databuild.event_log.rows import stored_data
from databuild.model.store_check import StoreCheck, StoreCheckOptions
from databuild.orchestration.stores.recorded_files import not_as_recorded
from databuild.orchestration.stores.selection import Selection
from databuild.tuples import NamedTuple

if TYPE_CHECKING:
    from databuild.graph.catalog import JobCatalog
    from databuild.orchestration.stores.job_look import Check, JobFindings
    from databuild.orchestration.stores.look import Look
    from databuild.storage.storages import Storages
    from databuild.v1 import events_pb2 as ev

PART: Final = 10_000
"""The number of partitions of a part."""


class Reads(BuildReads, PartitionReads, StoredDataReads, StoredRowReads, Protocol):
    """The reads of a verification."""


class AskedJobs(NamedTuple):
    """The jobs that are asked about data that DataBuild cannot check itself.

    Attributes:
        catalog: Returns the jobs.
        environment: The environment of the event log; empty for the base.
        run: Runs a coroutine that asks jobs, in the thread that calls it, and returns its result.
    """

    catalog: Callable[[], JobCatalog]
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
    jobs: AskedJobs | None = None,
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
    answers, hints = _ask(reader, jobs, look, options)
    findings = tuple(sorted(findings + answers.findings)) if answers.findings else findings
    unseen = len(look.others) - len(answers.looked_at)
    check = StoreCheck(len(rows) - unseen, unseen, findings, next_after, hints, look.without_facts)
    if options.dry_run or not findings:
        return Part(check, ())
    versions = {one.ref: one.version for one in data}
    found = {**look.found, **answers.found}
    return Part(check, finding_events(reader, findings, versions, found, options.changed, author=author, clock=clock))


def _ask(
    reader: Reads, jobs: AskedJobs | None, look: Look, options: StoreCheckOptions
) -> tuple[JobFindings, tuple[str, ...]]:
    """Asks jobs about data that was not looked at. Returns their answers, and the next steps for the rest."""
    from databuild.orchestration.stores.job_look import JobFindings, JobLook

    answers = JobFindings()
    others = [one for one, _ in look.others.values()]
    hints = dict.fromkeys(hint for _, hint in look.others.values() if hint)
    if jobs is not None and others:
        job_look = JobLook(jobs.catalog(), reader, jobs.environment)
        if questions := job_look.questions(others):
            confirmed = options.confirm_losses
            answers = jobs.run(lambda check: job_look.ask(questions, check, confirm_losses=confirmed))
        rest = [(one, hint) for one, hint in look.others.values() if one.ref not in answers.looked_at]
        hints = dict.fromkeys(hint for _, hint in rest if hint)
        hints.update(dict.fromkeys(job_look.hints([one for one, hint in rest if not hint])))
    return answers, tuple(hints)
