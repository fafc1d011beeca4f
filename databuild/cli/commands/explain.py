"""`explain REF`: what is known of a partition, what it was made from, and what a build would do with it."""

from __future__ import annotations

from collections.abc import Mapping

from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.formats import counted, time_text
from databuild.cli.display.output import as_json
from databuild.cli.flags.exit_codes import BUILT
from databuild.cli.flags.full_parse import UsageError
from databuild.graph.reasons import absent_input_text, reason_name, reason_text
from databuild.model.job_graph import Plan, PlannedPartition
from databuild.model.records import JobRunRecord, PartitionRecord

_MAX_INPUTS = 20
_MAX_RUNS = 5
_UNDER_WAY = frozenset({"REQUESTED", "SCHEDULED", "BUILDING", "RUNNING"})


def run(call: Invocation) -> int:
    """Prints the record, the lineage and the reason of one partition; nothing is written."""
    ref, plan = _planned(call)
    backend = call.backend()
    record = backend.records.partition_records([ref]).get(ref)
    history = backend.records.produced_by(ref, limit=_MAX_RUNS)
    under_way = [one.build_request_id for one in (record, *history) if one is not None and one.status in _UNDER_WAY]
    dead = backend.deaths(under_way) if under_way else {}
    planned = {partition.ref: partition for partition in plan.partitions}
    if call.json:
        partition = as_json(planned[ref])
        partition["reason"] = reason_name(planned[ref].reason)
        runs = [{**as_json(job_run), "dead": _fault(job_run, dead)} for job_run in history]
        known = {**as_json(record), "dead": _fault(record, dead)} if record else None
        absent = as_json(plan.absent_inputs)
        call.out.json({"ref": ref, "record": known, "planned": partition, "history": runs, "absent_inputs": absent})
        return BUILT
    call.out.line(f"partition  {ref}")
    call.out.line(f"job        {planned[ref].job_label}")
    _print_record(call, record, _fault(record, dead))
    for job_run in history:
        died = " (dead)" if _fault(job_run, dead) else ""
        call.out.line(f"run        {job_run.job_run_id} {job_run.status}{died} {time_text(job_run.started_time)}")
    _print_planned(call, planned[ref], len(plan.tasks), adopted=record is not None and record.adopted)
    for absent in plan.absent_inputs[:_MAX_INPUTS]:
        call.out.line(f"absent     {absent_input_text(absent)}")
    if len(plan.absent_inputs) > _MAX_INPUTS:
        call.out.line(f"absent     {len(plan.absent_inputs) - _MAX_INPUTS} more QUERY inputs")
    return BUILT


def _planned(call: Invocation) -> tuple[str, Plan]:
    """Returns the ref that is asked about, and the plan for it."""
    plan = call.backend().plan(call.positionals) if call.positionals else None
    if plan is None or len(plan.requested) != 1:
        raise UsageError("explain takes one ref", call.command)
    return plan.requested[0], plan


def _fault(one: PartitionRecord | JobRunRecord | None, dead: Mapping[str, str]) -> str | None:
    """Returns why nothing more comes of what a build has begun; None where more may come, or it has ended."""
    if one is None or one.status not in _UNDER_WAY:
        return None
    return dead.get(one.build_request_id)


def _print_record(call: Invocation, record: PartitionRecord | None, fault: str | None) -> None:
    if record is None:
        call.out.line("status     never built here, nor adopted")
        return
    adoption = record.adoption
    since = f"{record.status} since {time_text(record.time)} UTC"
    if adoption is None or adoption.operation_id != record.build_request_id:
        since += f", in build {record.build_request_id}"
    died = f", but {fault}; the next build ends it" if fault else ""
    call.out.line(f"status     {since}{died}")
    if adoption is not None:
        call.out.line(f"adopted    {time_text(adoption.time)} UTC by {adoption.author}: {adoption.reason}")
    if record.tainted:
        call.out.line(f"tainted    {record.taint_reason}")
    if record.failure is not None:
        call.out.line(f"failure    {record.failure.category}: {record.failure.message}")
    if not record.available:
        return
    call.out.line(f"version    {record.version}")
    if record.job_run_id:
        call.out.line(f"made by    job run {record.job_run_id}")
    for name, value in sorted(record.metadata.items()):
        call.out.line(f"metadata   {name} = {value}")
    if record.manifest is None:
        return
    inputs = record.manifest.inputs
    for item in inputs[:_MAX_INPUTS]:
        read = "read as it was" if item.version else "read as it was: it did not exist"
        kind = f" ({read})" if item.query else ""
        call.out.line(f"made from  {item.ref} {item.version}{kind}".rstrip())
    if len(inputs) > _MAX_INPUTS:
        call.out.line(f"made from  {len(inputs) - _MAX_INPUTS} more")


def _print_planned(call: Invocation, planned: PlannedPartition, tasks: int, *, adopted: bool) -> None:
    if planned.task_id:
        call.out.line(f"a build    would make it ({reason_text(planned)}), in {counted(tasks, 'task')} in all")
    else:
        source = f", from build {planned.delegated_to}" if planned.delegated_to and not adopted else ""
        call.out.line(f"a build    would use it as it is ({reason_text(planned)}){source}")
