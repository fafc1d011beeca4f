"""Planning: from requested refs to a job graph, level by level.

It knows jobs, refs and what is recorded of them; it asks jobs for their configurations through a Protocol and does not
know that they are processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from databuild.errors import AmbiguousPartitionError, JobConfigurationError
from databuild.graph.batches import batches
from databuild.graph.catalog import JobCatalog
from databuild.graph.configuration import configuration_digest
from databuild.graph.freshness import Decision, Freshness
from databuild.graph.numbering import number_tasks
from databuild.graph.ownership import Ownership
from databuild.graph.ports import Configure, Lookup, PartitionRecords
from databuild.model.job_graph import JobConfig, Plan, PlannedPartition, Task
from databuild.model.records import PartitionRecord
from databuild.v1 import partition_pb2 as pt

_NEEDED: Final = Decision(pt.REASON_NEEDED, "")


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
) -> Plan:
    """Finds what has to be built so that the requested partitions are available and fresh.

    The result depends on the arguments only, never on the order in which jobs answer. Takes time and memory in
    proportion to the number of partitions and edges.

    Args:
        requested: The refs, ranges expanded.
        catalog: The jobs.
        configure: Asks a job for its configurations.
        records: Knows what is recorded of partitions.
        lookup: Says who produces a ref, in place of the jobs' patterns.
        force: Whether to build what was requested even if it is fresh.
        reuse_stale: Whether to use stale partitions as they are.
        concurrency: How many jobs are asked at once.

    Raises:
        UnknownPartitionError: No job produces a ref.
        AmbiguousPartitionError: More than one job or task produces a ref.
        DependencyCycleError: Partitions need each other.
        JobConfigurationError: A job failed, or its answer cannot be used.
        LookupFaultError: The lookup failed, or its answer cannot be used.
    """
    refs = tuple(dict.fromkeys(requested))
    analysis = _Analysis(
        catalog,
        configure,
        records,
        Ownership(catalog, lookup),
        forced=frozenset(refs) if force else frozenset(),
        reuse_stale=reuse_stale,
        concurrency=concurrency,
    )
    await analysis.explore(refs)
    return analysis.plan(refs)


class _Analysis:
    def __init__(
        self,
        catalog: JobCatalog,
        configure: Configure,
        records: PartitionRecords,
        ownership: Ownership,
        *,
        forced: frozenset[str],
        reuse_stale: bool,
        concurrency: int,
    ) -> None:
        self._forced = forced
        self._catalog = catalog
        self._configure = configure
        self._reader = records
        self._reuse_stale = reuse_stale
        self._places = asyncio.Semaphore(max(1, concurrency))
        self._ownership = ownership
        self._owners = ownership.labels
        self._records: dict[str, PartitionRecord] = {}
        self._looked_up: set[str] = set()
        self._configs: dict[str, JobConfig] = {}
        self._digests: dict[str, str] = {}

    async def explore(self, requested: Sequence[str]) -> None:
        """Configures the requested partitions and everything upstream of them that might have to be built."""
        await self._ownership.find(requested)
        await self._ask(await self._predicted(requested))
        level: Collection[str] = requested
        seen: set[str] = set(requested)
        while level:
            self._look_up(level)
            await self._ask([ref for ref in level if ref not in self._configs])
            following: dict[str, str] = {}
            for ref in level:
                if self._reused(ref):
                    continue
                for needed in self._configs[ref].materialize:
                    if needed not in seen:
                        seen.add(needed)
                        following[needed] = ref
            await self._ownership.find(following, needed_by=following)
            level = following

    def plan(self, requested: Sequence[str]) -> Plan:
        """Decides about every partition that was explored, and numbers the tasks."""
        catalog = self._catalog
        freshness = Freshness(
            self._configs,
            self._digests,
            self._records,
            {ref: catalog.jobs[label].code_digest for ref, label in self._owners.items()},
            forced=self._forced,
            reuse_stale=self._reuse_stale,
        )
        decisions = freshness.decide(requested)
        tasks = number_tasks(self._configs, self._owners, self._digests, decisions)
        task_of = {output: task.task_id for task in tasks for output in task.config.outputs}
        asked = frozenset(requested)
        self._look_up(task_of)
        partitions = []
        for ref in sorted(decisions.keys() | task_of.keys()):
            reason, cause = decision = decisions.get(ref, _NEEDED)
            task_id = task_of.get(ref, 0)
            if task_id and not decision.builds:
                reason, cause = _NEEDED
            record = self._records.get(ref)
            available = record is not None and record.available
            partitions.append(
                PlannedPartition(
                    ref,
                    self._owners[ref],
                    task_id,
                    reason,
                    cause,
                    record.version if record is not None and available else "",
                    record.produced_by_build_request_id if record is not None and available and not task_id else "",
                    ref in asked,
                )
            )
        labels = {task.job_label for task in tasks}
        return Plan(
            graph_label=catalog.graph_label,
            requested=tuple(requested),
            tasks=tuple(tasks),
            partitions=tuple(partitions),
            code_digests={label: catalog.jobs[label].code_digest for label in sorted(labels)},
            versions=self._versions(tasks, task_of),
            force=bool(self._forced),
            reuse_stale=self._reuse_stale,
        )

    def _versions(self, tasks: Sequence[Task], task_of: Mapping[str, int]) -> dict[str, str]:
        """Returns the known version of every input that the tasks read and do not build."""
        read = {ref for task in tasks for ref in (*task.config.materialize, *task.config.query) if ref not in task_of}
        self._look_up(read)
        return {
            ref: record.version
            for ref in sorted(read)
            if (record := self._records.get(ref)) is not None and record.available
        }

    def _reused(self, ref: str) -> bool:
        record = self._records.get(ref)
        return (
            ref not in self._forced
            and record is not None
            and (record.adopted or (self._reuse_stale and record.available and not record.tainted))
        )

    def _look_up(self, refs: Iterable[str]) -> None:
        wanted = [ref for ref in refs if ref not in self._looked_up]
        if wanted:
            self._looked_up.update(wanted)
            self._records.update(self._reader.partition_records(wanted))

    async def _predicted(self, requested: Sequence[str]) -> list[str]:
        """Returns what lineage says will be considered, so that each job is asked once and not level by level."""
        predicted: dict[str, None] = dict.fromkeys(requested)
        level: Sequence[str] = requested
        while level:
            self._look_up(level)
            inputs: dict[str, None] = {}
            for ref in level:
                record = self._records.get(ref)
                if record is None or record.manifest is None or self._reused(ref):
                    continue
                for known in record.manifest.inputs:
                    if not known.query and known.ref not in predicted:
                        inputs[known.ref] = None
            await self._ownership.try_find(inputs)
            level = [ref for ref in inputs if ref in self._owners]
            predicted.update(dict.fromkeys(level))
        return list(predicted)

    async def _ask(self, refs: Sequence[str]) -> None:
        by_job: dict[str, list[str]] = {}
        for ref in refs:
            by_job.setdefault(self._owners[ref], []).append(ref)
        calls = [(label, batch) for label, wanted in sorted(by_job.items()) for batch in batches(sorted(wanted))]
        if not calls:
            return
        tasks = [asyncio.ensure_future(self._call(label, batch)) for label, batch in calls]
        try:
            answers = await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        await self._ownership.try_find(output for answer in answers for config in answer for output in config.outputs)
        for (label, batch), answer in zip(calls, answers, strict=True):
            self._accept(label, batch, answer)

    async def _call(self, label: str, refs: Sequence[str]) -> Sequence[JobConfig]:
        async with self._places:
            return await self._configure(self._catalog.jobs[label], refs)

    def _accept(self, label: str, asked: Sequence[str], configs: Sequence[JobConfig]) -> None:
        """Takes over what a job answered, once it has been checked."""
        for config in configs:
            digest = ""
            for output in config.outputs:
                owner = self._owners.get(output)
                if owner != label:
                    raise JobConfigurationError(label, self._foreign(output, owner), refs=asked)
                known = self._configs.setdefault(output, config)
                if known is config:
                    digest = self._digests[output] = digest or configuration_digest(config)
                elif known != config:
                    message = (
                        f"{label}, once for {', '.join(known.outputs[:3])} and once for {', '.join(config.outputs[:3])}"
                    )
                    raise AmbiguousPartitionError(output, [message])
        for ref in asked:
            if ref not in self._configs:
                fault = f"it was asked for {ref!r}, and no config that it answered has that output"
                raise JobConfigurationError(label, fault, refs=asked)

    @staticmethod
    def _foreign(output: str, owner: str | None) -> str:
        """Returns what is wrong with an output that is not the job's."""
        producer = f"{owner} produces" if owner else "none of its patterns matches"
        return f"it answered with the output {output!r}, which {producer}"
