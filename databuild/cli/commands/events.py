"""`events [BUILD]`: events of a build, or `--all` of the log; `diff A B` compares two; `verify` checks the log."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.event_text import canonical, event_json, event_line
from databuild.cli.display.output import counted
from databuild.cli.flags.exit_codes import BUILT, JOB_FAILED
from databuild.cli.flags.full_parse import UsageError
from databuild.errors import BuildPrunedError
from databuild.model.lifecycle import BUILD_ENDS
from databuild.model.paging import read_rows
from databuild.orchestration.coordination.build_ids import LATEST

if TYPE_CHECKING:
    from databuild.cli.backend.backend import Backend
    from databuild.model.records import BuildRecord
    from databuild.v1 import events_pb2 as ev


def run(call: Invocation) -> int:
    """Prints events, or compares them."""
    if call.flags["all"]:
        return _all(call)
    if call.positionals[:1] == ["diff"]:
        return _diff(call)
    if call.positionals[:1] == ["verify"]:
        return _verify(call)
    if len(call.positionals) > 1:
        raise UsageError("events takes one build; `diff A B` takes two, and `verify` any number", call.command)
    backend = call.backend()
    build_request_id = _find(backend, *call.positionals).build_request_id
    after, following = call.flags["after"], call.flags["follow"]
    ended = False
    for event in _followed(call, build_request_id, after) if following else _events(backend, build_request_id, after):
        if call.json:
            call.out.line(json.dumps(event_json(event), ensure_ascii=False))
        else:
            call.out.line(event_line(event))
        ended = event.build_request.status in BUILD_ENDS
        if call.out.closed:
            break
    if following and not ended and (fault := backend.dead_build_message(build_request_id)):
        call.err.line(f"databuild: {fault}")
    return BUILT


def _all(call: Invocation) -> int:
    """Prints the events of all builds in the order of the log, each with the position after which to resume."""
    if call.positionals:
        raise UsageError("--all prints the events of all builds; name none beside it", call.command)
    for position, event in call.backend().all_events(call.flags["after"], follow=call.flags["follow"]):
        if call.json:
            call.out.line(json.dumps({"position": position, "event": event_json(event)}, ensure_ascii=False))
        else:
            call.out.line(f"{position:>8} {event.build_request_id} {event_line(event)}")
        if call.out.closed:
            break
    return BUILT


def _diff(call: Invocation) -> int:
    if len(call.positionals) != 3:
        raise UsageError("events diff takes two builds", call.command)
    backend = call.backend()
    builds = [_find(backend, text).build_request_id for text in call.positionals[1:]]
    first, second = (canonical(_events(backend, build, 0)) for build in builds)
    lines = [
        line for line in difflib.unified_diff(first, second, builds[0], builds[1], n=0, lineterm="") if line[:2] != "@@"
    ]
    if call.json:
        call.out.json({"builds": builds, "equal": not lines, "differences": lines[2:]})
    elif lines:
        call.out.write("".join(f"{line}\n" for line in lines))
    else:
        call.out.line(f"the events of {builds[0]} and {builds[1]} are equal ({len(first)} events)")
    return JOB_FAILED if lines else BUILT


def _verify(call: Invocation) -> int:
    found = call.backend().verify(call.positionals[1:])
    extent = f"{counted(found.events, 'event')} of {counted(found.builds, 'build')}"
    if call.json:
        call.out.json(found)
    elif found.faults:
        for fault in found.reported:
            call.out.line(fault.message)
        if found.faults > len(found.reported):
            call.out.line(f"and {found.faults - len(found.reported)} more")
        call.out.line(f"{counted(found.faults, 'fault')} in {extent}")
    else:
        call.out.line(f"verified {extent}")
    return JOB_FAILED if found.faults else BUILT


def _find(backend: Backend, text: str = LATEST) -> BuildRecord:
    """Returns the build that a text means, which has events.

    Raises:
        BuildNotFoundError: It means none, or may mean several.
        BuildPrunedError: They were pruned.
    """
    build = backend.find_build(text)
    if build.pruned_time:
        raise BuildPrunedError(build.build_request_id, "its events are not kept any more")
    return build


def _events(backend: Backend, build_request_id: str, after: int) -> Iterator[ev.BuildEvent]:
    return read_rows(
        lambda last, limit: backend.records.events(build_request_id, after_sequence=last, limit=limit),
        key=lambda event: event.sequence,
        start=after,
    )


def _followed(call: Invocation, build_request_id: str, after: int) -> Iterator[ev.BuildEvent]:
    """Yields the events of a build as they come; what was printed of each is handed over before the next."""
    for event in call.backend().watch(build_request_id, after):
        yield event
        call.out.flush()
