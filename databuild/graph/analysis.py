"""Planning: from requested refs to a job graph, level by level.

Planning asks jobs for their configurations through a Protocol; it does not know that jobs are processes.
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
from databuild.graph.config_comparison import configuration_digest
from databuild.graph.freshness import is_reusable
from databuild.graph.ownership import Ownership
from databuild.graph.planning_monitor import PlanningMonitor
from databuild.graph.ports import Configure, Lookup, PartitionRecords, PastConfigs, PlanningObserver
from databuild.graph.record_cache import RecordCache
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
    """Plans the tasks that make the requested partitions available and fresh.

    The plan depends on the arguments only, not on the order in which jobs answer. Time and memory are proportional to
    the number of partitions and edges; all outputs of a config share its edges. The event loop runs every few
    hundredths of a second, so that a cancellation takes effect during a plan of any size.

    Args:
        requested: The requested refs, ranges expanded.
        catalog: The jobs.
        configure: Asks a job for its configurations.
        records: Reads the current records of partitions.
        lookup: Finds the job that produces a ref; None to use the patterns of the jobs.
        options: The options of the plan.
        concurrency: The maximum number of `config` calls at once.
        pace: Lets the event loop run.
        observer: Notified of progress and warnings.
        past_configs: Reads the configurations of past job runs, which explain a changed configuration.

    Raises:
        UnknownPartitionError: No job produces a ref.
        AmbiguousPartitionError: More than one job or task produces a ref.
        DependencyCycleError: Partitions depend on each other.
        JobConfigurationError: A job failed, or its answer is invalid.
        LookupFaultError: The lookup failed, or its answer is invalid.
        TooManyPartitionsError: The plan has more partitions than the graph allows.
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
        self._call_slots = asyncio.Semaphore(self._concurrency)
        self._ownership = ownership
        self._owners = ownership.labels
        self._past_configs = past_configs
        self._monitor = PlanningMonitor(catalog, self._owners, pace, observer)
        self._records = RecordCache(records, pace)
        self._configs: dict[str, JobConfig] = {}
        self._interned: dict[JobConfig, JobConfig] = {}
        self._digests: dict[str, str] = {}

    async def explore(self, requested: Sequence[str]) -> None:
        """Configures the requested partitions and all partitions upstream of them that may have to be built."""
        await self._ownership.find(requested)
        monitor = self._monitor
        monitor.needed_by.update(dict.fromkeys(requested, ""))
        monitor.check_size()
        await monitor.enter_level(requested)
        await self._ask(await self._predict_from_lineage(requested))
        pace, needed_by = self._pace, monitor.needed_by
        level: Collection[str] = requested
        visited_configs: set[int] = set()
        while level:
            await self._records.look_up(level)
            await self._ask([ref for ref in level if ref not in self._configs])
            next_level: dict[str, str] = {}
            for refs in slices(level):
                await self._pace.rest()
                for ref in refs:
                    if self._is_reused(ref):
                        continue
                    config = self._configs[ref]
                    if len(config.outputs) > 1:
                        # All outputs of a config have the same inputs, so one of them is enough.
                        if id(config) in visited_configs:
                            continue
                        visited_configs.add(id(config))
                    for inputs in slices(config.materialize):
                        if pace.due(len(inputs)):
                            monitor.check_size()
                            await pace.rest()
                        for needed in inputs:
                            if needed not in needed_by:
                                needed_by[needed] = next_level[needed] = ref
            monitor.check_size()
            await self._ownership.find(next_level, needed_by=next_level)
            level = next_level
            if level:
                await monitor.enter_level(level)

    async def plan(self, requested: Sequence[str]) -> Plan:
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
        return await assembly.plan(requested, tuple(self._monitor.warnings))

    def _is_reused(self, ref: str) -> bool:
        record = self._records.by_ref.get(ref)
        return (
            record is not None
            and ref not in self._forced
            and is_reusable(record, reuse_stale=self._options.reuse_stale)
        )

    async def _predict_from_lineage(self, requested: Sequence[str]) -> list[str]:
        """Predicts the partitions of the plan from recorded lineage, so that each job is asked once, not per level."""
        predicted: dict[str, None] = dict.fromkeys(requested)
        level: Sequence[str] = requested
        visited_manifests: set[int] = set()
        while level:
            await self._records.look_up(level)
            inputs: dict[str, None] = {}
            for refs in slices(level):
                await self._pace.rest()
                for ref in refs:
                    record = self._records.by_ref.get(ref)
                    if record is None or record.manifest is None or self._is_reused(ref):
                        continue
                    # All outputs of one job run share its manifest, so one of them is enough.
                    if id(record.manifest) in visited_manifests:
                        continue
                    visited_manifests.add(id(record.manifest))
                    for versions in slices(record.manifest.inputs):
                        await self._pace.rest()
                        inputs.update(
                            (version.ref, None)
                            for version in versions
                            if not version.query and version.ref not in predicted
                        )
            await self._ownership.try_find(inputs)
            level = [ref for ref in inputs if ref in self._owners]
            predicted.update(dict.fromkeys(level))
        return list(predicted)

    async def _ask(self, refs: Sequence[str]) -> None:
        by_job: dict[str, list[str]] = {}
        for refs_slice in slices(refs):
            await self._pace.rest()
            for ref in refs_slice:
                by_job.setdefault(self._owners[ref], []).append(ref)
        await _gather([self._ask_job(label, job_refs) for label, job_refs in sorted(by_job.items())])

    async def _ask_job(self, label: str, refs: Sequence[str]) -> None:
        """Asks one job for the configurations of refs, in batches; skips refs that an earlier answer has configured."""
        # Which refs a batch skips must not depend on the timing of calls, or a plan would not be reproducible.
        # So an answer is accepted only when its slot is needed for a later batch, in the order of batches.
        running: deque[tuple[Sequence[str], asyncio.Task[Sequence[JobConfig]]]] = deque()
        try:
            for batch in batches(await self._pace.drive(sort(refs))):
                await self._pace.rest()
                if len(running) == self._concurrency:
                    await self._accept_answer(label, *running.popleft())
                unconfigured = [ref for ref in batch if ref not in self._configs]
                if unconfigured:
                    running.append((unconfigured, asyncio.ensure_future(self._call(label, unconfigured))))
            while running:
                await self._accept_answer(label, *running.popleft())
        except BaseException:
            await _cancel([call for _, call in running])
            raise

    async def _accept_answer(self, label: str, asked: Sequence[str], call: asyncio.Task[Sequence[JobConfig]]) -> None:
        try:
            configs = await call
        except BaseException:
            await _cancel([call])
            raise
        # A job may answer with outputs that it was not asked for. Their owners are checked too.
        unasked: list[str] = []
        for config in configs:
            for outputs in (config.outputs,) if len(config.outputs) == 1 else slices(config.outputs):
                if self._pace.due(len(outputs)):
                    await self._pace.rest()
                unasked += [output for output in outputs if output not in self._owners]
        await self._ownership.try_find(unasked)
        await self._accept(label, asked, configs)

    async def _call(self, label: str, refs: Sequence[str]) -> Sequence[JobConfig]:
        async with self._call_slots:
            self._monitor.call_started(label)
            try:
                return await self._configure(self._catalog.jobs[label], refs)
            finally:
                self._monitor.call_ended(label)

    async def _accept(self, label: str, asked: Sequence[str], configs: Sequence[JobConfig]) -> None:
        """Checks the configs that a job answered, and stores them by output."""
        for answered in configs:
            # Equal configs become one object, so that configs of outputs are compared by identity.
            config = self._interned.setdefault(answered, answered) if len(answered.outputs) > 1 else answered
            digest = ""
            if answered.query:
                await self._check_query_inputs(label, asked, answered.query)
            for outputs in (config.outputs,) if len(config.outputs) == 1 else slices(config.outputs):
                if self._pace.due(len(outputs)):
                    await self._pace.rest()
                for output in outputs:
                    owner = self._owners.get(output)
                    if owner != label:
                        raise JobConfigurationError(label, self._foreign_output_fault(output, owner), refs=asked)
                    stored = self._configs.setdefault(output, config)
                    if stored is config:
                        if output not in self._digests:
                            digest = digest or await self._pace.drive(configuration_digest(config))
                            self._digests[output] = digest
                    elif stored != config:
                        message = (
                            f"{label}, once for {', '.join(stored.outputs[:3])} "
                            f"and once for {', '.join(config.outputs[:3])}"
                        )
                        raise AmbiguousPartitionError(output, [message])
        await self._pace.rest()
        for ref in asked:
            if ref not in self._configs:
                fault = f"it was asked for {ref!r}, and no config that it answered has that output"
                raise JobConfigurationError(label, fault, refs=asked)

    async def _check_query_inputs(self, label: str, asked: Sequence[str], refs: Sequence[str]) -> None:
        for refs_slice in slices(refs):
            if self._pace.due(len(refs_slice)):
                await self._pace.rest()
            for ref in refs_slice:
                if fault := self._catalog.segment_fault(ref):
                    message = f"it answered with the input {ref!r}, which is not a partition ref: {fault}"
                    raise JobConfigurationError(label, message, refs=asked)

    def _foreign_output_fault(self, output: str, owner: str | None) -> str:
        fault = self._catalog.segment_fault(output)
        if fault:
            return f"it answered with the output {output!r}, which is not a partition ref: {fault}"
        producer = f"{owner} produces" if owner else "none of its patterns matches"
        return f"it answered with the output {output!r}, which {producer}"


async def _gather(coroutines: Sequence[Coroutine[None, None, None]]) -> None:
    """Runs coroutines concurrently. If one raises, cancels the others and awaits their end before it raises."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        await _cancel(tasks)
        raise


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancels tasks and awaits their end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
