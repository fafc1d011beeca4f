"""Assembly of a plan from configurations: a decision about each partition, the tasks, and the versions that they read.

Runs no job: analysis has found the partitions and their configurations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from databuild.graph.catalog import JobCatalog
from databuild.graph.config_comparison import config_changes, input_changes
from databuild.graph.freshness import Decision, Freshness
from databuild.graph.numbering import number_tasks
from databuild.graph.ownership import Ownership
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


class Assembly:
    """Assembles the plan of one analysis."""

    def __init__(
        self,
        catalog: JobCatalog,
        ownership: Ownership,
        records: RecordCache,
        pace: Pace,
        *,
        configs: Mapping[str, JobConfig],
        digests: Mapping[str, str],
        forced: frozenset[str],
        options: PlanOptions,
        past_configs: PastConfigs | None,
    ) -> None:
        """Stores the results of the analysis.

        Args:
            catalog: The jobs.
            ownership: The job that produces each ref.
            records: The records of partitions.
            pace: Lets the event loop run.
            configs: The configuration that produces each ref.
            digests: The digest of that configuration, by ref.
            forced: The refs to build even if they are fresh.
            options: The options of the plan.
            past_configs: Reads the configurations of past job runs; None if they cannot be read.
        """
        self._catalog = catalog
        self._ownership = ownership
        self._records = records
        self._pace = pace
        self._configs = configs
        self._digests = digests
        self._forced = forced
        self._options = options
        self._past_configs = past_configs

    async def plan(self, requested: Sequence[str], warnings: tuple[str, ...]) -> Plan:
        """Decides about every partition of the analysis, and numbers the tasks."""
        catalog, pace = self._catalog, self._pace
        freshness = Freshness(
            self._configs,
            self._digests,
            self._records.by_ref,
            self._ownership.labels,
            {label: job.code_digest for label, job in catalog.jobs.items()},
            forced=self._forced,
            options=self._options,
        )
        decisions = await pace.drive(freshness.decide(requested))
        await self._explain_config_changes(decisions)
        tasks = await pace.drive(
            number_tasks(self._configs, self._ownership.labels, self._digests, decisions, catalog.declared)
        )
        task_of: dict[str, int] = {}
        labels: set[str] = set()
        for task in tasks:
            if pace.due(len(task.config.outputs)):
                await pace.rest()
            labels.add(task.job_label)
            task_of.update(dict.fromkeys(task.config.outputs, task.task_id))
        requested_refs = frozenset(requested)
        # A task may have outputs that nobody needs; they become part of the plan, as its other outputs do.
        await self._records.look_up(task_of)
        partitions: list[PlannedPartition] = []
        planned_refs = await pace.drive(sort(decisions.keys() | task_of.keys()))
        for refs in slices(planned_refs):
            await self._pace.rest()
            partitions += [
                self._planned(ref, decisions.get(ref, _NEEDED), task_of.get(ref, 0), requested=ref in requested_refs)
                for ref in refs
            ]
        return Plan(
            graph_label=catalog.graph_label,
            requested=tuple(requested),
            tasks=tuple(tasks),
            partitions=tuple(partitions),
            code_digests={label: catalog.jobs[label].code_digest for label in sorted(labels)},
            versions=await self._versions(tasks, task_of),
            options=self._options,
            warnings=warnings,
            absent_inputs=await self._absent_inputs(tasks, task_of),
        )

    async def _absent_inputs(self, tasks: Sequence[Task], task_of: Mapping[str, int]) -> tuple[AbsentInput, ...]:
        """Returns the QUERY inputs of the tasks that are not available and not produced by this plan."""
        read_by: dict[str, str] = {}
        for task in tasks:
            if self._pace.due(1 + len(task.config.query)):
                await self._pace.rest()
            for refs in slices(task.config.query):
                await self._pace.rest()
                for ref in refs:
                    record = self._records.by_ref.get(ref)
                    if ref not in task_of and (record is None or not record.available):
                        read_by.setdefault(ref, task.config.outputs[0])
        # Patterns are free to ask. A lookup is a process, and may fail for a ref that no job produces.
        if self._ownership.by_patterns:
            await self._ownership.try_find(read_by)
        absent = await self._pace.drive(sort(read_by))
        return tuple(AbsentInput(ref, self._ownership.labels.get(ref, ""), read_by[ref]) for ref in absent)

    async def _explain_config_changes(self, decisions: dict[str, Decision]) -> None:
        """Adds a description of the change to decisions with CONFIGURATION_CHANGED, for a limited number of tasks."""
        causes: dict[tuple[str, int], str] = {}
        for refs in slices(tuple(decisions)):
            await self._pace.rest()
            for ref in refs:
                if decisions[ref].reason == pt.REASON_CONFIGURATION_CHANGED:
                    record, config = self._records.by_ref[ref], self._configs[ref]
                    key = (record.job_run_id, id(config))
                    if key not in causes and len(causes) < _MAX_EXPLAINED_TASKS:
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
        record = self._records.by_ref.get(ref)
        available = record is not None and record.available
        return PlannedPartition(
            ref,
            self._ownership.labels[ref],
            task_id,
            reason,
            cause,
            record.version if record is not None and available else "",
            record.produced_by_build_request_id if record is not None and available and not task_id else "",
            requested,
        )

    async def _versions(self, tasks: Sequence[Task], task_of: Mapping[str, int]) -> dict[str, str]:
        """Returns the recorded version of every input that the tasks read and do not build, by ref."""
        input_refs: set[str] = set()
        for task in tasks:
            if self._pace.due():
                await self._pace.rest()
            for inputs in slices((*task.config.materialize, *task.config.query)):
                if self._pace.due(len(inputs)):
                    await self._pace.rest()
                input_refs.update(ref for ref in inputs if ref not in task_of)
        await self._records.look_up(input_refs)
        return {
            ref: record.version
            for ref in await self._pace.drive(sort(input_refs))
            if (record := self._records.by_ref.get(ref)) is not None and record.available
        }
