"""Planning: from requested refs to a job graph, level by level.

Planning asks jobs for their configurations through a Protocol; it does not know that jobs are processes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from databuild.graph.assembly import Assembly
from databuild.graph.catalog import JobCatalog
from databuild.graph.freshness import is_reusable
from databuild.graph.job_configs import JobConfigs
from databuild.graph.ownership import Ownership
from databuild.graph.planning_monitor import PlanningMonitor
from databuild.graph.ports import Configure, Lookup, PartitionRecords, PastConfigs, PlanningObserver
from databuild.graph.record_cache import RecordCache
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import Plan
from databuild.model.pacing import Pace, slices

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
        self._pace = pace
        self._options = options
        self._ownership = ownership
        self._owners = ownership.labels
        self._past_configs = past_configs
        self._monitor = PlanningMonitor(catalog, self._owners, pace, observer)
        self._records = RecordCache(records, pace)
        self._configs = JobConfigs(catalog, configure, ownership, self._monitor, pace, concurrency=concurrency)
        self._declared = catalog.declared
        self._ahead = _MIN_AHEAD
        self._visited_configs: set[int] = set()

    async def explore(self, requested: Sequence[str]) -> None:
        """Configures the requested partitions and all partitions upstream of them that may have to be built."""
        await self._ownership.find(requested)
        monitor = self._monitor
        monitor.needed_by.update(dict.fromkeys(requested, ""))
        monitor.check_size()
        await monitor.enter_level(requested)
        if len(self._declared) < len(self._catalog.jobs):
            predicted = await self._predict_from_lineage(requested)
            await self._configs.ask([ref for ref in predicted if self._owners[ref] not in self._declared])
        level: Collection[str] = requested
        while level:
            if self._declared:
                await self._read_ahead(level)
            else:
                await self._records.look_up(level)
            await self._configs.find(level)
            next_level = await self._new_inputs(level)
            monitor.check_size()
            await self._ownership.find(next_level, needed_by=next_level)
            level = next_level
            if level:
                await monitor.enter_level(level)

    async def _new_inputs(self, level: Collection[str]) -> dict[str, str]:
        """Returns the inputs of refs that have not been met before, each with the ref that needs it."""
        monitor, pace, needed_by = self._monitor, self._pace, self._monitor.needed_by
        found: dict[str, str] = {}
        for refs in slices(level):
            await pace.rest()
            for ref in refs:
                if self._is_reused(ref):
                    continue
                config = self._configs.by_ref[ref]
                if len(config.outputs) > 1:
                    # All outputs of a config have the same inputs, so one of them is enough.
                    if id(config) in self._visited_configs:
                        continue
                    self._visited_configs.add(id(config))
                for inputs in slices(config.materialize):
                    if pace.due(len(inputs)):
                        monitor.check_size()
                        await pace.rest()
                    for needed in inputs:
                        if needed not in needed_by:
                            needed_by[needed] = found[needed] = ref
        return found

    async def plan(self, requested: Sequence[str]) -> Plan:
        assembly = Assembly(
            self._catalog,
            self._ownership,
            self._records,
            self._pace,
            configs=self._configs.by_ref,
            digests=self._configs.digests,
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
                        inputs.update(dict.fromkeys(needed for needed in config.materialize if needed not in ahead))
            await self._ownership.try_find(inputs)
            frontier = [ref for ref in inputs if ref in self._owners]
            ahead.update(dict.fromkeys(frontier))
        self._ahead = min(2 * self._ahead, _MAX_AHEAD)
        await self._records.look_up(ahead)
