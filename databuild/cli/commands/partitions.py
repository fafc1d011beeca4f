"""`partitions [PREFIX]`: lists partitions by ref.

`partitions adopt` (`adoption.py`) adopts existing data, and `partitions verify` (`verify_stores.py`) looks for
data in its stores. `partitions forget`, `delete` and `clean` (`removals.py`) remove data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.formats import table, time_text
from databuild.cli.flags.exit_codes import BUILT
from databuild.graph.refs import nfc

if TYPE_CHECKING:
    from databuild.model.records import PartitionRecord


def run(call: Invocation) -> int:
    """Prints one page of partitions and the number of partitions in each status, or adopts partitions."""
    if call.positionals[:1] == ["adopt"]:
        from databuild.cli.commands import adoption

        return adoption.run(call)
    if call.positionals[:1] == ["verify"]:
        from databuild.cli.commands import verify_stores

        return verify_stores.run(call)
    if call.positionals[:1] in (["forget"], ["delete"], ["clean"]):
        from databuild.cli.commands import removals
        from databuild.model.environments import refuse_removal

        refuse_removal(call.environment)
        return int(getattr(removals, call.positionals[0])(call))
    if call.flags["from"] is not None:
        from databuild.cli.flags.usage_error import UsageError

        raise UsageError("--from is for `partitions adopt --from=STATE_DIR`", call.command)
    if len(call.positionals) > 1:
        from databuild.cli.flags.near_form import near_form
        from databuild.cli.flags.usage_error import UsageError

        hint = near_form(call.command, call.positionals[0]) or "run it once for each"
        raise UsageError(f"partitions takes one PREFIX, not {len(call.positionals)}; {hint}", call.command)
    reader = call.backend().records
    prefix = nfc(call.positionals[0]) if call.positionals else ""
    limit = call.flags["limit"]
    status = call.flags["status"]
    records = reader.partitions(prefix=prefix, status=status, after=call.flags["after"], limit=limit)
    counts = reader.partition_counts()
    next_after = records[-1].ref if len(records) == limit else ""
    if prefix and not records and not status and not call.flags["after"]:
        _print_hint(call, prefix)
    if call.json:
        call.out.json({"partitions": records, "counts": counts, "next_after": next_after})
        return BUILT
    if records:
        heading = ("PARTITION", "STATUS", "SINCE (UTC)", "DATA", "BUILD")
        call.out.write(table([heading, *(_row(record) for record in records)]))
    else:
        call.out.line("no partitions")
    if counts:
        total = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()) if number)
        call.err.line(f"databuild: all partitions: {total}")
    if next_after:
        call.err.line(f"databuild: --after={next_after} shows the next page")
    return BUILT


def _print_hint(call: Invocation, prefix: str) -> None:
    """Prints the command that the user may have meant by a prefix with which no partition begins."""
    from databuild.cli.flags.near_form import near_form

    hint = near_form(call.command, prefix)
    if "{" in prefix or ".." in prefix:
        beginning = prefix.partition("{")[0].partition("..")[0]
        hint = f"a PREFIX is neither a pattern nor a range; try `partitions {beginning}`"
    if hint:
        call.err.line(f"databuild: no partition begins with {prefix!r}; {hint}")


def _row(record: PartitionRecord) -> tuple[str, ...]:
    data = "yes" if record.available else "no"
    if record.adoption is not None and record.available:
        data += ", adopted"
    if record.tainted:
        data += ", tainted"
    # Adoptions and removals are recorded under the ids of operations.
    operations = {fact.operation_id for fact in (record.adoption, record.removal) if fact is not None}
    build = "" if record.build_request_id in operations else record.build_request_id
    return record.ref, record.status, time_text(record.time), data, build
