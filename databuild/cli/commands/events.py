"""`events`: prints events of a build (`[BUILD]`) or of all builds (`--all`), compares two builds, or checks the log."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.event_text import canonical, event_json, event_line
from databuild.cli.display.formats import counted
from databuild.cli.flags.exit_codes import BUILT, JOB_FAILED
from databuild.cli.flags.near_form import near_form
from databuild.cli.flags.usage_error import UsageError
from databuild.errors import BuildNotFoundError, BuildPrunedError
from databuild.model.lifecycle import BUILD_ENDS
from databuild.model.paging import read_rows
from databuild.orchestration.coordination.build_ids import LATEST

if TYPE_CHECKING:
    from databuild.cli.backend.backend import EventLogQueries
    from databuild.model.records import BuildRecord
    from databuild.v1 import events_pb2 as ev


def run(call: Invocation) -> int:
    if call.flags["all"]:
        return _print_all(call)
    if call.positionals[:1] == ["diff"]:
        return _print_differences(call)
    if call.positionals[:1] == ["verify"]:
        return _verify(call)
    if len(call.positionals) > 1:
        hint = near_form(call.command, call.positionals[0]) or "`diff` takes two, and `verify` any number"
        raise UsageError(f"events takes one BUILD, not {len(call.positionals)}; {hint}", call.command)
    return _print_events(call)


def _print_events(call: Invocation) -> int:
    backend = call.backend()
    try:
        build_request_id = _find_build(backend, *call.positionals).build_request_id
    except BuildNotFoundError as error:
        text = error.build_request_id
        if not error.candidates and (hint := near_form(call.command, text)):
            raise UsageError(f"there is no build {text!r}; {hint}", call.command) from None
        raise
    after, follow = call.flags["after"], call.flags["follow"]
    ended = False
    for event in _followed(call, build_request_id, after) if follow else _events(backend, build_request_id, after):
        if call.json:
            call.out.line(json.dumps(event_json(event), ensure_ascii=False))
        else:
            call.out.line(event_line(event))
        ended = event.build_request.status in BUILD_ENDS
        if call.out.closed:  # as by `events | head`
            break
    if follow and not ended and (fault := backend.dead_build_message(build_request_id)):
        call.err.line(f"databuild: {fault}")
    return BUILT


def _print_all(call: Invocation) -> int:
    """Prints the events of all builds in the order of the log, each with its position, after which to resume."""
    if call.positionals:
        raise UsageError("--all prints the events of all builds; give no BUILD beside it", call.command)
    for position, event in call.backend().all_events(call.flags["after"], follow=call.flags["follow"]):
        if call.json:
            call.out.line(json.dumps({"position": position, "event": event_json(event)}, ensure_ascii=False))
        else:
            call.out.line(f"{position:>8} {event.build_request_id} {event_line(event)}")
        if call.out.closed:
            break
    return BUILT


def _print_differences(call: Invocation) -> int:
    if len(call.positionals) != 3:
        raise UsageError(f"events diff takes two BUILDs, not {len(call.positionals) - 1}", call.command)
    backend = call.backend()
    builds = [_find_build(backend, text).build_request_id for text in call.positionals[1:]]
    first, second = (canonical(_events(backend, build, 0)) for build in builds)
    # Without context (n=0): in sorted lists, neighbours have nothing to do with each other.
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
    verification = call.backend().verify(call.positionals[1:])
    extent = f"{counted(verification.events, 'event')} of {counted(verification.builds, 'build')}"
    if call.json:
        call.out.json(verification)
    elif verification.faults:
        for fault in verification.reported:
            call.out.line(fault.message)
        if verification.faults > len(verification.reported):
            call.out.line(f"and {verification.faults - len(verification.reported)} more")
        call.out.line(f"{counted(verification.faults, 'fault')} in {extent}")
    else:
        call.out.line(f"verified {extent}")
    return JOB_FAILED if verification.faults else BUILT


def _find_build(backend: EventLogQueries, text: str = LATEST) -> BuildRecord:
    """Returns the build that a text names.

    Raises:
        BuildNotFoundError: The text names no build, or several.
        BuildPrunedError: The build was pruned, so that it has no events.
    """
    build = backend.find_build(text)
    if build.pruned_time:
        raise BuildPrunedError(build.build_request_id, "its events are not kept any more")
    return build


def _events(backend: EventLogQueries, build_request_id: str, after: int) -> Iterator[ev.BuildEvent]:
    return read_rows(
        lambda last, limit: backend.records.events(build_request_id, after_sequence=last, limit=limit),
        key=lambda event: event.sequence,
        start=after,
    )


def _followed(call: Invocation, build_request_id: str, after: int) -> Iterator[ev.BuildEvent]:
    """Yields the events of a build, and new ones as they are recorded."""
    for event in call.backend().watch(build_request_id, after):
        yield event
        call.out.flush()  # the reader of a pipe sees each event without delay
