"""`explain REF`: shows the record of a partition, its inputs, and what a build would do with it and why."""

from __future__ import annotations

from collections.abc import Mapping

from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.formats import bytes_text, counted, metadata_text, place_text, time_text, version_text
from databuild.cli.display.output import as_json
from databuild.cli.flags.exit_codes import BUILT
from databuild.cli.flags.usage_error import UsageError
from databuild.graph.reasons import absent_input_text, reason_text
from databuild.model import statuses
from databuild.model.enum_names import reason_name
from databuild.model.job_graph import Plan, PlannedPartition
from databuild.model.records import JobRunRecord, PartitionRecord
from databuild.model.trends import Trends
from databuild.orchestration.coordination.dead_builds import next_step

_MAX_INPUTS = 20
_MAX_RUNS = 5
_OPEN = statuses.PARTITION.open | statuses.JOB.open


def run(call: Invocation) -> int:
    """Prints one partition; runs nothing but `config`."""
    ref, plan = _plan(call)
    backend = call.backend()
    record = backend.records.partition_records([ref]).get(ref)
    history = backend.records.produced_by(ref, limit=_MAX_RUNS)
    open_builds = [row.build_request_id for row in (record, *history) if row is not None and row.status in _OPEN]
    dead = backend.deaths(open_builds) if open_builds else {}
    trends = backend.trends(ref) if record is not None and record.available else Trends(())
    planned = {partition.ref: partition for partition in plan.partitions}[ref]
    if call.json:
        document = {
            "ref": ref,
            "record": {**as_json(record), "dead": _death(record, dead)} if record else None,
            "planned": {**as_json(planned), "reason": reason_name(planned.reason)},
            "history": [{**as_json(job_run), "dead": _death(job_run, dead)} for job_run in history],
            "absent_inputs": plan.absent_inputs,
            "schema": as_json(trends.schema) if trends.schema is not None else None,
            "trends": {trend.name: trend.summary for trend in trends.trends if trend.summary},
        }
        call.out.json(document)
        return BUILT
    call.out.line(f"partition  {ref}")
    call.out.line(f"job        {planned.job_label}")
    death = _death(record, dead)
    if record is not None and death is not None:
        death = f"{death}; {next_step(backend.records, record.build_request_id)}"
    _print_record(call, record, death)
    _print_comparison(call, trends)
    for job_run in history:
        dead_text = " (dead)" if _death(job_run, dead) else ""
        place = place_text(job_run, call.clock())
        facts = (job_run.job_run_id, f"{job_run.status}{dead_text}", time_text(job_run.started_time), place)
        call.out.line(f"run        {' '.join(filter(None, facts))}")
    _print_planned(call, planned, len(plan.tasks), adopted=record is not None and record.adopted)
    for absent in plan.absent_inputs[:_MAX_INPUTS]:
        call.out.line(f"absent     {absent_input_text(absent)}")
    if len(plan.absent_inputs) > _MAX_INPUTS:
        call.out.line(f"absent     {len(plan.absent_inputs) - _MAX_INPUTS} more QUERY inputs")
    return BUILT


def _plan(call: Invocation) -> tuple[str, Plan]:
    """Returns the ref and the plan for it."""
    count = len(call.positionals)
    if count == 1:
        plan = call.backend().plan(call.positionals, verify=call.flags["verify"])
        if (count := len(plan.requested)) == 1:  # the plan has the refs of a range
            return plan.requested[0], plan
    raise UsageError(f"explain takes one REF, not {count}", call.command)


def _death(record: PartitionRecord | JobRunRecord | None, dead: Mapping[str, str]) -> str | None:
    """Returns the reason if the build of an open record is dead, so that the record will not change; else None."""
    if record is None or record.status not in _OPEN:
        return None
    return dead.get(record.build_request_id)


def _print_record(call: Invocation, record: PartitionRecord | None, death: str | None) -> None:
    if record is None:
        call.out.line("status     never built here, nor adopted")
        return
    adoption = record.adoption
    since = f"{record.status} since {time_text(record.time)} UTC"
    # Adoptions, removals and losses that a verification finds are recorded under the id of an operation.
    if call.backend().records.build(record.build_request_id) is not None:
        since += f", in build {record.build_request_id}"
    dead_text = f", but {death}" if death else ""
    call.out.line(f"status     {since}{dead_text}")
    if adoption is not None:
        call.out.line(f"adopted    {time_text(adoption.time)} UTC by {adoption.author}: {adoption.reason}")
    if record.removal is not None and not record.available:
        removal = record.removal
        call.out.line(f"removed    {time_text(removal.time)} UTC by {removal.author}: {removal.reason}")
    if record.tainted:
        call.out.line(f"tainted    {record.taint_reason}")
    if record.failure is not None:
        call.out.line(f"failure    {record.failure.category}: {record.failure.message}")
    if record.available:
        _print_data(call, record)


def _print_data(call: Invocation, record: PartitionRecord) -> None:
    call.out.line(f"version    {record.version}")
    if record.job_run_id:
        call.out.line(f"made by    {record.job_run_id}")
    if record.location is not None:
        size = f" ({bytes_text(record.location.size)})" if record.location.size is not None else ""
        call.out.line(f"location   {record.location.uri}{size}")
    for name, value in sorted(record.metadata.items()):
        call.out.line(f"metadata   {name} = {metadata_text(value)}")
    if record.manifest is None:
        return
    inputs = record.manifest.inputs
    for item in inputs[:_MAX_INPUTS]:
        query = "QUERY" if item.version else "QUERY, did not exist"
        kind = f" ({query})" if item.query else ""
        call.out.line(f"input      {item.ref} {version_text(item.version)}{kind}".rstrip())
    if len(inputs) > _MAX_INPUTS:
        call.out.line(f"input      {len(inputs) - _MAX_INPUTS} more")


def _print_comparison(call: Invocation, trends: Trends) -> None:
    if trends.schema is not None:
        for change in trends.schema.changes:
            call.out.line(f"schema     {change} (since {trends.schema.since})")
    for trend in trends.trends:
        if trend.points[-1].outlier and trend.summary:
            call.out.line(f"unusual    {trend.summary}")


def _print_planned(call: Invocation, planned: PlannedPartition, tasks: int, *, adopted: bool) -> None:
    if planned.task_id:
        call.out.line(f"a build    would make it ({reason_text(planned)}), with {counted(tasks, 'task')} in total")
    else:
        source = f", from build {planned.delegated_to}" if planned.delegated_to and not adopted else ""
        call.out.line(f"a build    would use it as it is ({reason_text(planned)}){source}")
