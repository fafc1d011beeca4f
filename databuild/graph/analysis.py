"""Planning: from requested refs to a job graph, level by level.

Planning asks jobs for their configurations through a Protocol; it does not know that jobs are processes.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Collection, Sequence
from typing import Final

from databuild.graph.assembly import Assembly, UnexploredError
from databuild.graph.catalog import JobCatalog
from databuild.graph.job_configs import JobConfigs
from databuild.graph.ownership import Ownership
from databuild.graph.partition_graph import PartitionGraph
from databuild.graph.planning_monitor import PlanningMonitor
from databuild.graph.ports import Configure, Lookup, PartitionRecords, PastConfigs, PlanningObserver
from databuild.graph.record_cache import RecordCache
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import Plan
from databuild.model.pacing import SLICE, Pace, slices
from databuild.model.records import PartitionRecord

_MIN_AHEAD: Final = 64
_MAX_AHEAD: Final = 1000
"""The numbers of refs whose records are read ahead at once, at first and at most."""


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
    digests: bool = True,
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
        digests: False for a plan whose tasks have no configuration digest, which is neither executed nor saved.

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
    needed = frozenset(refs)
    while True:
        analysis = _Analysis(
            catalog,
            configure,
            records,
            Ownership(catalog, lookup, pace),
            pace,
            observer,
            past_configs,
            forced=frozenset(refs) if options.force else frozenset(),
            needed=needed,
            options=options,
            concurrency=concurrency,
        )
        await analysis.explore(refs)
        try:
            return await analysis.plan(refs, digests=digests)
        except UnexploredError as error:
            needed |= error.refs


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
        needed: frozenset[str],
        options: PlanOptions,
        concurrency: int,
    ) -> None:
        self._forced = forced
        self._catalog = catalog
        self._pace = pace
        self._options = options
        self._ownership = ownership
        self._owners = ownership.labels
        self._past_configs = past_configs
        self._graph = PartitionGraph()
        self._monitor = PlanningMonitor(catalog, self._graph, self._owners, pace, observer)
        self._records = RecordCache(records, pace, functools.partial(_is_reused, forced, needed, options))
        self._configs = JobConfigs(catalog, configure, ownership, self._monitor, pace, concurrency=concurrency)
        self._declared = catalog.declared
        self._ahead = _MIN_AHEAD
        self._inputs_of_configs: dict[int, list[int]] = {}

    async def explore(self, requested: Sequence[str]) -> None:
        """Configures the requested partitions and all partitions upstream of them that may have to be built."""
        await self._ownership.find(requested)
        monitor = self._monitor
        self._graph.add(requested)
        monitor.check_size()
        await monitor.enter_level(requested)
        if len(self._declared) < len(self._catalog.jobs):
            predicted = await self._predict_from_lineage(requested)
            await self._configs.ask([ref for ref in predicted if self._owners[ref] not in self._declared])
        level = requested
        while level:
            if self._declared:
                await self._read_ahead(level)
                await self._configs.find(level)
            else:
                await self._look_up_and_configure(level)
            await self._add_inputs(level)
            monitor.check_size()
            level = self._graph.refs[len(self._graph.upstream) :]
            await self._ownership.find(level, needed_by=self._graph.needed_by)
            if level:
                await monitor.enter_level(level)

    async def _look_up_and_configure(self, level: Sequence[str]) -> None:
        """Reads the records of a level of partitions while their jobs are asked for configurations."""
        lookup = asyncio.ensure_future(self._records.look_up(level))  # begins when the first `config` has started
        try:
            await self._configs.find(level)
        except BaseException:
            lookup.cancel()
            await asyncio.gather(lookup, return_exceptions=True)
            raise
        await lookup

    async def _add_inputs(self, level: Sequence[str]) -> None:
        """Adds the inputs of a level of partitions to the graph."""
        configs, reused, graph = self._configs.by_ref, self._records.reused, self._graph
        for refs in slices(level):
            self._monitor.check_size()
            await self._pace.rest()
            found = [configs[ref] for ref in refs]
            inputs = [config.materialize for config in found]
            if not reused.isdisjoint(refs):
                inputs = [() if ref in reused else needed for ref, needed in zip(refs, inputs, strict=True)]
            if sum(map(len, inputs)) <= 4 * SLICE and {len(config.outputs) for config in found} == {1}:
                graph.add_inputs(inputs)
                continue
            for needed in inputs:
                if self._pace.due():
                    await self._pace.rest()
                graph.upstream.append(await self._shared_inputs(needed))

    async def _shared_inputs(self, inputs: tuple[str, ...]) -> Sequence[int]:
        """Adds the inputs that all outputs of a configuration share, once, and returns their numbers."""
        numbers = self._inputs_of_configs.get(id(inputs))
        if numbers is None:
            numbers = self._inputs_of_configs[id(inputs)] = []
            for refs in slices(inputs):
                self._monitor.check_size()
                await self._pace.rest()
                self._graph.add(refs)
                numbers += [self._graph.numbers[ref] for ref in refs]
        return numbers

    async def plan(self, requested: Sequence[str], *, digests: bool) -> Plan:
        assembly = Assembly(
            self._catalog,
            self._ownership,
            self._records,
            self._pace,
            graph=self._graph,
            configs=self._configs.by_ref,
            forced=self._forced,
            options=self._options,
            past_configs=self._past_configs,
            digests=digests,
        )
        return await assembly.plan(requested, tuple(self._monitor.warnings))

    async def _predict_from_lineage(self, requested: Sequence[str]) -> list[str]:
        """Predicts the partitions of the plan from recorded lineage, so that each job is asked once, not per level."""
        predicted: dict[str, None] = dict.fromkeys(requested)
        level: Sequence[str] = requested
        visited_manifests: set[int] = set()
        reused = self._records.reused
        while level:
            await self._records.look_up(level)
            inputs: dict[str, None] = {}
            for refs in slices(level):
                await self._pace.rest()
                for ref in refs:
                    record = self._records.by_ref.get(ref)
                    if record is None or record.manifest is None or ref in reused:
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

    async def _read_ahead(self, level: Collection[str]) -> None:
        """Reads the records of refs and, in the same queries, of those that are probably needed for them.

        In a long chain of partitions, each level has few refs, and a query for each level would take most of the time.
        The number of refs ahead doubles with each call, so at most half of those that are read are not needed.
        """
        if self._records.knows(level):
            return
        pace, configs = self._pace, self._configs.by_ref
        ahead: dict[str, None] = dict.fromkeys(level)
        frontier: Collection[str] = level
        while frontier and len(ahead) < self._ahead:
            await self._configs.find_declared([ref for ref in frontier if ref not in configs], ahead=True)
            inputs: dict[str, None] = {}
            for refs in slices(frontier):
                await pace.rest()
                for ref in refs:
                    if (config := configs.get(ref)) is not None:
                        if pace.due(1 + len(config.materialize)):
                            await pace.rest()
                        inputs.update(dict.fromkeys(needed for needed in config.materialize if needed not in ahead))
            await self._ownership.try_find(inputs)
            frontier = [ref for ref in inputs if ref in self._owners]
            ahead.update(dict.fromkeys(frontier))
        self._ahead = min(2 * self._ahead, _MAX_AHEAD)
        await self._records.look_up(ahead)


def _is_reused(forced: frozenset[str], needed: frozenset[str], options: PlanOptions, record: PartitionRecord) -> bool:
    """Returns True if a partition is used as it is, so that neither its configuration nor its inputs matter."""
    if record.ref in forced:
        return False
    if record.deleted and record.adoption is not None and record.manifest is None:
        return record.ref not in needed
    return record.adopted or (options.reuse_stale and record.available and not record.tainted)
