"""Events as text; two builds with the same effects have equal canonical lists."""

from __future__ import annotations

import errno
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import pytest

from databuild.cli.backend.local_backend import LocalBackend
from databuild.cli.display.event_text import canonical, event_line
from databuild.cli.display.live_progress import LiveProgress
from databuild.cli.display.notices import state_line
from databuild.cli.display.output import Output
from databuild.cli.display.progress import PlainProgress, progress_for
from databuild.cli.main import run
from databuild.event_log.coordination import Lease
from databuild.event_log.reads import Reader
from databuild.model.build_counts import BuildCounts
from databuild.model.planning import PlanningProgress
from databuild.model.records import BuildRecord
from databuild.model.results import FailFast, Success
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

FIRST = "20261123T095142Z-7k3f9q"
SECOND = "20261123T101500Z-0a1b2c"
JOB = "//examples:daily"


async def events_of(
    build: str, *, refs: Sequence[str] = ("daily/1", "daily/2"), failing: bool = False, time: float = 1795000000.25
) -> list[ev.BuildEvent]:
    """Returns the events of a build of two independent tasks, in the order of the refs."""
    orchestrator = BuildOrchestrator.with_mock_event_log(build, sorted(refs), clock=lambda: time)
    await orchestrator.start_build(graph_label="//examples:build_graph")
    await orchestrator.start_planning()
    for number, ref in enumerate(sorted(refs), 1):
        await orchestrator.emit_partition_scheduled(ref, number, pt.REASON_MISSING)
    await orchestrator.emit_job_graph([])
    await orchestrator.complete_planning()
    await orchestrator.start_execution()
    for ref in refs:
        number = sorted(refs).index(ref) + 1
        run_id = f"{build}.{number}.1"
        await orchestrator.emit_job_scheduled(run_id, number, JOB)
        await orchestrator.emit_job_running(run_id, number, JOB)
        await orchestrator.emit_partition_building(ref, number, run_id)
        if failing:
            failure = pt.Failure(category=pt.FAILURE_CATEGORY_USER, message="ended with exit code 7")
            await orchestrator.emit_job_failed(run_id, number, JOB, failure)
            await orchestrator.emit_partition_failed(ref, failure, number, run_id)
        else:
            await orchestrator.emit_job_completed(run_id, number, JOB)
            await orchestrator.emit_partition_available(ref, number, run_id)
    result = FailFast(trigger_job=JOB, jobs_failed=2) if failing else Success(jobs_completed=2)
    await orchestrator.complete_build(result)
    return orchestrator.emitted_events


class FakeReader:
    """Has the given events; those of `then` arrive during a wait. Its builds are alive, unless `dead` is set."""

    def __init__(
        self,
        builds: Mapping[str, Sequence[ev.BuildEvent]],
        then: Mapping[str, Sequence[ev.BuildEvent]] | None = None,
        *,
        dead: bool = False,
    ) -> None:
        self.lists = builds
        self.then = then or {}
        self.dead = dead

    def unleased_builds(self) -> list[str]:
        return []

    def holders(self) -> dict[str, bool]:
        return {"elsewhere/1/1": self.dead}

    def leases(self, holders: Sequence[str]) -> list[tuple[Lease, bool]]:
        return [(Lease(build, 0.0, holder), self.dead) for holder in holders for build in self.lists]

    def build(self, build_request_id: str) -> BuildRecord | None:
        if build_request_id not in self.lists:
            return None
        return BuildRecord(build_request_id, "COMPLETED", "//examples:build_graph", (), 1.0, 2.0, 9)

    def builds(self, **_: object) -> list[BuildRecord | None]:
        return [self.build(max(self.lists))]

    def builds_beginning(self, prefix: str, limit: int = 10) -> list[str]:
        return [build for build in self.lists if build.startswith(prefix)]

    def wait(self, seconds: float) -> bool:
        self.lists = self.then
        return True

    def events(self, build_request_id: str, *, after_sequence: int = 0, limit: int = 1000) -> Sequence[ev.BuildEvent]:
        return [event for event in self.lists[build_request_id] if event.sequence > after_sequence][:limit]


def call(*args: str, reader: FakeReader) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = run(
        list(args),
        out=Output(out),
        err=Output(err),
        environ={},
        open_backend=lambda invocation: LocalBackend(invocation, cast("Reader", reader)),
    )
    return code, out.getvalue(), err.getvalue()


async def test_events_are_one_line_each_in_order() -> None:
    events = await events_of(FIRST)

    code, out, _ = call("events", reader=FakeReader({FIRST: events}))

    lines = out.splitlines()
    assert code == 0
    assert len(lines) == len(events)
    assert "build_request  RECEIVED  daily/1, daily/2" in lines[0]
    assert "partition  SCHEDULED  daily/1  (MISSING)" in out
    assert f"job  RUNNING  {FIRST}.1.1  {JOB}" in out
    assert lines[-1].endswith("build_request  COMPLETED")


async def test_events_as_json_are_one_object_a_line() -> None:
    events = await events_of(FIRST)

    _, out, _ = call("events", "--output=json", "--after=3", reader=FakeReader({FIRST: events}))

    documents = [json.loads(line) for line in out.splitlines()]
    assert [document["sequence"] for document in documents] == [str(event.sequence) for event in events[3:]]


