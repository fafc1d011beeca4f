"""`partitions adopt REF...`: makes data known that was not built here, so that builds use it as it is."""

from __future__ import annotations

import asyncio

from databuild.cli.author import author
from databuild.cli.exit_codes import BUILT
from databuild.cli.full_parse import UsageError
from databuild.cli.invocation import Invocation
from databuild.cli.output import counted
from databuild.cli.partitions import expand
from databuild.executors.local import LocalExecutor
from databuild.orchestration.adoption import adopt
from databuild.orchestration.ids import new_build_request_id
from databuild.v1 import events_pb2 as ev


def run(call: Invocation) -> int:
    """Writes the adoption."""
    texts = call.positionals[1:]
    if not texts:
        message = "partitions adopt takes at least one ref (and `partitions adopt/` lists what begins with that)"
        raise UsageError(message, call.command)
    reason = call.flags["reason"].strip()
    if not reason:
        message = "partitions adopt takes --reason=TEXT: who uses the data later wants to know where it comes from"
        raise UsageError(message, call.command)
    refs = expand(call, texts)
    who = call.flags["author"].strip() or author(call)
    event = asyncio.run(_adopt(call, refs, who, reason))
    if call.json:
        adoption = {"operation_id": event.build_request_id, "author": who, "reason": reason}
        call.out.json({"partitions": refs, "version": event.event_id, **adoption})
    else:
        call.out.line(f"adopted {counted(len(refs), 'partition')}; builds use them as they are")
    return BUILT


async def _adopt(call: Invocation, refs: list[str], who: str, reason: str) -> ev.BuildEvent:
    catalog = call.catalog()
    event_log = call.open_event_log()
    try:
        return await adopt(
            refs,
            operation_id=new_build_request_id(),
            author=who,
            reason=reason,
            force=call.flags["force"],
            catalog=catalog,
            event_log=event_log,
            executor=LocalExecutor(base_env=call.job_environ),
            working_directory=call.cwd,
        )
    finally:
        await event_log.close()
