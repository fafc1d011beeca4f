"""What has become durable is told, and nothing else."""

import asyncio

import pytest

from databuild.errors import EventLogError
from databuild.service.told_event_log import ToldEventLog
from databuild.v1 import events_pb2 as ev


class FakeLog:
    """Appends when the test says so."""

    def __init__(self):
        self.appended = []

    def append(self, _events):
        self.appended.append(asyncio.get_running_loop().create_future())
        return self.appended[-1]


EVENTS = [ev.BuildEvent(build_request_id="b", sequence=number) for number in (1, 2, 3)]


@pytest.fixture
def told():
    return []


async def test_events_are_told_in_order_once_they_are_durable(told):
    fake = FakeLog()
    log = ToldEventLog(fake, told.append)

    written = [log.append(EVENTS[:2]), log.append(EVENTS[2:])]
    await asyncio.sleep(0)
    assert told == []

    for done in fake.appended:
        done.set_result(None)
    await asyncio.gather(*written)
    await asyncio.sleep(0)  # callbacks of what was done already run in the next turn of the loop

    assert told == [EVENTS[:2], EVENTS[2:]]


async def test_nothing_is_told_of_an_append_that_failed_or_held_nothing(told):
    fake = FakeLog()
    log = ToldEventLog(fake, told.append)

    failed, empty = log.append(EVENTS), log.append([])
    fake.appended[0].set_exception(EventLogError("the disk is full"))
    fake.appended[1].set_result(None)

    with pytest.raises(EventLogError):
        await failed
    await empty
    assert told == []
