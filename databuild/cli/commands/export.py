"""`export`: sends events that exporters have not sent yet, or sends events again."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import re
from typing import TYPE_CHECKING, Final

from databuild.cli.backend.exporting import export_set, open_exporters
from databuild.cli.backend.invocation import Invocation
from databuild.cli.commands.prune import parse_duration
from databuild.cli.display.formats import counted
from databuild.cli.flags.exit_codes import BUILT, OUR_FAILURE
from databuild.cli.flags.usage_error import UsageError
from databuild.errors import BuildPrunedError, InvalidRequestError
from databuild.orchestration.coordination.build_ids import find_build

if TYPE_CHECKING:
    from databuild.event_log.reads import LogFeed, Reader

_DURATION: Final = re.compile(r"(\d+[wdhms])+")
_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}.*")


def run(call: Invocation) -> int:
    if call.positionals:
        raise UsageError(f"export takes only flags, not {call.positionals[0]!r}", call.command)
    exporters = open_exporters(call, call.environment)
    if not exporters:
        raise UsageError("no exporter is configured; give --exporter=URI or --notify=URL", call.command)
    event_log = call.open_event_log()
    if call.flags["since"] is not None:
        with contextlib.closing(event_log.reader()) as reader:
            position = _position_before(reader, call.flags["since"], call.clock())
        with contextlib.closing(event_log.cursors()) as cursors:
            for exporter in exporters:
                cursors.move(exporter.name, position)
    exports = export_set(call, event_log, exporters)
    exports.start()
    complete = exports.catch_up(call.flags["exporter_seconds"])
    asyncio.run(event_log.close())
    if call.json:
        sent = [{"exporter": name, "events": count} for name, count in exports.handled.items()]
        call.out.json({"complete": complete, "exporters": sent})
    else:
        for name, count in exports.handled.items():
            call.out.line(f"{name}: {counted(count, 'event')}")
    return BUILT if complete else OUR_FAILURE


def _position_before(reader: Reader, text: str, now: float) -> int:
    """Returns the position after which events are sent again.

    Raises:
        InvalidRequestError: The text is neither a time nor a duration nor a build.
        BuildNotFoundError: There is no such build.
        BuildPrunedError: The events of the build have been pruned.
    """
    if _DURATION.fullmatch(text):
        return position_at(reader, now - parse_duration(text, "since"))
    if _TIME.fullmatch(text):
        return position_at(reader, _seconds(text))
    build = find_build(reader, text).build_request_id
    position = reader.first_position(build)
    if position is None:
        raise BuildPrunedError(build, "its events are not kept any more")
    return position - 1


def _seconds(text: str) -> float:
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequestError(f"--since={text} is no time; write it as 2013-01-01T08:00:00Z") from None
    return (time if time.tzinfo else time.replace(tzinfo=dt.UTC)).timestamp()


def position_at(log: LogFeed, seconds: float) -> int:
    """Returns the position of the last event before a time, by bisection: the times of a log are almost in order."""

    def begins_later(position: int) -> bool:
        following = next(iter(log.all_events(after_position=position, limit=1)), None)
        return following is None or following[1].time.ToNanoseconds() >= seconds * 1e9

    low, high = 0, 1
    while not begins_later(high):
        low, high = high, high * 2
    if begins_later(0):
        return 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if begins_later(middle) else (middle, high)
    return high
