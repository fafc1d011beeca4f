"""Forgetting, deleting and cleaning in the event log and the stores of this machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from databuild.cli.backend.invocation import Invocation
from databuild.cli.backend.log_stores import storages
from databuild.cli.backend.requested_partitions import expand
from databuild.event_log.log import EventLog
from databuild.event_log.open import EnvironmentLogs
from databuild.executors.local import LocalExecutor
from databuild.model.removal import Cleaning, CleanOptions, Deletion, Forgotten
from databuild.orchestration.stores.cleaning import Cleaner
from databuild.orchestration.stores.removal import Removals
from databuild.orchestration.stores.selection import Selection
from databuild.user import user_name

_T = TypeVar("_T")


def forget(call: Invocation, texts: Sequence[str], *, author: str, reason: str) -> Forgotten:
    """Makes the event log forget the data of partitions."""
    author = author or user_name(call.environ)
    selection = _selection(call, texts)
    if _has_no_records(call):
        return Forgotten((), author, ())
    return _run(call, lambda _, removals: removals.forget(selection, author=author, reason=reason))


def delete(
    call: Invocation, texts: Sequence[str], *, author: str, reason: str, force: bool, dry_run: bool
) -> Iterator[Deletion]:
    """Deletes the data of partitions, and yields the result of each part when it is done."""
    author = author or user_name(call.environ)
    selection = _selection(call, texts)
    if _has_no_records(call):
        yield Deletion(author="" if dry_run else author)
        return
    after, more = "", True
    while more:
        part = _run(
            call,
            lambda _, removals, after=after: removals.delete_part(  # type: ignore[misc]
                selection, author=author, reason=reason, force=force, dry_run=dry_run, after=after
            ),
        )
        yield part
        after = part.next_after
        more = bool(after)


def clean(call: Invocation, options: CleanOptions, *, author: str) -> Cleaning:
    """Deletes data that is older than the retention of its job, and what job runs left behind."""
    author = author or user_name(call.environ)

    def run(event_log: EventLog, removals: Removals) -> Awaitable[Cleaning]:
        return Cleaner(event_log, call.catalog(), removals, clock=call.clock).clean(options, author=author)

    return Cleaning() if _has_no_records(call) else _run(call, run)


def _has_no_records(call: Invocation) -> bool:
    """Returns True if there is nothing to remove, so that no event log is created to find that out."""
    if call.event_log_uri == "memory:":
        return True
    with contextlib.closing(call.open_reader()) as reader:
        return not reader.builds(limit=1) and not reader.partition_counts()


def _selection(call: Invocation, texts: Sequence[str]) -> Selection:
    return Selection(texts, lambda some: expand(call, some))


def _run(call: Invocation, action: Callable[[EventLog, Removals], Awaitable[_T]]) -> _T:
    async def run() -> _T:
        event_log = call.open_event_log()
        try:
            return await action(event_log, _removals(call, event_log))
        finally:
            await event_log.close()

    return asyncio.run(run())


def _removals(call: Invocation, event_log: EventLog) -> Removals:
    return Removals(
        event_log,
        LocalExecutor(base_env=call.job_environ),
        storages(call),
        produced=call.catalog().may_produce,
        protected=(call.state_dir, call.workspace, call.cwd, call.runfiles, str(Path.home())),
        clock=call.clock,
        environments=EnvironmentLogs(call.event_log_uri),
    )
