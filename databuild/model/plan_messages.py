"""Conversion between plans and their protobuf messages."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import cast

from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import AbsentInput, JobConfig, Plan, PlannedPartition, Task
from databuild.model.pacing import run_through, slices
from databuild.v1 import job_pb2, plan_pb2
from databuild.v1 import partition_pb2 as pt


def task_to_message(task: Task) -> Generator[None, None, plan_pb2.Task]:
    """Converts a task; yields at least once per slice of its refs (see `Pace`)."""
    config = task.config
    message = plan_pb2.Task(
        task_id=task.task_id,
        job_label=task.job_label,
        upstream_task_ids=task.upstream,
        configuration_digest=task.configuration_digest,
        query_prefixes=config.query_prefixes,
        output_digests=task.output_digests,
    )
    # Filled in place: to make the nested messages first and copy them takes three times as long.
    job_config = message.config
    job_config.args.extend(config.args)
    job_config.env.update(dict(config.env))
    for refs in slices(config.outputs):
        for ref in refs:
            job_config.outputs.add().str = ref
        yield
    for kind, inputs in ((job_pb2.MATERIALIZE, config.materialize), (job_pb2.QUERY, config.query)):
        for refs in slices(inputs):
            for ref in refs:
                dep = job_config.inputs.add()
                dep.dep_type_code = kind
                dep.partition_ref.str = ref
            yield
    return message


def tasks_to_messages(tasks: Sequence[Task]) -> list[plan_pb2.Task]:
    return [run_through(task_to_message(task)) for task in tasks]


def tasks_from_messages(messages: Sequence[plan_pb2.Task]) -> tuple[Task, ...]:
    return tuple(
        Task(
            message.task_id,
            message.job_label,
            JobConfig(
                tuple(output.str for output in message.config.outputs),
                _refs(message.config, job_pb2.MATERIALIZE),
                _refs(message.config, job_pb2.QUERY),
                tuple(message.config.args),
                tuple(sorted(message.config.env.items())),
                tuple(message.query_prefixes),
            ),
            tuple(message.upstream_task_ids),
            message.configuration_digest,
            tuple(message.output_digests),
        )
        for message in messages
    )


def plan_to_message(plan: Plan) -> plan_pb2.Plan:
    return plan_pb2.Plan(
        graph_label=plan.graph_label,
        requested=[pt.PartitionRef(str=ref) for ref in plan.requested],
        job_graph=plan_pb2.JobGraph(tasks=tasks_to_messages(plan.tasks)),
        partitions=map(planned_to_message, plan.partitions),
        code_digests=plan.code_digests,
        input_versions=plan.versions,
        options=plan.options.to_message(),
        warnings=plan.warnings,
        absent_inputs=absent_inputs_to_messages(plan.absent_inputs),
    )


def absent_inputs_to_messages(inputs: Iterable[AbsentInput]) -> list[plan_pb2.AbsentInput]:
    return [plan_pb2.AbsentInput(ref=ref, job_label=job_label, read_by=read_by) for ref, job_label, read_by in inputs]


def absent_inputs_from_messages(messages: Iterable[plan_pb2.AbsentInput]) -> tuple[AbsentInput, ...]:
    """Returns QUERY inputs that do not exist from messages."""
    return tuple(AbsentInput(message.ref, message.job_label, message.read_by) for message in messages)


def plan_from_message(message: plan_pb2.Plan) -> Plan:
    return Plan(
        graph_label=message.graph_label,
        requested=tuple(ref.str for ref in message.requested),
        tasks=tasks_from_messages(message.job_graph.tasks),
        partitions=tuple(map(planned_from_message, message.partitions)),
        code_digests=dict(sorted(message.code_digests.items())),  # protobuf maps have no order
        versions=dict(sorted(message.input_versions.items())),
        options=PlanOptions.from_message(message.options),
        warnings=tuple(message.warnings),
        absent_inputs=absent_inputs_from_messages(message.absent_inputs),
    )


def planned_to_message(planned: PlannedPartition) -> plan_pb2.PlannedPartition:
    return plan_pb2.PlannedPartition(
        ref=planned.ref,
        job_label=planned.job_label,
        task_id=planned.task_id,
        reason=cast("pt.Reason", planned.reason),
        cause=planned.cause,
        version=planned.version,
        delegated_to_build_request_id=planned.delegated_to,
        requested=planned.requested,
    )


def planned_from_message(message: plan_pb2.PlannedPartition) -> PlannedPartition:
    return PlannedPartition(
        message.ref,
        message.job_label,
        message.task_id,
        message.reason,
        message.cause,
        message.version,
        message.delegated_to_build_request_id,
        message.requested,
    )


def _refs(config: job_pb2.JobConfig, kind: int) -> tuple[str, ...]:
    return tuple(dep.partition_ref.str for dep in config.inputs if dep.dep_type_code == kind)
