"""Recovery of inputs that a job run did not find: the tasks that rebuild them are added to the running build."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

from databuild.errors import DataBuildError, OrchestrationError
from databuild.graph.ports import PartitionRecords, Recovery, UnrecoverableError
from databuild.model.job_graph import Plan, Task
from databuild.model.pacing import Pace
from databuild.model.plan_messages import task_to_message
from databuild.model.records import AdoptionRecord, PartitionRecord
from databuild.orchestration.build.recording import BuildRecorder
from databuild.orchestration.coordination.versions import Versions
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.events.payloads import Payload, job_graph_events, partition_scheduled
from databuild.v1 import partition_pb2 as pt

MakePlan = Callable[[Sequence[str], PartitionRecords], Awaitable[Plan]]
"""Plans partitions, given their records."""

_PENDING = frozenset({pt.PARTITION_STATUS_SCHEDULED, pt.PARTITION_STATUS_BUILDING})


class InputRecovery:
    """Implements `graph.ports.Recover` for one build."""

    def __init__(
        self,
        plan: Plan,
        make_plan: MakePlan,
        records: PartitionRecords,
        *,
        orchestrator: BuildOrchestrator,
        recorder: BuildRecorder,
        versions: Versions,
    ) -> None:
        """Recovers nothing yet.

        Args:
            plan: The plan of the build.
            make_plan: Makes a further plan.
            records: Reads the records of partitions.
            orchestrator: Writes the events.
            recorder: Is told of inputs that a job has not declared.
            versions: Is told of the versions of further plans.
        """
        self._make_plan = make_plan
        self._records = records
        self._orchestrator = orchestrator
        self._recorder = recorder
        self._versions = versions
        self._number = max((task.task_id for task in plan.tasks), default=0)
        self._producers = {ref: task for task in plan.tasks for ref in task.config.outputs}
        self._reported: set[tuple[int, str]] = set()
        # One plan at a time: two tasks may miss the same input.
        self._alone = asyncio.Lock()

    async def __call__(self, task: Task, refs: Sequence[str]) -> Recovery:
        for ref in refs:
            if (task.task_id, ref) in self._reported:
                raise UnrecoverableError(f"{ref!r} was rebuilt, and {task.job_label} reports again that it is missing")
            self._reported.add((task.task_id, ref))
        async with self._alone:
            await self._orchestrator.written()
            self._recorder.add_inputs(task, refs)
            again = self._again(refs)
            new = await self._plan([ref for ref in refs if ref not in self._producers])
        awaited = {self._producers[ref].task_id for ref in refs if ref in self._producers}
        return Recovery(new_tasks=new, again=again, awaited=awaited)

    def _again(self, refs: Iterable[str]) -> set[int]:
        """Schedules lost outputs of this build again, and returns the tasks that make them."""
        statuses = self._orchestrator.state.partitions
        again = set()
        scheduled: list[Payload] = []
        for ref in refs:
            producer = self._producers.get(ref)
            if producer is None:
                continue
            status = statuses.get(ref)
            if status == pt.PARTITION_STATUS_FAILED:
                raise UnrecoverableError(f"{ref!r} is missing, and {producer.job_label}, which makes it, has failed")
            if status == pt.PARTITION_STATUS_MISSING:
                again.add(producer.task_id)
                scheduled.append(partition_scheduled(ref, producer.task_id, pt.REASON_LOST))
        if scheduled:
            self._orchestrator.emit(*scheduled)
        return again

    async def _plan(self, refs: Sequence[str]) -> Sequence[Task]:
        """Plans inputs that no task of this build makes, and returns the new tasks, which are in the log."""
        if not refs:
            return ()
        own = self._producers.keys()
        try:
            plan = await self._make_plan(refs, _OwnPartitions(self._records, own, self._orchestrator.build_request_id))
        except OrchestrationError:
            raise
        except DataBuildError as error:
            raise UnrecoverableError(f"{refs[0]!r} is missing, and cannot be made: {error}") from error
        statuses = self._orchestrator.state.partitions
        if taken := next((ref for task in plan.tasks for ref in task.config.outputs if ref in own), None):
            raise UnrecoverableError(
                f"{refs[0]!r} is missing, and its task would also make {taken!r}, as another one does"
            )
        self._versions.extend(plan)
        new = [self._renumbered(task) for task in plan.tasks]
        if not new:
            return ()
        scheduled = [
            partition_scheduled(partition.ref, partition.task_id + self._number, partition.reason, partition.cause)  # type: ignore[arg-type]
            for partition in plan.partitions
            if partition.task_id and statuses.get(partition.ref) not in _PENDING | {pt.PARTITION_STATUS_AVAILABLE}
        ]
        self._orchestrator.emit(*scheduled)
        pace = Pace()
        messages = [await pace.drive(task_to_message(task)) for task in new]
        for part in job_graph_events(messages, plan.code_digests):
            part.total_tasks = self._number + len(new)
            self._orchestrator.emit(("job_graph", part))
        self._number += len(new)
        self._producers.update((ref, task) for task in new for ref in task.config.outputs)
        return new

    def _renumbered(self, task: Task) -> Task:
        upstream = {number + self._number for number in task.upstream}
        upstream.update(self._producers[ref].task_id for ref in task.config.materialize if ref in self._producers)
        return task._replace(task_id=task.task_id + self._number, upstream=tuple(sorted(upstream)))


class _OwnPartitions:
    """Records in which the partitions of this build count as adopted, so that no further plan makes them."""

    def __init__(self, records: PartitionRecords, own: Collection[str], build_request_id: str) -> None:
        self._records = records
        self._own = own
        self._adoption = AdoptionRecord(build_request_id, "", "", 0.0)

    def partition_records(self, refs: Collection[str], /) -> Mapping[str, PartitionRecord]:
        records = dict(self._records.partition_records([ref for ref in refs if ref not in self._own]))
        records.update(
            (ref, PartitionRecord(ref, "AVAILABLE", "", 0.0, available=True, adoption=self._adoption))
            for ref in refs
            if ref in self._own
        )
        return records
