"""`downstream REF...`: lists the partitions that were made from others, and those that a build would make from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.formats import counted, some_of, table
from databuild.cli.flags.exit_codes import BUILT

if TYPE_CHECKING:
    from databuild.model.views import DeclaredDependent, DeclaredDependents, DownstreamPartition


def run(call: Invocation) -> int:
    """Prints recorded lineage and declared inputs; runs nothing."""
    if not call.positionals:
        from databuild.cli.flags.usage_error import UsageError

        raise UsageError("downstream takes at least one REF", call.command)
    backend, transitive, limit = call.backend(), not call.flags["direct"], call.flags["limit"]
    recorded = backend.downstream(call.positionals, transitive=transitive, limit=limit)
    declared = backend.declared_downstream(call.positionals, transitive=transitive, limit=limit)
    complete = not (recorded.next_page_token or recorded.truncated)
    partitions = sorted(recorded.partitions, key=lambda partition: (partition.distance, partition.ref, partition.input))
    if call.json:
        call.out.json({"recorded": {"partitions": partitions, "complete": complete}, "declared": declared._asdict()})
        return BUILT
    call.out.line("recorded: current data that was made from them")
    _print_recorded(call, partitions)
    call.out.line()
    call.out.line("declared: outputs that a build would make from them")
    _print_declared(call, declared)
    if not complete:
        step = "ask for fewer REFs, or with --direct" if recorded.truncated else "a larger --limit shows them"
        call.err.line(f"databuild: there are more recorded partitions; {step}")
    if not declared.complete:
        call.err.line(
            "databuild: there are more declared partitions; --direct shows one step, and a larger --limit more"
        )
    return BUILT


def _print_recorded(call: Invocation, partitions: Sequence[DownstreamPartition]) -> None:
    if not partitions:
        call.out.line(f"no partition was made from {some_of(call.positionals)}")
        return
    heading = ("PARTITION", "STEPS", "MADE FROM", "STATUS", "DATA")
    call.out.write(table([heading, *map(_recorded_row, partitions)]))
    refs = len({partition.ref for partition in partitions})
    steps = max(partition.distance for partition in partitions)
    call.err.line(f"databuild: {counted(refs, 'partition')} in {counted(steps, 'step')}")


def _print_declared(call: Invocation, declared: DeclaredDependents) -> None:
    if declared.dependents:
        heading = ("PARTITIONS", "STEPS", "JOB", "INPUT")
        call.out.write(table([heading, *map(_declared_row, declared.dependents)]))
    else:
        call.out.line(f"no job declares an input that is {some_of(call.positionals)}")
    if jobs := declared.undeclared_jobs:
        call.out.line(
            f"unknown before a build: the inputs of {counted(len(jobs), 'job')} with config ({some_of(jobs)})"
        )


def _recorded_row(partition: DownstreamPartition) -> tuple[str, ...]:
    source = f"{partition.input} (QUERY)" if partition.query else partition.input
    data = "yes" if partition.available else "no"
    if partition.tainted:
        data += ", tainted"
    if partition.input_changed:
        data += ", input changed"
    return partition.ref, str(partition.distance), source, partition.status, data


def _declared_row(row: DeclaredDependent) -> tuple[str, ...]:
    source = row.input if row.kind == "INPUT" else f"{row.input} ({row.kind})"
    return row.partitions, str(row.distance), row.job_label, source
