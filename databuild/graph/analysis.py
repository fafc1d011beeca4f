"""Planning: from requested refs to a job graph, level by level.

It knows jobs, refs and what is recorded of them; it asks jobs for their configurations through a Protocol and does not
know that they are processes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Coroutine, Sequence
from typing import Any

from databuild.errors import AmbiguousPartitionError, JobConfigurationError
from databuild.graph.assembly import Assembly
from databuild.graph.batches import batches
from databuild.graph.catalog import JobCatalog
from databuild.graph.configuration import configuration_digest
from databuild.graph.known_records import KnownRecords
from databuild.graph.ownership import Ownership
from databuild.graph.ports import Configure, Lookup, PartitionRecords, PastConfigs, PlanningObserver
from databuild.graph.survey import Survey
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import JobConfig, Plan
from databuild.model.pacing import Pace, slices, sort


async def analyze(
    requested: Sequence[str],
    catalog: JobCatalog,
    configure: Configure,
    records: PartitionRecords,
    *,
    lookup: Lookup | None = None,
    options: PlanOptions = PlanOptions(),
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
        options: The options of the plan.
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
        forced=frozenset(refs) if options.force else frozenset(),
        options=options,
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
        options: PlanOptions,
        concurrency: int,
    ) -> None:
        self._forced = forced
        self._catalog = catalog
        self._configure = configure
        self._pace = pace
        self._options = options
        self._concurrency = max(1, concurrency)
        self._places = asyncio.Semaphore(self._concurrency)
        self._ownership = ownership
        self._owners = ownership.labels
        self._past_configs = past_configs
        self._survey = Survey(catalog, self._owners, pace, observer)
        self._records = KnownRecords(records, pace)
        self._configs: dict[str, JobConfig] = {}
        self._shared: dict[JobConfig, JobConfig] = {}
        self._digests: dict[str, str] = {}

    async def explore(self, requested: Sequence[str]) -> None:
        """Configures the requested partitions and everything upstream of them that might have to be built."""
        await self._ownership.find(requested)
        survey = self._survey
        survey.needed_by.update(dict.fromkeys(requested, ""))
        survey.check_size()
        await survey.level(requested)
        await self._ask(await self._predicted(requested))
        pace, needed_by = self._pace, survey.needed_by
        level: Collection[str] = requested
        walked: set[int] = set()
        while level:
            await self._records.look_up(level)
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
                        if pace.due(len(inputs)):
                            survey.check_size()
                            await pace.rest()
                        for needed in inputs:
                            if needed not in needed_by:
                                needed_by[needed] = following[needed] = ref
            survey.check_size()
            await self._ownership.find(following, needed_by=following)
            level = following
            if level:
                await survey.level(level)

    async def plan(self, requested: Sequence[str]) -> Plan:
        """Makes the plan of what was explored."""
        assembly = Assembly(
            self._catalog,
            self._ownership,
            self._records,
            self._pace,
            configs=self._configs,
            digests=self._digests,
            forced=self._forced,
            options=self._options,
            past_configs=self._past_configs,
        )
        return await assembly.plan(requested, tuple(self._survey.warnings))

    def _reused(self, ref: str) -> bool:
        record = self._records.by_ref.get(ref)
        return (
            ref not in self._forced
            and record is not None
            and (record.adopted or (self._options.reuse_stale and record.available and not record.tainted))
        )

    async def _predicted(self, requested: Sequence[str]) -> list[str]:
        """Returns what lineage says will be considered, so that each job is asked once and not level by level."""
        predicted: dict[str, None] = dict.fromkeys(requested)
        level: Sequence[str] = requested
        walked: set[int] = set()
        while level:
            await self._records.look_up(level)
            inputs: dict[str, None] = {}
            for some in slices(level):
                await self._pace.rest()
                for ref in some:
                    record = self._records.by_ref.get(ref)
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
            for outputs in (config.outputs,) if len(config.outputs) == 1 else slices(config.outputs):
                if self._pace.due(len(outputs)):
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
            if answered.query:
                await self._check_queried(label, asked, answered.query)
            for outputs in (config.outputs,) if len(config.outputs) == 1 else slices(config.outputs):
                if self._pace.due(len(outputs)):
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

    async def _check_queried(self, label: str, asked: Sequence[str], refs: Sequence[str]) -> None:
        for some in slices(refs):
            if self._pace.due(len(some)):
                await self._pace.rest()
            for ref in some:
                if fault := self._catalog.fault_of_segments(ref):
                    message = f"it answered with the input {ref!r}, which is no partition ref: {fault}"
                    raise JobConfigurationError(label, message, refs=asked)

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
