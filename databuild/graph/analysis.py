"""Planning: from requested refs to a job graph, level by level.

It knows jobs, refs and what is recorded of them; it asks jobs for their configurations through a Protocol and does not
know that they are processes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Final

from databuild.errors import AmbiguousPartitionError, JobConfigurationError
from databuild.graph.batches import batches
from databuild.graph.catalog import JobCatalog
from databuild.graph.config_changes import config_changes, input_changes
from databuild.graph.configuration import configuration_digest
from databuild.graph.freshness import Decision, Freshness
from databuild.graph.numbering import number_tasks
from databuild.graph.ownership import Ownership
from databuild.graph.pacing import Pace, slices, sort
from databuild.graph.ports import Configure, Lookup, PartitionRecords, PastConfigs, PlanningObserver
from databuild.graph.survey import Survey
from databuild.model.job_graph import AbsentInput, JobConfig, Plan, PlannedPartition, Task
from databuild.model.records import PartitionRecord
from databuild.v1 import partition_pb2 as pt

_NEEDED: Final = Decision(pt.REASON_NEEDED, "")
_NAMED_CHANGES: Final = 200
"""Of how many tasks it is found out what has changed in their configurations."""

_RECORDS_AT_ONCE: Final = 5000
"""How many partitions are looked up together, so that no query keeps the event loop for long."""


async def analyze(
    requested: Sequence[str],
    catalog: JobCatalog,
    configure: Configure,
    records: PartitionRecords,
    *,
    lookup: Lookup | None = None,
    force: bool = False,
    reuse_stale: bool = False,
    concurrency: int = 2,
    pace: Pace | None = None,
    observer: PlanningObserver | None = None,
    past_configs: PastConfigs | None = None,
) -> Plan:
    """Finds what has to be built so that the requested partitions are available and fresh.

    The result depends on the arguments only, never on the order in which jobs answer. Takes time and memory in
    proportion to the number of partitions and edges; all outputs of a config share its edges. The event loop runs every
    few hundredths of a second, so that a cancellation takes effect at any size.

    Args:
        requested: The refs, ranges expanded.
        catalog: The jobs.
        configure: Asks a job for its configurations.
        records: Knows what is recorded of partitions.
        lookup: Says who produces a ref, in place of the jobs' patterns.
        force: Whether to build what was requested even if it is fresh.
        reuse_stale: Whether to use stale partitions as they are.
        concurrency: How many jobs are asked at once.
        pace: When to let the event loop run.
        observer: Is told how it goes.
        past_configs: Knows what configurations were, to tell what has changed in them.

    Raises:
        UnknownPartitionError: No job produces a ref.
        AmbiguousPartitionError: More than one job or task produces a ref.
        DependencyCycleError: Partitions need each other.
        JobConfigurationError: A job failed, or its answer cannot be used.
        LookupFaultError: The lookup failed, or its answer cannot be used.
        TooManyPartitionsError: More partitions would be considered than the graph allows.
    """
    refs = tuple(dict.fromkeys(requested))
    pace = pace or Pace()
    analysis = _Analysis(
        catalog,
        configure,
        records,
        Ownership(catalog, lookup, pace),
        pace,
        observer,
        past_configs,
        forced=frozenset(refs) if force else frozenset(),
        reuse_stale=reuse_stale,
        concurrency=concurrency,
    )
    await analysis.explore(refs)
    return await analysis.plan(refs)


class _Analysis:
    def __init__(
        self,
        catalog: JobCatalog,
        configure: Configure,
        records: PartitionRecords,
        ownership: Ownership,
        pace: Pace,
        observer: PlanningObserver | None,
        past_configs: PastConfigs | None,
        *,
        forced: frozenset[str],
        reuse_stale: bool,
        concurrency: int,
    ) -> None:
        self._forced = forced
        self._catalog = catalog
        self._configure = configure
        self._reader = records
        self._pace = pace
        self._reuse_stale = reuse_stale
        self._concurrency = max(1, concurrency)
        self._places = asyncio.Semaphore(self._concurrency)
        self._ownership = ownership
        self._owners = ownership.labels
        self._past_configs = past_configs
        self._by_patterns = ownership.by_patterns
        self._survey = Survey(catalog, self._owners, pace, observer)
        self._records: dict[str, PartitionRecord] = {}
        self._looked_up: set[str] = set()
        self._configs: dict[str, JobConfig] = {}
        self._shared: dict[JobConfig, JobConfig] = {}
        self._digests: dict[str, str] = {}

    async def explore(self, requested: Sequence[str]) -> None:
        """Configures the requested partitions and everything upstream of them that might have to be built."""
        await self._ownership.find(requested)
        survey = self._survey
        survey.add(requested)
        await survey.level(requested)
        await self._ask(await self._predicted(requested))
        level: Collection[str] = requested
        walked: set[int] = set()
        while level:
            await self._look_up(level)
            await self._ask([ref for ref in level if ref not in self._configs])
            following: dict[str, str] = {}
            for some in slices(level):
                await self._pace.rest()
                for ref in some:
                    if self._reused(ref):
                        continue
                    config = self._configs[ref]
                    if len(config.outputs) > 1:
                        if id(config) in walked:
                            continue  # another output of it has named the same inputs
                        walked.add(id(config))
                    for inputs in slices(config.materialize):
                        await self._pace.rest()
                        following.update(dict.fromkeys(survey.add(inputs, ref), ref))
            await self._ownership.find(following, needed_by=following)
            level = following
            if level:
                await survey.level(level)

    async def plan(self, requested: Sequence[str]) -> Plan:
        """Decides about every partition that was explored, and numbers the tasks."""
        catalog, pace = self._catalog, self._pace
        freshness = Freshness(
            self._configs,
            self._digests,
            self._records,
            self._owners,
            {label: job.code_digest for label, job in catalog.jobs.items()},
            forced=self._forced,
            reuse_stale=self._reuse_stale,
        )
        decisions = await pace.drive(freshness.decide(requested))
        await self._name_config_changes(decisions)
        tasks = await pace.drive(number_tasks(self._configs, self._owners, self._digests, decisions))
        task_of: dict[str, int] = {}
        labels: set[str] = set()
        for task in tasks:
            await pace.rest()
            labels.add(task.job_label)
            task_of.update(dict.fromkeys(task.config.outputs, task.task_id))
        asked = frozenset(requested)
        await self._look_up(task_of)
        partitions: list[PlannedPartition] = []
        considered = await pace.drive(sort(decisions.keys() | task_of.keys()))
        for some in slices(considered):
            await self._pace.rest()
            partitions += [
                self._planned(ref, decisions.get(ref, _NEEDED), task_of.get(ref, 0), requested=ref in asked)
                for ref in some
            ]
        return Plan(
            graph_label=catalog.graph_label,
            requested=tuple(requested),
            tasks=tuple(tasks),
            partitions=tuple(partitions),
            code_digests={label: catalog.jobs[label].code_digest for label in sorted(labels)},
            versions=await self._versions(tasks, task_of),
            force=bool(self._forced),
            reuse_stale=self._reuse_stale,
            warnings=tuple(self._survey.warnings),
            absent_inputs=await self._absent_inputs(tasks, task_of),
        )

    async def _absent_inputs(self, tasks: Sequence[Task], task_of: Mapping[str, int]) -> tuple[AbsentInput, ...]:
        """Returns the QUERY inputs that are not there and that these tasks do not make."""
        read_by: dict[str, str] = {}
        for task in tasks:
            await self._pace.rest()
            for some in slices(task.config.query):
                await self._pace.rest()
                for ref in some:
                    record = self._records.get(ref)
                    if ref not in task_of and (record is None or not record.available):
                        read_by.setdefault(ref, task.config.outputs[0])
        if self._by_patterns:  # a lookup need not know what nobody may produce
            await self._ownership.try_find(read_by)
        absent = await self._pace.drive(sort(read_by))
        return tuple(AbsentInput(ref, self._owners.get(ref, ""), read_by[ref]) for ref in absent)

    async def _name_config_changes(self, decisions: dict[str, Decision]) -> None:
        """Adds what has changed to decisions that a configuration has, for as many as a person would read."""
        causes: dict[tuple[str, int], str] = {}
        for some in slices(tuple(decisions)):
            await self._pace.rest()
            for ref in some:
                if decisions[ref].reason == pt.REASON_CONFIGURATION_CHANGED:
                    record, config = self._records[ref], self._configs[ref]
                    key = (record.job_run_id, id(config))
                    if key not in causes and len(causes) < _NAMED_CHANGES:
                        await self._pace.rest()
                        causes[key] = self._config_change(record, config)
                    decisions[ref] = Decision(pt.REASON_CONFIGURATION_CHANGED, causes.get(key, ""))

    def _config_change(self, record: PartitionRecord, config: JobConfig) -> str:
        before = self._past_configs(record.job_run_id) if self._past_configs is not None else None
        if before is not None:
            return config_changes(before, config)
        return input_changes(record.manifest, config) if record.manifest is not None else ""

    def _planned(self, ref: str, decision: Decision, task_id: int, *, requested: bool) -> PlannedPartition:
        reason, cause = _NEEDED if task_id and not decision.builds else decision
        record = self._records.get(ref)
        available = record is not None and record.available
        return PlannedPartition(
            ref,
            self._owners[ref],
            task_id,
            reason,
            cause,
            record.version if record is not None and available else "",
            record.produced_by_build_request_id if record is not None and available and not task_id else "",
            requested,
        )

    async def _versions(self, tasks: Sequence[Task], task_of: Mapping[str, int]) -> dict[str, str]:
        """Returns the known version of every input that the tasks read and do not build."""
        read: set[str] = set()
        for task in tasks:
            await self._pace.rest()
            for inputs in slices((*task.config.materialize, *task.config.query)):
                await self._pace.rest()
                read.update(ref for ref in inputs if ref not in task_of)
        await self._look_up(read)
        return {
            ref: record.version
            for ref in await self._pace.drive(sort(read))
            if (record := self._records.get(ref)) is not None and record.available
        }

    def _reused(self, ref: str) -> bool:
        record = self._records.get(ref)
        return (
            ref not in self._forced
            and record is not None
            and (record.adopted or (self._reuse_stale and record.available and not record.tainted))
        )

    async def _look_up(self, refs: Iterable[str]) -> None:
        await self._pace.rest()
        wanted = [ref for ref in refs if ref not in self._looked_up]
        self._looked_up.update(wanted)
        for some in slices(wanted, _RECORDS_AT_ONCE):
            await self._pace.rest()
            self._records.update(self._reader.partition_records(some))

    async def _predicted(self, requested: Sequence[str]) -> list[str]:
        """Returns what lineage says will be considered, so that each job is asked once and not level by level."""
        predicted: dict[str, None] = dict.fromkeys(requested)
        level: Sequence[str] = requested
        walked: set[int] = set()
        while level:
            await self._look_up(level)
            inputs: dict[str, None] = {}
            for some in slices(level):
                await self._pace.rest()
                for ref in some:
                    record = self._records.get(ref)
                    if record is None or record.manifest is None or self._reused(ref):
                        continue
                    if id(record.manifest) in walked:
                        continue  # another output of the same job run had the same inputs
                    walked.add(id(record.manifest))
                    for known in slices(record.manifest.inputs):
                        await self._pace.rest()
                        inputs.update((one.ref, None) for one in known if not one.query and one.ref not in predicted)
            await self._ownership.try_find(inputs)
            level = [ref for ref in inputs if ref in self._owners]
            predicted.update(dict.fromkeys(level))
        return list(predicted)

    async def _ask(self, refs: Sequence[str]) -> None:
        by_job: dict[str, list[str]] = {}
        for some in slices(refs):
            await self._pace.rest()
            for ref in some:
                by_job.setdefault(self._owners[ref], []).append(ref)
        await _together([self._ask_job(label, wanted) for label, wanted in sorted(by_job.items())])

    async def _ask_job(self, label: str, refs: Sequence[str]) -> None:
        """Asks one job for the configurations of refs, in batches, without those that earlier answers had as well.

        An answer counts from the batch on that can only start once the answer is there. So the timing of the calls does
        not decide what is asked.
        """
        running: deque[tuple[Sequence[str], asyncio.Task[Sequence[JobConfig]]]] = deque()
        try:
            for batch in batches(await self._pace.drive(sort(refs))):
                await self._pace.rest()
                if len(running) == self._concurrency:
                    await self._settle(label, *running.popleft())
                wanted = [ref for ref in batch if ref not in self._configs]
                if wanted:
                    running.append((wanted, asyncio.ensure_future(self._call(label, wanted))))
            while running:
                await self._settle(label, *running.popleft())
        except BaseException:
            await _end([call for _, call in running])
            raise

    async def _settle(self, label: str, asked: Sequence[str], call: asyncio.Task[Sequence[JobConfig]]) -> None:
        """Waits for the answer to one call, and takes it over."""
        try:
            configs = await call
        except BaseException:
            await _end([call])
            raise
        unasked: list[str] = []
        for config in configs:
            for outputs in slices(config.outputs):
                await self._pace.rest()
                unasked += [output for output in outputs if output not in self._owners]
        await self._ownership.try_find(unasked)
        await self._accept(label, asked, configs)

    async def _call(self, label: str, refs: Sequence[str]) -> Sequence[JobConfig]:
        async with self._places:
            self._survey.asking(label)
            try:
                return await self._configure(self._catalog.jobs[label], refs)
            finally:
                self._survey.answered(label)

    async def _accept(self, label: str, asked: Sequence[str], configs: Sequence[JobConfig]) -> None:
        """Takes over what a job answered, once it has been checked."""
        for answered in configs:
            # The same object for equal configs, so that no output need be compared with more than a pointer.
            config = self._shared.setdefault(answered, answered) if len(answered.outputs) > 1 else answered
            digest = ""
            for queried in slices(answered.query):
                await self._pace.rest()
                for ref in queried:
                    if fault := self._catalog.fault_of_segments(ref):
                        message = f"it answered with the input {ref!r}, which is no partition ref: {fault}"
                        raise JobConfigurationError(label, message, refs=asked)
            for outputs in slices(config.outputs):
                await self._pace.rest()
                for output in outputs:
                    owner = self._owners.get(output)
                    if owner != label:
                        raise JobConfigurationError(label, self._foreign(output, owner), refs=asked)
                    known = self._configs.setdefault(output, config)
                    if known is config:
                        if output not in self._digests:
                            digest = digest or await self._pace.drive(configuration_digest(config))
                            self._digests[output] = digest
                    elif known != config:
                        message = (
                            f"{label}, once for {', '.join(known.outputs[:3])} "
                            f"and once for {', '.join(config.outputs[:3])}"
                        )
                        raise AmbiguousPartitionError(output, [message])
        await self._pace.rest()
        for ref in asked:
            if ref not in self._configs:
                fault = f"it was asked for {ref!r}, and no config that it answered has that output"
                raise JobConfigurationError(label, fault, refs=asked)

    def _foreign(self, output: str, owner: str | None) -> str:
        """Returns what is wrong with an output that is not the job's."""
        fault = self._catalog.fault_of_segments(output)
        if fault:
            return f"it answered with the output {output!r}, which is no partition ref: {fault}"
        producer = f"{owner} produces" if owner else "none of its patterns matches"
        return f"it answered with the output {output!r}, which {producer}"


async def _together(work: Sequence[Coroutine[None, None, None]]) -> None:
    """Runs coroutines at once; where one fails, the others have ended before its error is raised."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        await _end(tasks)
        raise


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancels tasks, and returns when they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
