"""Every event log keeps the cursors of exporters, each with one holder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from databuild.event_log.cursors import Checkpoint, Cursor, Cursors
from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log
from tests.support.step_builds import begin
from tests.support.stores import Store


@pytest.fixture
def cursors(log: EventLog) -> Iterator[Cursors]:
    with contextlib.closing(log.cursors()) as opened:
        yield opened


async def test_a_new_cursor_begins_at_the_end_of_the_log(log: EventLog, cursors: Cursors) -> None:
    assert cursors.take("empty", "me", 60) == Checkpoint(0)
    await begin(log, "b1", "p")
    [*_, (last, _)] = log.reader().all_events()
    assert cursors.take("later", "me", 60) == Checkpoint(last)
    assert cursors.take("empty", "me", 60) == Checkpoint(0)
    assert cursors.all() == [Cursor("empty", 0, "me"), Cursor("later", last, "me")]


def test_a_cursor_has_one_holder_until_it_is_released(cursors: Cursors) -> None:
    assert cursors.take("x", "one", 60) == Checkpoint(0)
    assert cursors.take("x", "two", 60) is None
    assert not cursors.advance("x", "two", 0, 7, seconds=60)
    cursors.release("x", "two")
    assert cursors.take("x", "two", 60) is None
    assert cursors.advance("x", "one", 0, 5, seconds=60)
    assert cursors.take("x", "one", 60) == Checkpoint(5)
    cursors.release("x", "one")
    assert cursors.all() == [Cursor("x", 5, "")]
    assert cursors.take("x", "two", 60) == Checkpoint(5)
    assert not cursors.advance("x", "one", 5, 9, seconds=60)
    assert cursors.all() == [Cursor("x", 5, "two")]


def test_an_exporter_keeps_a_state_with_its_position(cursors: Cursors) -> None:
    cursors.take("x", "one", 60)
    assert cursors.advance("x", "one", 0, 5, '{"counts": 3}', seconds=60)
    assert cursors.take("x", "one", 60) == Checkpoint(5, '{"counts": 3}')


def test_a_cursor_that_was_moved_is_not_advanced_from_where_it_was(cursors: Cursors) -> None:
    cursors.take("x", "one", 60)
    cursors.advance("x", "one", 0, 8, "kept", seconds=60)
    cursors.move("x", 3)
    cursors.move("new", 4)
    assert not cursors.advance("x", "one", 8, 9, seconds=60)
    assert cursors.take("x", "one", 60) == Checkpoint(3, "kept")
    assert cursors.take("new", "two", 60) == Checkpoint(4)


async def test_a_hold_expires_by_the_clock_of_the_store(store: Store) -> None:
    now = 1000.0
    log = open_event_log(store.uri, clock=lambda: now)
    with contextlib.closing(log.cursors()) as cursors:
        assert cursors.take("x", "one", 60) == Checkpoint(0)
        now = 1059.0
        assert cursors.take("x", "two", 60) is None
        assert cursors.advance("x", "one", 0, 3, seconds=60)
        now = 1118.0
        assert cursors.take("x", "two", 60) is None
        now = 1119.0
        assert cursors.all() == [Cursor("x", 3, "")]
        assert cursors.take("x", "two", 60) == Checkpoint(3)
    await log.close()


async def test_cursors_survive_the_process(store: Store) -> None:
    log = open_event_log(store.uri)
    with contextlib.closing(log.cursors()) as cursors:
        cursors.take("x", "one", 0)
        cursors.advance("x", "one", 0, 12, seconds=0)
    await log.close()
    again = open_event_log(store.uri)
    with contextlib.closing(again.cursors()) as cursors:
        assert cursors.take("x", "two", 60) == Checkpoint(12)
    await again.close()
