"""Adoption of data into the event log of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from databuild.cli.backend.invocation import Invocation
from databuild.event_log.reads import PartitionReads
from databuild.executors.local import LocalExecutor
from databuild.model.build_request_id import new_build_request_id
from databuild.orchestration.maintenance.adoption import AdoptionCounts, adopt, adopt_from, check_produced
from databuild.v1 import events_pb2 as ev


def adopt_here(call: Invocation, refs: list[str], *, author: str, reason: str, force: bool) -> ev.BuildEvent:
    """Adopts partitions in the event log of this machine, and returns the event that records it."""
    return asyncio.run(_adopt(call, refs, author, reason, force=force))


async def _adopt(call: Invocation, refs: list[str], author: str, reason: str, *, force: bool) -> ev.BuildEvent:
    executor = LocalExecutor(base_env=call.job_environ)
    await check_produced(refs, catalog=call.catalog(), executor=executor, working_directory=call.cwd)
    event_log = call.open_event_log()
    try:
        return await adopt(
            refs,
            operation_id=new_build_request_id(),
            author=author,
            reason=reason,
            force=force,
            event_log=event_log,
            executor=executor,
        )
    finally:
        await event_log.close()


def copy_records(
    call: Invocation, source: PartitionReads, selects: Callable[[str], bool], *, author: str, reason: str
) -> AdoptionCounts:
    """Adopts the partitions of another event log whose refs a function selects."""
    return asyncio.run(_copy(call, source, selects, author, reason))


async def _copy(
    call: Invocation, source: PartitionReads, selects: Callable[[str], bool], author: str, reason: str
) -> AdoptionCounts:
    catalog = call.catalog()
    event_log = call.open_event_log()
    try:
        return await adopt_from(
            source,
            selected=selects,
            new_operation_id=new_build_request_id,
            author=author,
            reason=reason,
            force=call.flags["force"],
            catalog=catalog,
            event_log=event_log,
            executor=LocalExecutor(base_env=call.job_environ),
            working_directory=call.cwd,
        )
    finally:
        await event_log.close()
