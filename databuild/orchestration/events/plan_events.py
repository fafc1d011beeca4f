"""Events of a finished plan: scheduled partitions, the job graph, and delegations to past builds."""

from __future__ import annotations

from typing import cast

from databuild.model.job_graph import Plan
from databuild.model.pacing import Pace, slices
from databuild.model.plan_messages import task_to_message
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.events.payloads import Payload, job_graph_events, partition_scheduled
from databuild.v1 import partition_pb2 as pt


async def emit_plan(orchestrator: BuildOrchestrator, plan: Plan) -> None:
    """Emits the events of a plan in slices, so that a large plan does not block the event loop."""
    pace = Pace()
    for partitions in slices(partition for partition in plan.partitions if partition.task_id):
        await pace.rest()
        scheduled: list[Payload] = [
            partition_scheduled(partition.ref, partition.task_id, cast("pt.Reason", partition.reason), partition.cause)
            for partition in partitions
        ]
        orchestrator.emit(*scheduled)
    messages = [await pace.drive(task_to_message(task)) for task in plan.tasks]
    for part in job_graph_events(messages, plan.code_digests):
        orchestrator.emit(("job_graph", part))
        await pace.rest()
    # Fresh partitions that tasks read or the request names are delegated to the builds that produced them. Others of
    # the plan are fresh inputs of fresh partitions, and do not matter to this build.
    task_inputs: set[str] = set()
    for task in plan.tasks:
        for inputs in slices(task.config.materialize):
            await pace.rest()
            task_inputs.update(inputs)
    delegated: dict[tuple[str, str], list[str]] = {}
    for partitions in slices(plan.partitions):
        await pace.rest()
        for partition in partitions:
            if not partition.task_id and (partition.requested or partition.ref in task_inputs):
                delegated.setdefault((partition.delegated_to, partition.job_label), []).append(partition.ref)
    for (build, job_label), refs in sorted(delegated.items()):
        orchestrator.emit_delegation(build, job_label, refs)
