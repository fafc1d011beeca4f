"""A build that makes no progress, and in which no job runs, is notified once for each wait."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import cast

import pytest

from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log
from databuild.event_log.reads import BuildReads
from databuild.exporters.exporter import TimedExporter
from databuild.exporters.follower import Follower, Step
from databuild.exporters.webhook.exporter import WebhookExporter
from databuild.exporters.webhook.notifications import Notification
from databuild.exporters.webhook.template import NAMES
from databuild.exporters.webhook.waits import waiting_builds
from databuild.model.records import BuildRecord, JobRunRecord
from databuild.model.statuses import BuildStatus, JobStatus
from databuild.v1 import events_pb2 as ev
from tests.support.fake_liveness import FakeLiveness
from tests.support.receiver import Receiver

LIMIT = 600.0
BEGIN = 1_795_000_000.0


def build(status: BuildStatus, name: str = "b1", updated: float = BEGIN) -> BuildRecord:
    return BuildRecord(name, status, "//:graph", ("daily/1",), BEGIN - 60, updated, 7)


def run(status: JobStatus, *, executor: str = "", placed: float = 0.0, number: int = 1) -> JobRunRecord:
    return JobRunRecord(
        f"b1.{number}.1", "b1", number, number, "//:daily", 1, status, executor=executor, placed_time=placed
    )


class Reads:
    """Has builds, and the job runs of `b1`; pages have two rows."""

    def __init__(self, builds: Sequence[BuildRecord], runs: Sequence[JobRunRecord] = ()) -> None:
        self._builds = sorted(builds, key=lambda record: record.build_request_id, reverse=True)
        self._runs = runs

    def builds(self, *, status: str, before: str | None) -> Sequence[BuildRecord]:
        return [
            record
            for record in self._builds
            if record.status == status and (before is None or record.build_request_id < before)
        ][:2]

    def job_runs(self, build_request_id: str, *, status: str, after: int) -> Sequence[JobRunRecord]:
        runs = self._runs if build_request_id == "b1" else ()
        return [record for record in runs if record.status == status and record.number > after][:2]


def waits(
    builds: Sequence[BuildRecord],
    runs: Sequence[JobRunRecord] = (),
    *,
    after: float = 0.0,
    until: float = BEGIN + LIMIT,
) -> list[Notification]:
    reads = cast("BuildReads", Reads(builds, runs))
    return list(waiting_builds(reads, after=after, until=until, limit_seconds=LIMIT))


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("RECEIVED", "it is in the queue"),
        ("ANALYSIS_COMPLETED", "its execution has not begun"),
        ("EXECUTING", "none of its job runs runs"),
        ("PLANNING", None),
        ("COMPLETED", None),
        ("FAILED", None),
        ("CANCELLED", None),
    ],
)
def test_an_open_build_that_is_not_being_planned_may_wait(status: BuildStatus, said: str | None) -> None:
    assert [wait.data["message"].rpartition(": ")[2] for wait in waits([build(status)])] == ([said] if said else [])


def test_a_notification_has_the_facts_of_the_wait_and_is_the_same_each_time() -> None:
    [first] = waits([build("EXECUTING")])
    assert first == Notification(
        kind="build.waiting",
        id="b1/7/waiting",
        build_request_id="b1",
        graph_label="//:graph",
        time="2026-11-18T11:16:40.000Z",
        data={
            "build_request_id": "b1",
            "graph_label": "//:graph",
            "environment": "",
            "requested": ["daily/1"],
            "requested_count": 1,
            "status": "EXECUTING",
            "waiting_since": "2026-11-18T11:06:40.000Z",
            "wait_seconds": LIMIT,
            "message": "nothing has happened in the build for 600 s: none of its job runs runs",
        },
    )
    assert waits([build("EXECUTING")], until=BEGIN + 2 * LIMIT) == [first]
    assert set(first.data) <= NAMES


@pytest.mark.parametrize(
    ("after", "until", "found"),
    [(-1.0, -0.001, False), (-1.0, 0.0, True), (0.0, 1.0, False), (-LIMIT, 1000.0, True)],
)
def test_a_wait_is_found_in_the_period_in_which_it_exceeds_the_limit(after: float, until: float, found: bool) -> None:
    due = BEGIN + LIMIT
    assert bool(waits([build("EXECUTING")], after=due + after, until=due + until)) is found


@pytest.mark.parametrize(
    ("runs", "found"),
    [
        ([], True),
        ([run("COMPLETED"), run("FAILED", number=2)], True),
        ([run("RUNNING")], False),
        ([run("RUNNING", executor="dask://host:1")], True),
        ([run("RUNNING", executor="dask://host:1", placed=BEGIN)], False),
        ([*(run("RUNNING", executor="dask://host:1", number=n) for n in (1, 2, 3)), run("RUNNING", number=4)], False),
    ],
)
def test_a_build_with_a_job_run_that_runs_does_not_wait(runs: Sequence[JobRunRecord], found: bool) -> None:
    assert bool(waits([build("EXECUTING")], runs)) is found


def test_all_pages_of_builds_are_searched() -> None:
    builds = [build("RECEIVED", f"b{number}") for number in range(5)]
    assert [wait.build_request_id for wait in waits(builds)] == ["b4", "b3", "b2", "b1", "b0"]


class World:
    """A log with a build that waits since `BEGIN`, followers of it, and a clock."""

    def __init__(self, log: EventLog, receiver: Receiver) -> None:
        self.log = log
        self.receiver = receiver
        self.now = BEGIN
        self.warnings: list[str] = []
        self.processes = FakeLiveness()

    async def receive(self, name: str) -> None:
        event = ev.BuildEvent(event_id=f"{name}/1", build_request_id=name, sequence=1)
        event.time.FromNanoseconds(int(self.now * 1e9))
        event.build_request.status = ev.BUILD_STATUS_RECEIVED
        await self.log.append([event])

    def follower(self, occasion: str = "wait") -> Follower:
        exporter = WebhookExporter(self.receiver.url, [occasion], wait_seconds=LIMIT)
        warn = self.warnings.append
        return Follower(self.log, exporter, warn=warn, liveness=self.processes, clock=lambda: self.now)

    def requests(self) -> list[tuple[str, Mapping[str, object]]]:
        bodies = [json.loads(body) for _, body in self.receiver.requests]
        return [(body["subject"], body) for body in bodies]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    receiver = Receiver()
    log = open_event_log("memory:")
    world = World(log, receiver)
    await world.receive("b1")
    yield world
    receiver.close()
    await log.close()


def steps(follower: Follower, count: int = 1) -> list[Step]:
    return [follower.step() for _ in range(count)]


async def test_a_wait_is_sent_once_when_it_exceeds_the_limit(world: World) -> None:
    follower = world.follower()
    steps(follower)
    world.now += LIMIT - 0.001
    steps(follower, 2)
    assert world.requests() == []
    for _ in range(3):
        world.now += 10.0
        assert steps(follower, 2) == [Step.CAUGHT_UP, Step.CAUGHT_UP]
    [(name, body)] = world.requests()
    assert (name, body["type"], body["id"]) == ("b1", "databuild.build.waiting", "b1/1/waiting")
    await world.receive("b1-later")
    world.now += LIMIT
    assert steps(follower, 2) == [Step.SENT, Step.CAUGHT_UP]
    assert [name for name, _ in world.requests()] == ["b1", "b1-later"]


async def test_the_next_process_sends_what_became_due_in_between_and_nothing_twice(world: World) -> None:
    first = world.follower()
    world.now += LIMIT
    steps(first)
    await world.receive("b2")
    steps(first, 2)
    first.give_up()
    world.now += 5 * LIMIT
    steps(world.follower(), 2)
    assert [name for name, _ in world.requests()] == ["b1", "b2"]


async def test_a_process_that_dies_leaves_its_cursors_to_the_next(world: World) -> None:
    with contextlib.closing(world.log.cursors()) as cursors:
        name = world.follower().name
        for cursor in (name, f"{name} clock"):
            cursors.take(cursor, "dead/1/2#one", 1000)
    world.now += LIMIT
    follower = world.follower()
    assert follower.step() is Step.HELD
    world.processes.gone.add("dead/1/2")
    assert steps(follower, 2) == [Step.HELD, Step.CAUGHT_UP]
    assert len(world.requests()) == 1


async def test_a_wait_that_could_not_be_sent_is_sent_later(world: World) -> None:
    follower = world.follower()
    world.now += LIMIT
    world.receiver.answers = [503]
    assert follower.step() is Step.FAILED
    assert len(world.warnings) == 1
    world.now += 1.0
    assert follower.step() is Step.CAUGHT_UP
    assert [name for name, _ in world.requests()] == ["b1", "b1"]
    assert len({str(body) for _, body in world.requests()}) == 1


async def test_a_refused_wait_is_counted_and_left_out(world: World) -> None:
    follower = world.follower()
    world.now += LIMIT
    world.receiver.answers = [404]
    assert follower.step() is Step.CAUGHT_UP
    world.now += LIMIT
    assert follower.step() is Step.CAUGHT_UP
    assert (follower.refused, len(world.requests())) == (1, 1)


async def test_other_occasions_look_for_no_waits_and_keep_no_time(world: World) -> None:
    follower = world.follower("end")
    world.now += LIMIT
    steps(follower, 2)
    assert world.requests() == []
    with contextlib.closing(world.log.cursors()) as cursors:
        assert [cursor.exporter for cursor in cursors.all()] == [follower.name]


def test_the_interval_follows_the_limit() -> None:
    for seconds, interval in ((0.01, 0.2), (2.0, 0.5), (3600.0, 10.0)):
        exporter: TimedExporter = WebhookExporter("http://127.0.0.1:9/", ["wait"], wait_seconds=seconds)
        assert exporter.poll_seconds == interval
