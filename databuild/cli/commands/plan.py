"""`plan [PARTITION...]`: shows what a build would run and why."""

from __future__ import annotations

from collections import Counter
from typing import Any

from databuild.cli.backend.build_flags import check_downstream, plan_options
from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.formats import counted, some_of, table
from databuild.cli.display.output import as_json
from databuild.cli.flags.exit_codes import BUILT
from databuild.cli.flags.usage_error import UsageError
from databuild.graph.reasons import absent_input_text, reason_text
from databuild.model.enum_names import reason_name
from databuild.model.job_graph import Plan

_FORMATS = ("text", "json")


def run(call: Invocation) -> int:
    """Prints the plan, or writes it to a file. Runs nothing but `config` and the lookup."""
    flags = call.flags
    if not flags["output"]:
        raise UsageError("--output takes `text`, `json` or the path of a file, not an empty value", call.command)
    check_downstream(call)
    backend = call.backend()
    backend.print_hint()
    plan = backend.plan(
        call.positionals,
        plan_options(flags),
        downstream=flags["downstream"],
        verify=flags["verify"],
        digests=flags["output"] != "text",
    )
    if flags["output"] not in _FORMATS:
        from pathlib import Path

        from databuild.cli.backend.plan_file import write_plan

        path = Path(call.path(flags["output"]))
        write_plan(plan, path)
        call.err.line(f"databuild: plan of {counted(len(plan.tasks), 'task')} written to {path}")
        call.err.line(f"databuild: {call.follow_up(f'build --plan={path}')} runs exactly this plan")
        return BUILT
    if call.json:
        call.out.json(_as_json(plan))
    else:
        _print_plan(call, plan)
    return BUILT


def _print_plan(call: Invocation, plan: Plan) -> None:
    out = call.out
    building = [partition for partition in plan.partitions if partition.task_id]
    kept = [partition for partition in plan.partitions if not partition.task_id]
    if not building:
        out.line(f"nothing to do: {counted(len(kept), 'partition')} available and fresh")
        return
    out.line(f"would build {counted(len(building), 'partition')} in {counted(len(plan.tasks), 'task')}")
    for title, partitions in (("build", building), ("keep", kept)):
        counts = Counter(partition.reason for partition in partitions)
        for name, number in sorted((reason_name(reason), number) for reason, number in counts.items()):
            out.line(f"  {title} {number:>6}  {name.lower().replace('_', ' ')}")
    jobs = Counter(task.job_label for task in plan.tasks)
    out.line()
    out.write(table([("TASKS", "JOB"), *((str(number), label) for label, number in sorted(jobs.items()))]))
    limit = call.flags["limit"]
    rows = [(partition.ref, partition.job_label, reason_text(partition)) for partition in building[:limit]]
    out.line()
    out.write(table([("PARTITION", "JOB", "REASON"), *rows]))
    if len(building) > limit:
        out.line(f"and {len(building) - limit} more; --limit={len(building)} lists all")
    _print_absent(call, plan, limit)
    past_builds = sorted({partition.delegated_to for partition in kept if partition.delegated_to})
    if past_builds:
        out.line(f"taken from {'a past build' if len(past_builds) == 1 else 'past builds'}: {some_of(past_builds)}")


def _print_absent(call: Invocation, plan: Plan, limit: int) -> None:
    if not plan.absent_inputs:
        return
    count = len(plan.absent_inputs)
    call.out.line()
    call.out.line(f"{counted(count, 'QUERY input')} that {'does' if count == 1 else 'do'} not exist:")
    for absent in plan.absent_inputs[:limit]:
        call.out.line(f"  {absent_input_text(absent)}")
    if count > limit:
        call.out.line(f"  and {count - limit} more; --limit={count} lists all")


def _as_json(plan: Plan) -> dict[str, Any]:
    """Converts a plan for JSON: reasons by name, keys in order, and the number of partitions for each reason."""
    counts = Counter(reason_name(partition.reason) for partition in plan.partitions)
    document: dict[str, Any] = as_json(plan)
    for partition in document["partitions"]:
        partition["reason"] = reason_name(partition["reason"])
    for name in ("code_digests", "versions"):
        document[name] = dict(sorted(document[name].items()))
    document["counts"] = dict(sorted(counts.items()))
    return document
