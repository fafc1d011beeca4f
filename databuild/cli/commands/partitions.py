"""`partitions [PREFIX]`: what is known of partitions, by ref; `partitions adopt`: data made known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.formats import table, time_text
from databuild.cli.display.output import as_json
from databuild.cli.flags.exit_codes import BUILT
from databuild.graph.refs import nfc

if TYPE_CHECKING:
    from databuild.model.records import PartitionRecord


def run(call: Invocation) -> int:
    """Prints one page of partitions, and how many there are of each status, or adopts some."""
    if call.positionals[:1] == ["adopt"]:
        from databuild.cli.backend import adopting

        return adopting.run(call)
    if call.flags["from"] is not None:
        from databuild.cli.flags.full_parse import UsageError

        raise UsageError("--from belongs to `partitions adopt --from=STATE_DIR`", call.command)
    reader = call.backend().records
    prefix = nfc(call.positionals[0]) if call.positionals else ""
    limit = call.flags["limit"]
    status = call.flags["status"]
    records = reader.partitions(prefix=prefix, status=status, after=call.flags["after"], limit=limit)
    counts = reader.partition_counts()
    following = records[-1].ref if len(records) == limit else ""
    if call.json:
        rows = [as_json(record) for record in records]
        call.out.json({"partitions": rows, "counts": counts, "next_after": following})
        return BUILT
    if records:
        heading = ("PARTITION", "STATUS", "SINCE (UTC)", "DATA", "BUILD")
        call.out.write(table([heading, *(_row(record) for record in records)]))
    else:
        call.out.line("no partitions")
    if counts:
        total = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()) if number)
        call.err.line(f"databuild: in all: {total}")
    if following:
        call.err.line(f"databuild: more with --after={following}")
    return BUILT


def _row(record: PartitionRecord) -> tuple[str, ...]:
    data = "yes" if record.available else "no"
    if record.adoption is not None and record.available:
        data += ", adopted"
    if record.tainted:
        data += ", tainted"
    return (
        record.ref,
        record.status,
        time_text(record.time),
        data,
        record.build_request_id,
    )