async def test_events_are_followed_to_the_end_of_the_build() -> None:
    events = await events_of(FIRST)
    reader = FakeReader({FIRST: events[:5]}, then={FIRST: events})

    _, out, _ = call("events", "--follow", reader=reader)

    assert len(out.splitlines()) == len(events)


def everything(*lists: Sequence[ev.BuildEvent]) -> FakeReader:
    """Returns a reader of the events of all builds; each wait adds the events of one more list."""
    log = list(enumerate(lists[0], 1))
    coming = list(lists[1:])

    class Whole(FakeReader):
        def all_events(self, *, after_position: int = 0, limit: int = 1000) -> Iterator[tuple[int, ev.BuildEvent]]:
            return iter([(position, event) for position, event in log if position > after_position][:limit])

        def wait(self, seconds: float) -> bool:
            if not coming:
                raise KeyboardInterrupt
            log.extend(enumerate(coming.pop(0), len(log) + 1))
            return True

    return Whole({})


async def test_the_events_of_all_builds_are_printed_with_their_positions() -> None:
    first, second = await events_of(FIRST), await events_of(SECOND)

    code, out, _ = call("events", "--all", reader=everything([*first, *second]))

    lines = out.splitlines()
    assert (code, len(lines)) == (0, len(first) + len(second))
    assert lines[0].startswith(f"       1 {FIRST}      1 ")
    assert lines[-1].split()[:2] == [str(len(lines)), SECOND]


async def test_following_all_events_goes_on_after_a_position_until_it_is_stopped() -> None:
    first, second = await events_of(FIRST), await events_of(SECOND)
    reader = everything(first, second[:3], [], second[3:])

    code, out, _ = call("events", "--all", "--follow", f"--after={len(first) - 1}", "--output=json", reader=reader)

    documents = [json.loads(line) for line in out.splitlines()]
    assert code == 130
    assert [document["position"] for document in documents] == list(range(len(first), len(first) + len(second) + 1))
    assert [document["event"]["build_request_id"] for document in documents] == [FIRST] + [SECOND] * len(second)


@pytest.mark.parametrize("more", [[FIRST], ["diff", FIRST, SECOND], ["verify"], ["--server=localhost:1"]])
def test_all_events_are_of_no_one_build_and_of_no_service(more: list[str]) -> None:
    code, _, err = call("events", "--all", *more, reader=FakeReader({}))

    assert code == 2
    assert "--all" in err


async def test_following_a_build_that_has_died_ends_and_says_so() -> None:
    events = await events_of(FIRST)

    code, out, err = call("events", "--follow", reader=FakeReader({FIRST: events[:5]}, dead=True))

    assert code == 0
    assert len(out.splitlines()) == 5
    assert f"build {FIRST} is dead: its orchestrator has not renewed its lease" in err


async def test_events_written_right_before_the_death_of_a_build_are_printed() -> None:
    events = await events_of(FIRST)

    class Dying(FakeReader):
        def leases(self, holders: Sequence[str]) -> list[tuple[Lease, bool]]:
            self.lists = {FIRST: events[:7]}
            return super().leases(holders)

    code, out, err = call("events", "--follow", reader=Dying({FIRST: events[:5]}, dead=True))

    assert (code, len(out.splitlines())) == (0, 7)
    assert "is dead" in err


async def test_builds_that_did_the_same_in_another_order_and_time_are_equal() -> None:
    first = await events_of(FIRST)
    second = await events_of(SECOND, refs=("daily/2", "daily/1"), time=1795000999.0)

    assert canonical(first) == canonical(second)
    code, out, _ = call("events", "diff", FIRST, SECOND, reader=FakeReader({FIRST: first, SECOND: second}))
    assert code == 0
    assert "are equal" in out


async def test_builds_that_ended_differently_differ() -> None:
    reader = FakeReader({FIRST: await events_of(FIRST), SECOND: await events_of(SECOND, failing=True)})

    code, out, _ = call("events", "diff", FIRST, SECOND, reader=reader)

    assert code == 1
    assert any(line.startswith("+") and "JOB_STATUS_FAILED" in line for line in out.splitlines())
    assert any(line.startswith("-") and "JOB_STATUS_COMPLETED" in line for line in out.splitlines())


@pytest.mark.parametrize("args", [["events", "diff", FIRST], ["events", FIRST, SECOND]])
def test_a_wrong_number_of_builds_makes_no_sense(args: list[str]) -> None:
    assert call(*args, reader=FakeReader({}))[0] == 2


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            ev.BuildEvent(adoption=ev.AdoptionEvent(partitions=[pt.PartitionRef(str="a")], author="ann", reason="r")),
            "adoption  a  by ann  r",
        ),
        (ev.BuildEvent(taint=ev.TaintEvent(partitions=[pt.PartitionRef(str="a")], tainted=True, reason="bad")), "set"),
        (ev.BuildEvent(check=ev.CheckEvent(result=pt.CheckResult(name="rows", message="none"))), "FAILED  rows  none"),
        (ev.BuildEvent(cancel_request=ev.CancelRequestEvent(target_build_request_id="b", author="me")), "b  by me"),
        (
            ev.BuildEvent(
                late_result=ev.LateResultEvent(
                    target_build_request_id="b",
                    job_runs=[ev.JobEvent(job_run_id="b.1.1")],
                    partitions=[pt.PartitionRef(str="a")],
                )
            ),
            "b  job runs b.1.1  partitions a",
        ),
        (ev.BuildEvent(delegation=ev.DelegationEvent(delegated_to_build_request_id="b")), "to b"),
    ],
)
def test_every_kind_of_event_has_words(event: ev.BuildEvent, words: str) -> None:
    assert words in event_line(event)


