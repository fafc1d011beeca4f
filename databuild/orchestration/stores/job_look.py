"""Compares recorded data with what its jobs say about it, for data that DataBuild cannot check itself.

Jobs with the sub-command `check` are asked. The processes are a Protocol here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from databuild.errors import InvalidRequestError
from databuild.event_log.reads import BuildReads, PartitionReads, StoredDataReads
from databuild.graph.catalog import Job, JobCatalog
from databuild.model.records import Location, StoredData
from databuild.model.store_check import StoreFinding
from databuild.orchestration.stores.look import is_looked_at
from databuild.tuples import NamedTuple

if TYPE_CHECKING:
    from databuild.orchestration.jobs.check_process import CheckAnswer, FoundFacts

_SAMPLE: Final = 1000
"""The maximum number of further partitions that a job is asked about if it finds none of those in question."""

_MAX_HINTS: Final = 10


class Check(Protocol):
    """Asks a job which partitions exist. `jobs.check_process.CheckProcess` implements it."""

    def __call__(self, job: Job, refs: Sequence[str], environment: str) -> Awaitable[CheckAnswer]:
        """Returns the answer of a job. If the job fails, all partitions are unreadable.

        Args:
            job: The job.
            refs: The partitions.
            environment: The environment in which the data was made; empty for the base.
        """
        ...


class Reads(BuildReads, PartitionReads, StoredDataReads, Protocol):
    """The reads of a look."""


class Question(NamedTuple):
    """Data about which a job is asked.

    Attributes:
        job: The job.
        environment: The environment in which the data was made; empty for the base.
        data: The data.
    """

    job: Job
    environment: str
    data: Sequence[StoredData]


class JobFindings(NamedTuple):
    """The result of a look.

    Attributes:
        findings: The data that is not as recorded.
        found: The places of changed data with the facts that are there now, by ref.
        looked_at: The refs of all data that jobs were asked about.
        gone: The fault of the first job that finds none of its data; empty if there is none.
        faults: The reasons for which jobs could not answer.
    """

    findings: tuple[StoreFinding, ...] = ()
    found: Mapping[str, Location] = {}
    looked_at: frozenset[str] = frozenset()
    gone: str = ""
    faults: tuple[str, ...] = ()


class JobLook:
    """Asks the jobs of a graph about data. Used by one thread, that of its reader."""

    def __init__(self, catalog: JobCatalog, reader: Reads, environment: str) -> None:
        """Asks nothing yet.

        Args:
            catalog: The jobs.
            reader: Reads the event log.
            environment: The environment that the event log belongs to; empty for the base.
        """
        self._catalog = catalog
        self._reader = reader
        self._environment = environment
        self._any = any_check(catalog)

    def jobs_of(self, refs: Sequence[str]) -> Mapping[str, Job]:
        """Returns the job with `check` that produces each ref; refs of other jobs are absent."""
        if not self._any:
            return {}
        jobs = self._catalog.jobs
        labels = self._recorded_labels(refs) if self._catalog.lookup else {ref: self._owner(ref) for ref in refs}
        return {ref: jobs[label] for ref, label in labels.items() if label and label in jobs and jobs[label].check}

    def questions(self, data: Sequence[StoredData]) -> Sequence[Question]:
        """Returns the questions about data that DataBuild cannot check itself, except that of jobs without `check`."""
        jobs = self.jobs_of([one.ref for one in data])
        if not jobs:
            return ()
        environments = self._environments_of(list(jobs))
        groups: dict[tuple[str, str], list[StoredData]] = {}
        for one in data:
            if one.ref in environments:
                groups.setdefault((jobs[one.ref].label, environments[one.ref]), []).append(one)
        return [Question(self._catalog.jobs[label], environment, some) for (label, environment), some in groups.items()]

    async def ask(self, questions: Sequence[Question], check: Check, *, confirm_losses: bool = False) -> JobFindings:
        """Asks jobs, and compares their answers with what is recorded.

        If a job finds nothing of several partitions, neither those in question nor others, its store may be another
        one than usual. Then the data is unreadable, not missing.

        Args:
            questions: The questions.
            check: Asks a job.
            confirm_losses: True to believe that all data of a job is lost.
        """
        total = JobFindings()
        for part in await asyncio.gather(*(self._answer(one, check, confirm_losses) for one in questions)):
            total = JobFindings(
                total.findings + part.findings,
                {**total.found, **part.found},
                total.looked_at | part.looked_at,
                total.gone or part.gone,
                tuple(dict.fromkeys(total.faults + part.faults)),
            )
        return total

    def hints(self, data: Sequence[StoredData]) -> Iterator[str]:
        """Yields the next step for data that nobody looks at, once for each job, for a limited number of jobs."""
        labels: dict[str, None] = {}
        for ref in {one.ref.partition("/")[0]: one.ref for one in data}.values():
            label = self._owner(ref)
            if label is not None and not self._catalog.jobs[label].check:
                labels[label] = None
        for label in sorted(labels)[:_MAX_HINTS]:
            yield f"data of {label}; with `check = True`, its program can answer whether it exists"

    async def _answer(self, question: Question, check: Check, confirm_losses: bool) -> JobFindings:
        refs = [one.ref for one in question.data]
        answer = await check(question.job, refs, question.environment)
        gone = ""
        if not confirm_losses and not answer.found and len(answer.unreadable) < len(refs):
            missing = [ref for ref in refs if ref not in answer.unreadable]
            gone = await self._gone(question, len(missing), check)
        findings: list[StoreFinding] = []
        found: dict[str, Location] = {}
        for one in question.data:
            uri = one.location.uri if one.location is not None else ""
            if (reason := answer.unreadable.get(one.ref)) is not None:
                findings.append(StoreFinding(one.ref, "unreadable", uri, reason))
            elif (facts := answer.found.get(one.ref)) is None:
                findings.append(StoreFinding(one.ref, "unreadable" if gone else "missing", uri, gone))
            elif one.location is not None and (change := _change(one.location, facts)):
                size = one.location.size if facts.size is None else facts.size
                found[one.ref] = Location(uri, size, facts.version or one.location.version)
                findings.append(StoreFinding(one.ref, "changed", uri, change))
        return JobFindings(tuple(findings), found, frozenset(refs), gone, tuple(answer.faults))

    async def _gone(self, question: Question, missing: int, check: Check) -> str:
        """Returns the fault of a job that finds nothing; empty if there is other data that it finds, or no other."""
        others = self._others(question)
        count = missing + len(others)
        if count == 1 or (others and (await check(question.job, others, question.environment)).found):
            return ""
        return (
            f"`check` of {question.job.label} finds none of {count:,} partitions; "
            "its store may be empty or another one than usual"
        )

    def _others(self, question: Question) -> Sequence[str]:
        """Returns other partitions of the dataset in question, with data that the job can be asked about."""
        asked = {one.ref for one in question.data}
        beginning = question.data[0].ref.partition("/")[0] + "/"
        rows = [
            *self._reader.stored_data_under(beginning, limit=_SAMPLE),
            *self._reader.stored_data_under(beginning, after=max(asked), limit=_SAMPLE),
        ]
        others = {one.ref: one for one in rows if one.ref not in asked and not is_looked_at(one.location)}
        return [
            one.ref
            for other in self.questions(list(others.values()))
            if (other.job.label, other.environment) == (question.job.label, question.environment)
            for one in other.data
        ][:_SAMPLE]

    def _owner(self, ref: str) -> str | None:
        try:
            return self._catalog.find_owner(ref)
        except InvalidRequestError:  # recorded by another version of the graph
            return None

    def _recorded_labels(self, refs: Sequence[str]) -> Mapping[str, str]:
        """Returns the job that has made the data of each ref. A lookup would have to be started to ask it."""
        records = self._reader.partition_records(refs)
        return {ref: record.manifest.job_label for ref, record in records.items() if record.manifest is not None}

    def _environments_of(self, refs: Sequence[str]) -> Mapping[str, str]:
        """Returns the environment in which the data of each ref was made; refs for which it is unknown are absent."""
        own: Collection[str] = ()
        base: BuildReads = self._reader
        if self._environment:
            from databuild.event_log.overlay.reader import OverlayReader

            if isinstance(self._reader, OverlayReader):
                own, base = self._reader.own_refs(refs), self._reader.base
        promoted: dict[str, str | None] = {}
        environments: dict[str, str | None] = {}
        for ref, record in self._reader.partition_records(refs).items():
            adoption = record.adoption
            if ref in own:
                # Adopted data may be that of the base: a taint of it copies its record.
                environments[ref] = self._environment if adoption is None else None
            elif adoption is None:
                environments[ref] = ""
            else:
                if adoption.operation_id not in promoted:
                    events = base.events(adoption.operation_id, limit=1)
                    promoted[adoption.operation_id] = events[0].adoption.environment if events else None
                environments[ref] = promoted[adoption.operation_id]
        return {ref: environment for ref, environment in environments.items() if environment is not None}


def any_check(catalog: JobCatalog) -> bool:
    """Returns True if a job of a graph has the sub-command `check`."""
    return any(job.check for job in catalog.jobs.values())


def _change(location: Location, facts: FoundFacts) -> str:
    """Describes the change of data that exists; returns an empty text if there is none."""
    if None not in {location.size, facts.size} and location.size != facts.size:
        return f"{location.size:,} bytes are now {facts.size:,}"
    if location.version and facts.version and location.version != facts.version:
        return "it was written again"
    return ""
