"""Every event log keeps the cursors of exporters, each with one holder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from databuild.event_log.cursors import Cursor, Cursors
from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log
from tests.contract.builds import begin
from tests.support.stores import Store


@pytest.fixture
def cursors(log: EventLog) -> Iterator[Cursors]:
    with contextlib.closing(log.cursors()) as opened:
        yield opened


async def test_a_new_cursor_begins_at_the_end_of_the_log(log: EventLog, cursors: Cursors) -> None:
    assert cursors.take("empty", "me", 60) == 0
    await begin(log, "b1", "p")
    [*_, (last, _)] = log.reader().all_events()
    assert cursors.take("later", "me", 60) == last
    assert cursors.take("empty", "me", 60) == 0
    assert cursors.all() == [Cursor("empty", 0, "me"), Cursor("later", last, "me")]


def test_a_cursor_has_one_holder_until_it_is_released(cursors: Cursors) -> None:
    assert cursors.take("x", "one", 60) == 0
    assert cursors.take("x", "two", 60) is None
    assert not cursors.advance("x", "two", 7, 60)
    cursors.release("x", "two")
    assert cursors.take("x", "two", 60) is None
    assert cursors.advance("x", "one", 5, 60)
    assert cursors.take("x", "one", 60) == 5
    cursors.release("x", "one")
    assert cursors.all() == [Cursor("x", 5, "")]
    assert cursors.take("x", "two", 60) == 5
    assert not cursors.advance("x", "one", 9, 60)
    assert cursors.all() == [Cursor("x", 5, "two")]


async def test_a_hold_expires_by_the_clock_of_the_store(store: Store) -> None:
    now = 1000.0
    log = open_event_log(store.uri, clock=lambda: now)
    with contextlib.closing(log.cursors()) as cursors:
        assert cursors.take("x", "one", 60) == 0
        now = 1059.0
        assert cursors.take("x", "two", 60) is None
        assert cursors.advance("x", "one", 3, 60)
        now = 1118.0
        assert cursors.take("x", "two", 60) is None
        now = 1119.0
        assert cursors.all() == [Cursor("x", 3, "")]
        assert cursors.take("x", "two", 60) == 3
    await log.close()


async def test_cursors_survive_the_process(store: Store) -> None:
    log = open_event_log(store.uri)
    with contextlib.closing(log.cursors()) as cursors:
        cursors.take("x", "one", 0)
        cursors.advance("x", "one", 12, 0)
    await log.close()
    again = open_event_log(store.uri)
    with contextlib.closing(again.cursors()) as cursors:
        assert cursors.take("x", "two", 60) == 12
    await again.close()
