"""Assembly of a plan from configurations: a decision about each partition, the tasks, and the versions that they read.

Runs no job: analysis has found the partitions and their configurations.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from databuild.errors import DependencyCycleError
from databuild.graph.catalog import JobCatalog
from databuild.graph.config_comparison import config_changes, input_changes
from databuild.graph.config_digests import ConfigDigests
from databuild.graph.freshness import REASONS_TO_KEEP, Decision, Freshness
from databuild.graph.numbering import number_tasks
from databuild.graph.ownership import Ownership
from databuild.graph.partition_graph import PartitionGraph
from databuild.graph.ports import PastConfigs
from databuild.graph.record_cache import RecordCache
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import AbsentInput, JobConfig, Plan, PlannedPartition, Task
from databuild.model.pacing import Pace, slices, sort
from databuild.model.records import PartitionRecord
from databuild.v1 import partition_pb2 as pt

_NEEDED: Final = Decision(pt.REASON_NEEDED, "")
_MAX_EXPLAINED_TASKS: Final = 200
"""Maximum number of tasks whose configuration change is explained. Each explanation reads events of a past build."""

# Like `PlannedPartition._make`, without a check of the length.
_new_partition: Callable[[Iterable[object]], PlannedPartition] = functools.partial(tuple.__new__, PlannedPartition)


class UnexploredError(Exception):
    """A plan needs deleted data that was adopted, so that its inputs have not been explored.

    Args:
        refs: The partitions.
    """

    def __init__(self, refs: frozenset[str]) -> None:
        self.refs = refs
        super().__init__(refs)


class Assembly:
    """Assembles the plan of one analysis."""

    def __init__(
        self,
        catalog: JobCatalog,
        ownership: Ownership,
        records: RecordCache,
        pace: Pace,
        *,
        graph: PartitionGraph,
        configs: Mapping[str, JobConfig],
        forced: frozenset[str],
        options: PlanOptions,
        past_configs: PastConfigs | None,
        digests: bool,
    ) -> None:
        """Stores the results of the analysis.

        Args:
            catalog: The jobs.
            ownership: The job that produces each ref.
            records: The records of partitions.
            pace: Lets the event loop run.
            graph: The requested partitions and all upstream of them that may have to be built.
            configs: The configuration that produces each ref.
            forced: The refs to build even if they are fresh.
            options: The options of the plan.
            past_configs: Reads the configurations of past job runs; None if they cannot be read.
            digests: True to add their configuration digests to tasks.
        """
        self._catalog = catalog
        self._ownership = ownership
        self._records = records
        self._pace = pace
        self._graph = graph
        self._configs = configs
        self._with_digests = digests
        self._digests = ConfigDigests()
        self._forced = forced
        self._options = options
        self._past_configs = past_configs

    async def plan(self, requested: Sequence[str], warnings: tuple[str, ...]) -> Plan:
        """Decides about every partition of the analysis, and numbers the tasks.

        Raises:
            UnexploredError: Something needs deleted data whose inputs have not been explored.
        """
        catalog, pace, owners = self._catalog, self._pace, self._ownership.labels
        await pace.drive(self._digests.add(self._recorded_configs()))
        freshness = Freshness(
            self._graph,
            self._configs,
            self._digests.by_id,
            self._records.by_ref,
            owners,
            {label: job.code_digest for label, job in catalog.jobs.items()},
            forced=self._forced,
            options=self._options,
        )
        decisions = await self._decide(freshness, requested)
        await self._explain_config_changes(decisions, freshness.changed_configurations)
        ordered = await self._ordered()
        to_build = ordered
        if self._records.by_ref:
            to_build = [number for number in ordered if decisions[number].reason not in REASONS_TO_KEEP]
        digests = self._digests if self._with_digests else None
        try:
            tasks, task_ids = await pace.drive(
                number_tasks(self._graph, to_build, self._configs, owners, digests, catalog.declared)
            )
        except DependencyCycleError:
            await pace.drive(freshness.search(requested))  # raises it for partitions, if not only tasks need each other
            raise
        if unneeded := await self._unneeded_outputs(tasks):
            for refs in slices(unneeded):
                await pace.rest()
                self._graph.add(refs)
            decisions += [_NEEDED] * len(unneeded)
            task_ids += unneeded.values()
            await self._records.look_up(unneeded)
            ordered = await self._ordered()
        query_inputs = await self._query_inputs(tasks, task_ids)
        labels = {task.job_label for task in tasks}
        return Plan(
            graph_label=catalog.graph_label,
            requested=tuple(requested),
            tasks=tuple(tasks),
            partitions=await self._partitions(ordered, decisions, task_ids, frozenset(requested)),
            code_digests={label: catalog.jobs[label].code_digest for label in sorted(labels)},
            versions=await self._versions(to_build, task_ids, query_inputs),
            options=self._options,
            warnings=warnings,
            absent_inputs=await self._absent_inputs(query_inputs),
        )

    async def _decide(self, freshness: Freshness, requested: Sequence[str]) -> list[Decision]:
        """Decides about all partitions, until no partition that is built needs deleted data which is not."""
        needed: frozenset[str] = frozenset()
        while True:
            decisions = await self._pace.drive(freshness.decide(requested, needed))
            if not freshness.deleted:
                return decisions
            more = await self._needed_again(decisions, frozenset(freshness.deleted))
            if unexplored := more & self._records.reused:
                raise UnexploredError(unexplored)
            if not more:
                return decisions
            needed |= more

    async def _needed_again(self, decisions: Sequence[Decision], deleted: frozenset[int]) -> frozenset[str]:
        """Returns the deleted partitions that partitions which are built need, in any number of steps."""
        found: dict[int, None] = {}
        visited: set[int] = set()
        building: list[int] = []
        for some in slices(enumerate(decisions)):
            await self._pace.rest()
            building += [number for number, decision in some if decision.builds]
        while building:
            for numbers in slices(building):
                await self._pace.rest()
                for number in numbers:
                    inputs = self._graph.upstream[number]
                    if id(inputs) in visited:  # all outputs of a configuration share its inputs
                        continue
                    visited.add(id(inputs))
                    if self._pace.due(len(inputs)):
                        await self._pace.rest()
                    found.update(dict.fromkeys(deleted.intersection(inputs)))
            building = [number for number in found if id(self._graph.upstream[number]) not in visited]
        return frozenset(self._graph.refs[number] for number in found)

    def _recorded_configs(self) -> Iterator[JobConfig]:
        """Yields the configurations of the partitions that have been built before, to be compared."""
        configs, records = self._configs, self._records.by_ref
        return (
            configs[ref]
            for ref in (self._graph.refs if records else ())
            if (record := records.get(ref)) is not None and record.manifest is not None
        )

    async def _ordered(self) -> list[int]:
        """Returns the numbers of all partitions, in the order of refs."""
        numbers = self._graph.numbers
        return [numbers[ref] for ref in await self._pace.drive(sort(numbers))]

    async def _unneeded_outputs(self, tasks: Sequence[Task]) -> dict[str, int]:
        """Returns the outputs of tasks that nobody needs, each with the id of its task.

        They become part of the plan, as the other outputs of these tasks do.
        """
        unneeded: dict[str, int] = {}
        for some in slices(tasks):
            await self._pace.rest()
            for task in [task for task in some if len(task.config.outputs) > 1]:
                for refs in slices(task.config.outputs):
                    if self._pace.due(len(refs)):
                        await self._pace.rest()
                    unneeded.update((ref, task.task_id) for ref in refs if ref not in self._graph.numbers)
        return unneeded

    async def _query_inputs(self, tasks: Sequence[Task], task_ids: Sequence[int]) -> dict[str, str]:
        """Returns the QUERY inputs that no task produces, with the first output of the first task that reads each."""
        read_by: dict[str, str] = {}
        for some in slices(tasks):
            await self._pace.rest()
            for task in [task for task in some if task.config.query]:
                for refs in slices(task.config.query):
                    if self._pace.due(len(refs)):
                        await self._pace.rest()
                    for ref in refs:
                        number = self._graph.numbers.get(ref)
                        if number is None or not task_ids[number]:
                            read_by.setdefault(ref, task.config.outputs[0])
        await self._records.look_up(read_by)
        return read_by

    async def _partitions(
        self,
        ordered: Sequence[int],
        decisions: Sequence[Decision],
        task_ids: Sequence[int],
        requested: Collection[str],
    ) -> tuple[PlannedPartition, ...]:
        """Returns all partitions of the plan, sorted by ref."""
        refs = self._graph.refs
        partitions: list[PlannedPartition] = []
        for numbers in slices(ordered):
            await self._pace.rest()
            partitions += self._planned(
                [refs[number] for number in numbers],
                [task_ids[number] for number in numbers],
                [decisions[number] for number in numbers],
                requested,
            )
        return tuple(partitions)

    def _planned(
        self,
        refs: Sequence[str],
        task_ids: Sequence[int],
        decisions: Sequence[Decision],
        requested: Collection[str],
    ) -> Iterable[PlannedPartition]:
        """Returns the partitions with refs; columns take far fewer calls of Python functions than one by one would."""
        records = [
            record if record is not None and record.available else None
            for record in map(self._records.by_ref.get, refs)
        ]
        decided = [
            _NEEDED if task_id and decision.reason in REASONS_TO_KEEP else decision
            for task_id, decision in zip(task_ids, decisions, strict=True)
        ]
        values = zip(
            refs,
            [self._ownership.labels[ref] for ref in refs],
            task_ids,
            [decision.reason for decision in decided],
            [decision.cause for decision in decided],
            ["" if record is None else record.version for record in records],
            [
                "" if record is None or task_id else record.produced_by_build_request_id
                for record, task_id in zip(records, task_ids, strict=True)
            ],
            [ref in requested for ref in refs],
            strict=True,
        )
        return map(_new_partition, values)

    async def _absent_inputs(self, query_inputs: Mapping[str, str]) -> tuple[AbsentInput, ...]:
        """Returns those of the QUERY inputs that are not available."""
        records = self._records.by_ref
        absent = [ref for ref in query_inputs if (record := records.get(ref)) is None or not record.available]
        # Patterns are free to ask. A lookup is a process, and may fail for a ref that no job produces.
        if self._ownership.by_patterns:
            await self._ownership.try_find(absent)
        labels = self._ownership.labels
        ordered = await self._pace.drive(sort(absent))
        return tuple(AbsentInput(ref, labels.get(ref, ""), query_inputs[ref]) for ref in ordered)

    async def _versions(
        self, to_build: Sequence[int], task_ids: Sequence[int], query_inputs: Mapping[str, str]
    ) -> dict[str, str]:
        """Returns the recorded version of every input that the tasks read and do not build, by ref."""
        read: set[int] = set()
        for number in to_build if 0 in task_ids else ():
            upstream = self._graph.upstream[number]
            if self._pace.due(len(upstream)):
                await self._pace.rest()
            read.update(upstream)
        refs = {self._graph.refs[number] for number in read if not task_ids[number]}
        records = self._records.by_ref
        return {
            ref: record.version
            for ref in await self._pace.drive(sort(refs.union(query_inputs)))
            if (record := records.get(ref)) is not None and record.available
        }

    async def _explain_config_changes(self, decisions: list[Decision], changed: Sequence[int]) -> None:
        """Adds a description of the change to decisions with CONFIGURATION_CHANGED, for a limited number of tasks."""
        causes: dict[tuple[str, int], str] = {}
        for number in changed:
            ref = self._graph.refs[number]
            record, config = self._records.by_ref[ref], self._configs[ref]
            key = (record.job_run_id, id(config))
            if key not in causes and len(causes) < _MAX_EXPLAINED_TASKS:
                await self._pace.rest()
                causes[key] = self._config_change(record, config)
            if self._pace.due():
                await self._pace.rest()
            decisions[number] = Decision(pt.REASON_CONFIGURATION_CHANGED, causes.get(key, ""))

    def _config_change(self, record: PartitionRecord, config: JobConfig) -> str:
        before = self._past_configs(record.job_run_id) if self._past_configs is not None else None
        if before is not None:
            return config_changes(before, config)
        return input_changes(record.manifest, config) if record.manifest is not None else ""
