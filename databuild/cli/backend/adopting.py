"""`partitions adopt REF...`: makes data known that was not built here, so that builds use it as it is.

`partitions adopt --from=STATE_DIR [PATTERN...]` takes over what another state directory knows.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from databuild.cli.backend.invocation import Invocation
from databuild.cli.backend.other_states import EVENT_LOG
from databuild.cli.backend.requested_partitions import expand
from databuild.cli.display.output import counted
from databuild.cli.flags.exit_codes import BUILT
from databuild.cli.flags.full_parse import UsageError
from databuild.errors import InvalidRequestError
from databuild.event_log.open import open_reader
from databuild.event_log.reads import PartitionReads
from databuild.executors.local import LocalExecutor
from databuild.graph.patterns import PartitionPattern
from databuild.model.build_request_id import new_build_request_id
from databuild.orchestration.maintenance.adoption import AdoptionCounts, adopt, adopt_from, record_pages
from databuild.user import user_name
from databuild.v1 import events_pb2 as ev


def run(call: Invocation) -> int:
    """Writes the adoption."""
    texts = call.positionals[1:]
    author = call.flags["author"].strip()
    reason = call.flags["reason"].strip()
    if call.flags["from"] is not None:
        return _take_over(call, texts, author or user_name(call.environ), reason)
    if not texts:
        message = "partitions adopt takes at least one ref (and `partitions adopt/` lists what begins with that)"
        raise UsageError(message, call.command)
    if not reason:
        message = "partitions adopt takes --reason=TEXT: who uses the data later wants to know where it comes from"
        raise UsageError(message, call.command)
    adoption = call.backend().adopt(texts, author=author, reason=reason, force=call.flags["force"])
    if call.json:
        facts = {"operation_id": adoption.operation_id, "author": adoption.author, "reason": reason}
        call.out.json({"partitions": adoption.partitions, "version": adoption.version, **facts})
    else:
        call.out.line(f"adopted {counted(len(adoption.partitions), 'partition')}; builds use them as they are")
    return BUILT


def adopt_here(call: Invocation, refs: list[str], *, author: str, reason: str, force: bool) -> ev.BuildEvent:
    """Adopts partitions in the event log of this machine, and returns the event."""
    return asyncio.run(_adopt(call, refs, author, reason, force=force))


async def _adopt(call: Invocation, refs: list[str], author: str, reason: str, *, force: bool) -> ev.BuildEvent:
    catalog = call.catalog()
    event_log = call.open_event_log()
    try:
        return await adopt(
            refs,
            operation_id=new_build_request_id(),
            author=author,
            reason=reason,
            force=force,
            catalog=catalog,
            event_log=event_log,
            executor=LocalExecutor(base_env=call.job_environ),
            working_directory=call.cwd,
        )
    finally:
        await event_log.close()


def _take_over(call: Invocation, texts: list[str], who: str, reason: str) -> int:
    folder = _source(call)
    reason = reason or f"taken over from {folder}"
    wanted = _wanted(call, texts)
    source = open_reader(f"sqlite:{folder / EVENT_LOG}")
    try:
        if not any(record_pages(source, wanted)):  # before anything is opened for writing, and made
            what = f"no partition of {', '.join(texts)}" if texts else "no partition"
            message = f"{folder} knows {what}; `partitions --state_dir={folder}` lists those that it knows"
            raise InvalidRequestError(message)
        result = asyncio.run(_write(call, source, wanted, who, reason))
    finally:
        source.close()
    if call.json:
        call.out.json({"from": str(folder), "author": who, "reason": reason, **result._asdict()})
    else:
        _print(call, result, folder)
    return BUILT


def _source(call: Invocation) -> Path:
    """Returns the state directory that --from names.

    Raises:
        InvalidRequestError: It is none, or the one that is written to.
    """
    told = call.flags["from"]
    folder = Path(call.path(told))
    if not (folder / EVENT_LOG).is_file():
        message = (
            f"--from={told}: there is no {EVENT_LOG} in {folder}; a state directory is needed, as .databuild/GRAPH"
        )
        raise InvalidRequestError(message)
    scheme, _, path = call.event_log_uri.partition(":")
    if scheme == "sqlite" and os.path.exists(path) and (folder / EVENT_LOG).samefile(path):  # noqa: PTH110
        raise InvalidRequestError(f"--from={told} is the state directory that would be written to; name another one")
    if scheme == "memory":
        raise InvalidRequestError("--event_log=memory: ends with this command; leave it out to take records over")
    return folder


def _wanted(call: Invocation, texts: list[str]) -> Callable[[str], bool]:
    """Returns whether a ref is of some text: a pattern with fields, a ref or a range; without any, every ref is.

    Raises:
        InvalidRequestError: A text is none of these.
    """
    if not texts:
        return lambda _: True
    patterns = [PartitionPattern(text) for text in texts if "{" in text]
    refs = frozenset(expand(call, [text for text in texts if "{" not in text]))
    return lambda ref: ref in refs or any(pattern.match(ref) is not None for pattern in patterns)


async def _write(
    call: Invocation, source: PartitionReads, wanted: Callable[[str], bool], who: str, reason: str
) -> AdoptionCounts:
    catalog = call.catalog()
    event_log = call.open_event_log()
    try:
        return await adopt_from(
            source,
            selected=wanted,
            new_operation_id=new_build_request_id,
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


def _print(call: Invocation, result: AdoptionCounts, folder: Path) -> None:
    call.out.line(f"took over {counted(result.adopted, 'partition')} from {folder}; builds judge them as if built here")
    for number, why in (
        (result.already_available, "available here already, or about to be: --force takes them over as well"),
        (result.not_available, "without data there that may be trusted"),
        (result.not_produced, "produced by no job of this graph"),
    ):
        if number:
            call.out.line(f"  left out {counted(number, 'partition')} {why}")
