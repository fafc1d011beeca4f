"""`taint REF...`: taints partitions, so that the next build rebuilds them, or removes their taint."""

from __future__ import annotations

from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.formats import counted, rebuild_text
from databuild.cli.flags.exit_codes import BUILT
from databuild.cli.flags.usage_error import UsageError


def run(call: Invocation) -> int:
    if not call.positionals:
        raise UsageError("taint takes at least one REF", call.command)
    tainted, reason = not call.flags["untaint"], call.flags["reason"]
    refs, author = call.backend().taint(
        call.positionals, tainted=tainted, reason=reason, downstream=call.flags["downstream"]
    )
    if call.json:
        call.out.json({"partitions": refs, "tainted": tainted, "reason": reason, "author": author})
    elif tainted:
        call.out.line(f"tainted {counted(len(refs), 'partition')}; {rebuild_text(len(refs))}")
    else:
        call.out.line(f"removed the taint of {counted(len(refs), 'partition')}")
    return BUILT
