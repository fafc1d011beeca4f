"""A follower sends every event of a log in order, once unless something fails, and never loses one."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from databuild.errors import EventLogError
from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log
from databuild.exporters.export_set import ExportSet
from databuild.exporters.exporter import Batch, Delivery
from databuild.exporters.follower import Follower, Step
from databuild.v1 import events_pb2 as ev
from tests.support.fake_exporter import FakeExporter
from tests.support.fake_liveness import FakeLiveness
from tests.support.present import present
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from databuild.event_log.cursors import Checkpoint
    from databuild.event_log.reads import ExportReads


LIVENESS = FakeLiveness()


async def received(log: EventLog, *builds: str) -> list[str]:
    """Appends the first event of builds, and returns the ids of the events."""
    ids = []
    for build in builds:
        event = ev.BuildEvent(event_id=f"{build}/1", build_request_id=build, sequence=1)
        event.build_request.status = ev.BUILD_STATUS_RECEIVED
        await log.append([event])
        ids.append(event.event_id)
    return ids


@pytest.fixture
async def log() -> AsyncIterator[EventLog]:
    opened = open_event_log("memory:")
    yield opened
    await opened.close()


async def test_events_are_sent_in_order_from_the_first_use_on(log: EventLog) -> None:
    await received(log, "b0")
    exporter = FakeExporter(limit=2)
    follower = Follower(log, exporter, warn=pytest.fail, liveness=LIVENESS)
    assert follower.step() is Step.CAUGHT_UP
    ids = await received(log, "b3", "b1", "b2")
    assert [follower.step() for _ in range(3)] == [Step.SENT, Step.SENT, Step.CAUGHT_UP]
    assert exporter.sent == ids
    assert exporter.states == ["", "state 2"]


async def test_a_cursor_that_is_moved_sends_again_from_there(log: EventLog) -> None:
    exporter = FakeExporter()
    follower = Follower(log, exporter, warn=pytest.fail, liveness=LIVENESS)
    follower.step()
    ids = await received(log, "b1", "b2", "b3")
    assert (follower.step(), follower.handled) == (Step.SENT, 3)
    position = present(log.reader().first_position("b2"))
    with contextlib.closing(log.cursors()) as cursors:
        cursors.move("fake:", position - 1)
    assert (follower.step(), follower.handled) == (Step.SENT, 5)
    assert exporter.sent == [*ids, *ids[1:]]
    assert exporter.states == ["", "state 3"]
    assert log.reader().first_position("b4") is None


async def test_a_receiver_that_fails_gets_the_events_later_and_is_reported_once(log: EventLog) -> None:
    said: list[str] = []
    exporter = FakeExporter()
    follower = Follower(log, exporter, warn=said.append, liveness=LIVENESS)
    follower.step()
    ids = await received(log, "b1")
    exporter.fault = "it does not answer"
    pauses = []
    for _ in range(9):
        assert follower.step() is Step.FAILED
        pauses.append(follower.pause)
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert said == ["events could not be sent to fake:: it does not answer; they will be sent later"]
    exporter.fault = ""
    assert follower.step() is Step.SENT
    assert exporter.sent == ids
    exporter.fault = "it does not answer"
    await received(log, "b2")
    assert follower.step() is Step.FAILED
    assert (follower.pause, len(said)) == (0.5, 2)


async def test_an_exporter_with_a_bug_has_not_sent_everything(log: EventLog) -> None:
    class Faulty(FakeExporter):
        def send(self, batch: Batch, reads: ExportReads) -> Delivery:
            raise KeyError("build")

    said: list[str] = []
    exporter = Faulty()
    follower = Follower(log, exporter, warn=said.append, liveness=LIVENESS)
    follower.start()
    await received(log, "b1")
    assert not await asyncio.to_thread(follower.stop, 30)
    assert said == ["fake: stopped after an internal error: KeyError: 'build'; the next process sends what is left"]
    assert (follower.fault, exporter.closed) == ("KeyError: 'build'", True)
    follower = Follower(log, FakeExporter(), warn=pytest.fail, liveness=LIVENESS)
    assert follower.step() is Step.SENT


async def test_refused_events_are_left_out_and_counted(log: EventLog) -> None:
    said: list[str] = []
    exporter = FakeExporter()
    exporter.refusals = ["status 404"]
    follower = Follower(log, exporter, warn=said.append, liveness=LIVENESS)
    follower.step()
    await received(log, "b1")
    assert (follower.step(), follower.refused) == (Step.SENT, 1)
    assert said == ["the receiver of fake: refused a request, which is left out: status 404"]


async def test_refusals_for_the_same_reason_are_reported_together_once_a_minute(log: EventLog) -> None:
    said: list[str] = []
    now = 1000.0
    exporter = FakeExporter()
    follower = Follower(log, exporter, warn=said.append, liveness=LIVENESS, clock=lambda: now)
    follower.step()
    exporter.refusals = ["status 401"] * 2
    await received(log, "b1")
    follower.step()
    exporter.refusals = ["status 401"] * 1_500 + [f"status 40{number}" for number in range(2, 8)]
    await received(log, "b2")
    follower.step()
    assert said == ["the receiver of fake: refused 2 requests, which are left out: status 401"]

    now += 60.0
    exporter.refusals = ["status 401"]
    await received(log, "b3")
    follower.step()

    assert follower.refused == 1_509
    assert said[1:] == [
        "the receiver of fake: refused 1,501 requests, which are left out: status 401",
        *(f"the receiver of fake: refused a request, which is left out: status 40{number}" for number in range(2, 6)),
        "the receiver of fake: refused further requests for other reasons: 2",
    ]


async def test_the_end_reports_the_refusals_that_were_not_reported_yet(log: EventLog) -> None:
    said: list[str] = []
    exporter = FakeExporter(limit=1)
    exporter.refusals = ["status 401"]
    exports = ExportSet(log, [exporter], warn=said.append, liveness=LIVENESS)
    exports.start()
    await received(log, "b1", "b2", "b3")
    assert not exports.stop(60.0)
    assert said == [
        "the receiver of fake: refused a request, which is left out: status 401",
        "the receiver of fake: refused 2 requests, which are left out: status 401",
    ]


async def test_one_of_several_processes_sends(log: EventLog) -> None:
    one, two = FakeExporter(), FakeExporter()
    first, second = (
        Follower(log, one, warn=pytest.fail, liveness=LIVENESS),
        Follower(log, two, warn=pytest.fail, liveness=LIVENESS),
    )
    assert (first.step(), second.step()) == (Step.CAUGHT_UP, Step.HELD)
    ids = await received(log, "b1")
    assert (second.step(), first.step()) == (Step.HELD, Step.SENT)
    assert (one.sent, two.sent) == (ids, [])


async def test_a_follower_whose_cursor_was_taken_meanwhile_goes_on_behind_it(log: EventLog) -> None:
    exporter = FakeExporter()
    follower = Follower(log, exporter, warn=pytest.fail, liveness=LIVENESS)
    follower.step()
    await received(log, "b1")
    exporter.gate.clear()
    stepping = threading.Thread(target=lambda: results.append(follower.step()), daemon=True)
    results: list[Step] = []
    stepping.start()
    with contextlib.closing(log.cursors()) as cursors:
        [cursor] = cursors.all()
        cursors.release(cursor.exporter, cursor.holder)
        assert cursors.take("fake:", "other", 60) is not None
        exporter.gate.set()
        stepping.join()
        assert results == [Step.HELD]
        assert follower.step() is Step.HELD


async def test_an_event_log_that_fails_is_tried_again(log: EventLog) -> None:
    class Failing:
        def __init__(self) -> None:
            self.failing = True

        def take(self, _exporter: str, _holder: str, _seconds: float) -> Checkpoint | None:
            if self.failing:
                raise EventLogError("the server is away")
            return cursors.take(_exporter, _holder, _seconds)

        def __getattr__(self, name: str) -> object:
            return getattr(cursors, name)

    class Log:
        follow = log.follow

        def cursors(self) -> Failing:
            return failing

    cursors, failing = log.cursors(), Failing()
    said: list[str] = []
    follower = Follower(Log(), FakeExporter(), warn=said.append, liveness=LIVENESS)  # type: ignore[arg-type]
    assert follower.step() is Step.FAILED
    failing.failing = False
    assert follower.step() is Step.CAUGHT_UP
    assert len(said) == 1
    cursors.close()


async def test_a_set_sends_everything_before_it_stops(log: EventLog) -> None:
    exporters = [FakeExporter("one:"), FakeExporter("two:", limit=1)]
    exports = ExportSet(log, exporters, warn=pytest.fail, liveness=LIVENESS)
    exports.start()
    ids = await received(log, *(f"b{number}" for number in range(20)))
    assert exports.stop(30)
    for exporter in exporters:
        assert exporter.sent == ids
        assert exporter.closed


async def test_a_receiver_that_hangs_delays_the_end_by_the_limit_only_and_the_next_process_sends(log: EventLog) -> None:
    said: list[str] = []
    exporter = FakeExporter()
    exports = ExportSet(log, [exporter], warn=said.append, liveness=LIVENESS)
    exports.start()
    exporter.gate.clear()
    ids = await received(log, "b1")
    assert not exports.stop(0.01)
    assert said == [
        "not all events were sent to fake: within 0.01 s; the next build or service with this exporter sends them"
    ]
    later = FakeExporter()
    next_exports = ExportSet(log, [later], warn=pytest.fail, liveness=LIVENESS)
    next_exports.start()
    assert next_exports.stop(30)
    assert later.sent == ids
    exporter.gate.set()
    wait_until(lambda: exporter.closed)


async def test_a_receiver_that_is_away_at_the_end_is_named_with_its_fault(log: EventLog) -> None:
    said: list[str] = []
    exporter = FakeExporter()
    exporter.fault = "it does not answer"
    exports = ExportSet(log, [exporter], warn=said.append, liveness=LIVENESS)
    exports.start()
    await received(log, "b1")
    wait_until(lambda: bool(said))
    assert not exports.stop(0.01)
    assert "within 0.01 s: it does not answer; " in said[-1]
    exporter.fault = ""
    wait_until(lambda: exporter.closed)


async def test_a_process_waits_for_the_one_that_sends_for_it(log: EventLog) -> None:
    said: list[str] = []
    one, two = FakeExporter(), FakeExporter()
    first, second = (
        ExportSet(log, [one], warn=said.append, liveness=LIVENESS),
        ExportSet(log, [two], warn=said.append, liveness=LIVENESS),
    )
    first.start()
    second.start()
    ids = await received(log, "b1")
    assert second.stop(30)
    assert one.sent + two.sent == ids
    assert first.stop(30)
    assert not any("not all events" in text for text in said)


async def test_the_cursor_of_a_dead_process_is_taken_at_once(log: EventLog) -> None:
    liveness = FakeLiveness()
    with contextlib.closing(log.cursors()) as cursors:
        cursors.take("fake:", "dead/1/2#one", 1000)
        follower = Follower(log, FakeExporter(), warn=pytest.fail, liveness=liveness)
        assert [follower.step(), follower.step()] == [Step.HELD, Step.HELD]
        liveness.gone.add("dead/1/2")
        assert [follower.step(), follower.step()] == [Step.HELD, Step.CAUGHT_UP]
