"""`export --since` finds the position of a time by bisection."""

from __future__ import annotations

import pytest

from databuild.cli.commands.export import position_at
from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log
from databuild.v1 import events_pb2 as ev


async def log_with(*times: int) -> EventLog:
    log = open_event_log("memory:")
    for number, seconds in enumerate(times):
        build = f"b{number}"
        event = ev.BuildEvent(event_id=f"{build}/1", build_request_id=build, sequence=1)
        event.build_request.status = ev.BUILD_STATUS_RECEIVED
        event.time.FromSeconds(seconds)
        await log.append([event])
    return log


@pytest.mark.parametrize("count", [0, 1, 2, 5, 16, 33])
async def test_the_events_after_the_position_are_those_since_the_time(count: int) -> None:
    times = [100 + number // 2 * 10 for number in range(count)]
    log = await log_with(*times)
    reader = log.reader()

    for since in (0, 100, 101, 115, 130, 1000):
        after = reader.all_events(after_position=position_at(reader, since))
        assert [event.time.ToSeconds() for _, event in after] == [time for time in times if time >= since]
    await log.close()