class FakeClock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


async def test_counts_follow_the_events() -> None:
    counts = BuildCounts()
    for event in await events_of(FIRST):
        counts.add(event)

    assert state_line(counts) == "completed: 2 of 0 tasks completed"
    assert counts.running == {}


def test_counts_tell_which_job_runs_wait_for_a_machine() -> None:
    now = [0.0]
    counts = BuildCounts(lambda: now[0])
    counts.total = 2
    for job_run in ("b.1.1", "b.2.1"):
        counts.add(ev.BuildEvent(job=ev.JobEvent(job_run_id=job_run, status=ev.JOB_STATUS_RUNNING)))
        counts.add(ev.BuildEvent(placement=ev.PlacementEvent(job_run_id=job_run, executor="dask://e:1", handle="h")))
    counts.add(ev.BuildEvent(placement=ev.PlacementEvent(job_run_id="b.1.1", started=True)))

    assert state_line(counts) == "starting: 0 of 2 tasks completed, 1 running, 1 waiting for a machine"
    assert counts.long_waits() == []
    now[0] = 60.0
    (warning,) = counts.long_waits()
    assert warning.startswith("job runs have waited for a machine of dask://e:1 for a minute")
    counts.add(ev.BuildEvent(job=ev.JobEvent(job_run_id="b.2.1", status=ev.JOB_STATUS_CANCELLED)))
    assert counts.long_waits() == []


async def test_plain_progress_names_each_failure_and_now_and_then_how_it_stands() -> None:
    stream = io.StringIO()
    clock = FakeClock()
    progress = PlainProgress(BuildCounts(clock), Output(stream))
    for event in await events_of(FIRST, failing=True):
        progress.on_event(event)
        if event.build_request.status == ev.BUILD_STATUS_PLANNING:
            clock.now += 10
            progress.tick()
            progress.tick()
    progress.stop()

    lines = stream.getvalue().splitlines()
    assert lines[0] == "databuild: planning"
    assert lines[1] == f"databuild: FAILED {JOB} daily/1 ({FIRST}.1.1), USER: ended with exit code 7"
    assert len(lines) == 3


async def test_plain_progress_tells_how_far_planning_is_and_each_warning_once() -> None:
    stream = io.StringIO()
    now = [0.0]
    progress = PlainProgress(BuildCounts(lambda: now[0]), Output(stream))
    planning = ev.BuildEvent(build_request=ev.BuildRequestEvent(status=ev.BUILD_STATUS_PLANNING))
    progress.on_event(planning)
    for seconds in range(12):
        now[0] += 1
        progress.planning(PlanningProgress(seconds + 1, 1000 * (seconds + 1), 2 * seconds, ("//:a", "//:b")))
        progress.tick()
    progress.warned("//:a occurs in many levels")
    end = ev.BuildRequestEvent(status=ev.BUILD_STATUS_FAILED, warnings=["//:a occurs in many levels", "another"])
    progress.on_event(ev.BuildEvent(build_request=end))
    progress.stop()

    assert stream.getvalue().splitlines() == [
        "databuild: planning: 5 levels, 5,000 partitions considered, 8 config calls, configuring //:a and 1 more",
        "databuild: planning: 10 levels, 10,000 partitions considered, 18 config calls, configuring //:a and 1 more",
        "databuild: warning: //:a occurs in many levels",
        "databuild: warning: another",
    ]


class FullStream(io.StringIO):
    """A terminal that was closed."""

    def write(self, _text: str) -> int:
        raise OSError(errno.EIO, "Input/output error")

    def isatty(self) -> bool:
        return True


async def test_a_terminal_that_has_gone_away_stops_no_progress() -> None:
    err = Output(FullStream())
    progress = progress_for(err, {"TERM": "xterm"})
    progress.start()
    for event in await events_of(FIRST, failing=True):
        progress.on_event(event)
    progress.stop()

    assert isinstance(progress, LiveProgress)
    assert err.fault == "Input/output error"
    assert progress.counts.failed == 2


def test_the_times_of_files_make_no_difference() -> None:
    def available(version: str, size: int = 7) -> ev.BuildEvent:
        location = pt.Location(uri="file:///data/x", size_bytes=size, version=version)
        return ev.BuildEvent(partition=ev.PartitionEvent(ref="x", location=location))

    assert canonical([available("1.2")]) == canonical([available("3.4")])
    assert canonical([available("1.2")]) != canonical([available("1.2", size=8)])
