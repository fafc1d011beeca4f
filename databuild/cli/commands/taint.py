"""`taint REF...`: marks partitions as not to be trusted, or takes the mark away."""

from __future__ import annotations

from collections.abc import Sequence

from databuild.cli.author import author
from databuild.cli.exit_codes import BUILT
from databuild.cli.full_parse import UsageError
from databuild.cli.invocation import Invocation
from databuild.cli.operations import append_operation
from databuild.cli.output import counted
from databuild.cli.partitions import expand, named_commands
from databuild.orchestration.operations import taint


def run(call: Invocation) -> int:
    """Writes the mark."""
    if not call.positionals:
        raise UsageError("taint takes at least one ref", call.command)
    tainted, reason = not call.flags["untaint"], call.flags["reason"]
    refs, who = _mark(call, tainted=tainted, reason=reason)
    if call.json:
        call.out.json({"partitions": refs, "tainted": tainted, "reason": reason, "author": who})
    elif tainted:
        call.out.line(f"tainted {counted(len(refs), 'partition')}; the next build that needs them makes them again")
    else:
        call.out.line(f"took the mark away from {counted(len(refs), 'partition')}")
    return BUILT


def _mark(call: Invocation, *, tainted: bool, reason: str) -> tuple[Sequence[str], str]:
    """Returns the partitions, and who is recorded to have marked them."""
    if call.server:
        with named_commands():
            return call.remote().client.taint(call.positionals, reason=reason, untaint=not tainted)
    refs = expand(call, call.positionals)
    event = taint(call.reader(), refs, tainted=tainted, author=author(call), reason=reason)
    append_operation(call, event)
    return refs, event.taint.author
