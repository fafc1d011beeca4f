"""`taint REF...`: marks partitions as not to be trusted, or takes the mark away."""

from __future__ import annotations

from databuild.cli.exit_codes import BUILT
from databuild.cli.full_parse import UsageError
from databuild.cli.invocation import Invocation
from databuild.cli.operations import append_operation, author
from databuild.cli.output import counted
from databuild.cli.partitions import expand
from databuild.orchestration.operations import taint


def run(call: Invocation) -> int:
    """Writes the mark."""
    if not call.positionals:
        raise UsageError("taint takes at least one ref", call.command)
    refs = expand(call, call.positionals)
    tainted = not call.flags["untaint"]
    event = taint(call.reader(), refs, tainted=tainted, author=author(call), reason=call.flags["reason"])
    append_operation(call, event)
    if call.json:
        call.out.json(
            {"partitions": refs, "tainted": tainted, "reason": event.taint.reason, "author": event.taint.author}
        )
    elif tainted:
        call.out.line(f"tainted {counted(len(refs), 'partition')}; the next build that needs them makes them again")
    else:
        call.out.line(f"took the mark away from {counted(len(refs), 'partition')}")
    return BUILT
