"""`downstream REF...`: lists the partitions that were made from others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.formats import counted, some_of, table
from databuild.cli.flags.exit_codes import BUILT

if TYPE_CHECKING:
    from databuild.model.views import DownstreamPartition


def run(call: Invocation) -> int:
    """Prints the recorded lineage; runs nothing."""
    if not call.positionals:
        from databuild.cli.flags.full_parse import UsageError

        raise UsageError("downstream takes at least one REF", call.command)
    recorded = call.backend().downstream(
        call.positionals, transitive=not call.flags["direct"], limit=call.flags["limit"]
    )
    complete = not (recorded.next_page_token or recorded.truncated)
    partitions = sorted(recorded.partitions, key=lambda partition: (partition.distance, partition.ref, partition.input))
    if call.json:
        call.out.json({"recorded": {"partitions": partitions, "complete": complete}})
        return BUILT
    _print_recorded(call, partitions)
    if not complete:
        step = "ask for fewer REFs, or with --direct" if recorded.truncated else "a larger --limit shows them"
        call.err.line(f"databuild: there are more partitions; {step}")
    return BUILT


def _print_recorded(call: Invocation, partitions: Sequence[DownstreamPartition]) -> None:
    if not partitions:
        call.out.line(f"no partition was made from {some_of(call.positionals)}")
        return
    heading = ("PARTITION", "STEPS", "MADE FROM", "STATUS", "DATA")
    call.out.write(table([heading, *map(_row, partitions)]))
    refs = len({partition.ref for partition in partitions})
    steps = max(partition.distance for partition in partitions)
    call.err.line(f"databuild: {counted(refs, 'partition')} in {counted(steps, 'step')}")


def _row(partition: DownstreamPartition) -> tuple[str, ...]:
    source = f"{partition.input} (QUERY)" if partition.query else partition.input
    data = "yes" if partition.available else "no"
    if partition.tainted:
        data += ", tainted"
    if partition.input_changed:
        data += ", input changed"
    return partition.ref, str(partition.distance), source, partition.status, data
