"""`taint REF...`: marks partitions as not to be trusted, or takes the mark away."""

from __future__ import annotations

from databuild.cli.exit_codes import BUILT
from databuild.cli.full_parse import UsageError
from databuild.cli.invocation import Invocation
from databuild.cli.operations import append_operation, author
from databuild.cli.output import counted
from databuild.cli.partitions import expand
from databuild.errors import InvalidRequestError
from databuild.orchestration.ids import new_build_request_id
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt


def run(call: Invocation) -> int:
    """Writes the mark; a ref of which nothing is known cannot have one."""
    if not call.positionals:
        raise UsageError("taint takes at least one ref", call.command)
    refs = expand(call, call.positionals)
    known = call.reader().partition_records(refs)
    unknown = [ref for ref in refs if ref not in known]
    if unknown:
        raise InvalidRequestError(
            f"nothing is known of the partition {unknown[0]!r}, so there is nothing to mark; `partitions` lists what is"
        )
    tainted = not call.flags["untaint"]
    event = ev.TaintEvent(
        partitions=[pt.PartitionRef(str=ref) for ref in refs],
        tainted=tainted,
        author=author(call),
        reason=call.flags["reason"],
    )
    append_operation(call, new_build_request_id(), taint=event)
    if call.json:
        call.out.json({"partitions": refs, "tainted": tainted, "reason": event.reason, "author": event.author})
    elif tainted:
        call.out.line(f"tainted {counted(len(refs), 'partition')}; the next build that needs them makes them again")
    else:
        call.out.line(f"took the mark away from {counted(len(refs), 'partition')}")
    return BUILT
