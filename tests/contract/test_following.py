"""A follower gets every event of a log in order, also those that its own process has just written."""

from __future__ import annotations

import contextlib

import pytest

from databuild.errors import InvalidStateTransitionError
from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log
from databuild.event_log.reads import Reader
from databuild.model.results import Success
from databuild.v1 import events_pb2 as ev
from tests.support.step_builds import begin, produce
from tests.support.stores import Store


def check_same(follower: Reader, reader: Reader) -> None:
    """Checks that a follower gets from each position on what a reader gets."""
    everything = list(reader.all_events())
    positions = [0, *(position for position, _ in everything)]
    for start, position in enumerate(positions):
        assert list(follower.all_events(after_position=position)) == everything[start:]
        assert list(follower.all_events(after_position=position, limit=2)) == everything[start : start + 2]


async def test_a_follower_gets_what_a_reader_gets(log: EventLog) -> None:
    await begin(log, "b0", "x")
    with contextlib.closing(log.follow()) as follower, contextlib.closing(log.reader()) as reader:
        check_same(follower, reader)
        one = await begin(log, "b1", "p", "q")
        two = await begin(log, "b2", "r")
        check_same(follower, reader)
        await produce(one, 1, "p")
        await produce(two, 1, "r")
        await two.complete_build(Success(jobs_completed=1))
        check_same(follower, reader)
        with contextlib.closing(log.follow()) as later:
            await produce(one, 2, "q")
            check_same(later, reader)


async def test_events_of_other_processes_are_in_their_places(store: Store) -> None:
    here, there = open_event_log(store.uri), open_event_log(store.uri)
    with contextlib.closing(here.follow()) as follower, contextlib.closing(there.reader()) as reader:
        one = await begin(here, "b1", "p", "q")
        two = await begin(there, "b2", "r", "s")
        check_same(follower, reader)
        await produce(one, 1, "p")
        check_same(follower, reader)
        await produce(two, 1, "r")
        await produce(two, 2, "s")
        await produce(one, 2, "q")
        check_same(follower, reader)
    await here.close()
    await there.close()


async def test_a_refused_append_is_not_followed(log: EventLog) -> None:
    illegal = ev.BuildEvent(event_id="bad/1", build_request_id="bad", sequence=1)
    illegal.build_request.status = ev.BUILD_STATUS_EXECUTING
    with contextlib.closing(log.follow()) as follower, contextlib.closing(log.reader()) as reader:
        appended = log.append([illegal])
        await begin(log, "b1", "p")
        with pytest.raises(InvalidStateTransitionError):
            await appended
        check_same(follower, reader)
        assert {event.build_request_id for _, event in follower.all_events()} == {"b1"}


async def test_a_snapshot_of_a_follower_has_no_newer_events(store: Store) -> None:
    log = open_event_log(store.uri)
    with contextlib.closing(log.follow()) as follower:
        await begin(log, "b1", "p")
        with follower.snapshot():
            before = list(follower.all_events())
            await begin(log, "b2", "q")
            assert list(follower.all_events()) == before
        assert len(list(follower.all_events())) > len(before)
    await log.close()
