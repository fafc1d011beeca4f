"""`events [BUILD]`: the events of a build; `diff A B`: how those of two differ; `verify`: whether the log is whole."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from databuild.cli.event_text import canonical, event_json, event_line
from databuild.cli.exit_codes import BUILT, JOB_FAILED
from databuild.cli.full_parse import UsageError
from databuild.cli.invocation import Invocation
from databuild.cli.output import counted
from databuild.errors import BuildPrunedError
from databuild.model.lifecycle import BUILD_ENDS
from databuild.orchestration.build_ids import LATEST, find_build

if TYPE_CHECKING:
    from databuild.event_log.reads import BuildReads
    from databuild.model.records import BuildRecord
    from databuild.v1 import events_pb2 as ev

_PAGE = 1000


def run(call: Invocation) -> int:
    """Prints events, or compares them."""
    if call.positionals[:1] == ["diff"]:
        return _diff(call)
    if call.positionals[:1] == ["verify"]:
        return _verify(call)
    if len(call.positionals) > 1:
        raise UsageError("events takes one build; `diff A B` takes two, and `verify` any number", call.command)
    reader = call.reader()
    build_request_id = _find(reader, *call.positionals).build_request_id
    after, following = call.flags["after"], call.flags["follow"]
    ended = False
    for event in _followed(call, build_request_id, after) if following else _events(reader, build_request_id, after):
        if call.json:
            _print_json_line(call, event)
        else:
            call.out.line(event_line(event))
        ended = event.build_request.status in BUILD_ENDS
        if call.out.closed:
            break
    if following and not ended and (fault := call.facts().death_of(build_request_id)):
        call.err.line(f"databuild: {fault}")
    return BUILT


def _diff(call: Invocation) -> int:
    if len(call.positionals) != 3:
        raise UsageError("events diff takes two builds", call.command)
    reader = call.reader()
    builds = [_find(reader, text).build_request_id for text in call.positionals[1:]]
    first, second = (canonical(_events(reader, build, 0)) for build in builds)
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
    from databuild.event_log.verify import verify

    if call.server:
        raise UsageError("events verify reads the event log itself, which a service does not give away", call.command)
    reader = call.reader()
    builds = [find_build(reader, text).build_request_id for text in call.positionals[1:]]
    found = verify(reader, builds)
    extent = f"{counted(found.events, 'event')} of {counted(found.builds, 'build')}"
    if call.json:
        call.out.json(found)
    elif found.faults:
        for fault in found.told:
            call.out.line(fault.message)
        if found.faults > len(found.told):
            call.out.line(f"and {found.faults - len(found.told)} more")
        call.out.line(f"{counted(found.faults, 'fault')} in {extent}")
    else:
        call.out.line(f"verified {extent}")
    return JOB_FAILED if found.faults else BUILT


def _find(reader: BuildReads, text: str = LATEST) -> BuildRecord:
    """Returns the build that a text means, which has events.

    Raises:
        BuildNotFoundError: It means none, or may mean several.
        BuildPrunedError: They were pruned.
    """
    build = find_build(reader, text)
    if build.pruned_time:
        raise BuildPrunedError(build.build_request_id, "its events are not kept any more")
    return build


def _events(reader: BuildReads, build_request_id: str, after: int) -> Iterator[ev.BuildEvent]:
    while page := reader.events(build_request_id, after_sequence=after, limit=_PAGE):
        yield from page
        after = page[-1].sequence


def _followed(call: Invocation, build_request_id: str, after: int) -> Iterator[ev.BuildEvent]:
    """Yields the events of a build as they come; what was printed of each is handed over before the next."""
    for event in call.facts().watch(build_request_id, after):
        yield event
        call.out.flush()


def _print_json_line(call: Invocation, event: ev.BuildEvent) -> None:
    import json

    call.out.line(json.dumps(event_json(event), ensure_ascii=False))
