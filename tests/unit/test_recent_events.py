"""The newest events of a process are kept within a limit, and only where they follow each other without a gap."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from databuild.event_log.recent_events import RecentEvents
from databuild.event_log.sqlite.log import SqliteEventLog
from databuild.orchestration.events.orchestrator import BuildOrchestrator


def test_events_are_returned_from_any_position_that_is_here() -> None:
    recent = RecentEvents()
    assert recent.after(0, 10) == []

    recent.add(5, [b"4", b"5"])
    recent.add(6, [b"6"])

    assert recent.after(3, 10) == [(4, b"4"), (5, b"5"), (6, b"6")]
    assert recent.after(3, 2) == [(4, b"4"), (5, b"5")]
    assert recent.after(5, 10) == [(6, b"6")]
    assert [recent.after(position, 10) for position in (0, 2, 6, 7)] == [[]] * 4


def test_events_before_those_of_another_process_are_forgotten() -> None:
    recent = RecentEvents()
    recent.add(2, [b"1", b"2"])
    recent.add(5, [b"4", b"5"])

    assert [recent.after(position, 10) for position in (0, 1, 2)] == [[]] * 3
    assert recent.after(3, 10) == [(4, b"4"), (5, b"5")]
    recent.add(6, [b"6"])
    assert recent.after(3, 10) == [(4, b"4"), (5, b"5"), (6, b"6")]


def test_above_the_limit_older_events_are_forgotten_until_half_of_it_is_left() -> None:
    recent = RecentEvents(max_bytes=8)
    recent.add(3, [b"aaa", b"bbb", b"cc"])
    assert len(recent.after(0, 10)) == 3
    recent.add(4, [b"d"])
    assert recent.after(0, 10) == []
    assert recent.after(2, 10) == [(3, b"cc"), (4, b"d")]

    recent.add(5, [b"far too large"])
    assert recent.after(4, 10) == []
    recent.add(6, [b"small"])
    assert recent.after(5, 10) == [(6, b"small")]


async def test_a_follower_of_sqlite_does_not_read_what_its_process_has_written(tmp_path: Path) -> None:
    path = str(tmp_path / "events.db")
    log = SqliteEventLog(path)
    heard: list[object] = []
    await BuildOrchestrator(log, "b0", ["p"]).start_build()
    with contextlib.closing(log.follow()) as before, contextlib.closing(log.reader()) as reader:
        await BuildOrchestrator(log, "b1", ["p"], on_event=heard.append).start_build()
        earlier = len(list(reader.all_events())) - len(heard)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("DELETE FROM events")
            connection.commit()

        assert not list(reader.all_events())
        assert [event for _, event in before.all_events(after_position=earlier)] == heard
        assert not list(before.all_events())
    await log.close()
