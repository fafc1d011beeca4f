"""Builds of many short tasks, whose job runs wait in the queue of a spawn server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log
from databuild.event_log.verify import verify
from databuild.executors.local import LocalExecutor
from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.declared.declaration import Declaration
from databuild.model.build_options import BuildOptions
from databuild.model.paging import read_rows
from databuild.model.results import BuildResult, Cancelled, FailFast, Success
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest, Settings
from databuild.v1 import events_pb2 as ev
from tests.support.waiting import until

TASKS = 300
BUILD = "b"

# Each run appends one line at its start, and one at its end.
JOB = """#!/bin/sh
echo "+ $1" >> runs
if [ "$1" = "$(cat fails 2>&1)" ]; then exit 7; fi
if [ -e hold ]; then sleep 100; fi
echo "- $1" >> runs
"""


class World:
    """A graph of one job, and builds of it."""

    def __init__(self, folder: Path, log: EventLog) -> None:
        self.folder = folder
        self.log = log
        self.executor = LocalExecutor(base_env={"PATH": os.environ["PATH"]}, grace_seconds=0.1)
        program = folder / "job"
        program.write_text(JOB)
        program.chmod(0o755)
        wide = Job("//:job", str(program), outputs=("number/{n:int}",), declaration=Declaration(args=("{n}",)))
        before = Declaration(args=("{n}",), optional_inputs=("link/{n-1}",), bounds={"n": "1.."})
        chain = Job("//:link", str(program), outputs=("link/{n:int}",), declaration=before)
        self.catalog = JobCatalog(graph_label="//:graph", jobs={job.label: job for job in (wide, chain)})

    async def build(self, *refs: str, jobs: int) -> BuildResult:
        settings = Settings(working_directory=str(self.folder), log_directory=str(self.folder / "logs"))
        context = BuildContext(catalog=self.catalog, event_log=self.log, executor=self.executor, settings=settings)
        requested = refs or tuple(f"number/{number}" for number in range(1, TASKS + 1))
        return await run_build(BuildRequest(BUILD, requested, options=BuildOptions(jobs=jobs)), context)

    async def build_chain(self) -> BuildResult:
        return await self.build(f"link/{TASKS}", jobs=2)

    def count_of(self, sign: str) -> int:
        return [one for one, _ in self.runs()].count(sign)

    def runs(self) -> list[tuple[str, str]]:
        """Returns a pair of `+` or `-` and the number for each start and end, in order."""
        lines = (self.folder / "runs").read_text().splitlines()
        return [(line[0], line[2:]) for line in lines]

    def events(self) -> list[ev.BuildEvent]:
        reader = self.log.reader()
        return list(
            read_rows(
                lambda after, limit: reader.events(BUILD, after_sequence=after, limit=limit),
                key=lambda event: event.sequence,
                start=0,
            )
        )


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    log = open_event_log("memory:")
    world = World(tmp_path, log)
    yield world
    await world.executor.close()
    assert verify(log.reader()).reported == ()
    await log.close()


async def test_every_task_runs_once_and_no_more_than_jobs_at_once(world: World) -> None:
    result = await world.build(jobs=2)

    assert result == Success(jobs_completed=TASKS)
    assert world.executor.queue_room(2, 2) is not None  # a spawn server runs
    runs = world.runs()
    assert sorted(number for sign, number in runs if sign == "+") == sorted(map(str, range(1, TASKS + 1)))
    running = most = 0
    for sign, _ in runs:
        running += 1 if sign == "+" else -1
        most = max(most, running)
    assert most == 2


async def test_the_start_of_a_run_is_recorded_with_its_own_time(world: World) -> None:
    await world.build(jobs=2)

    started = {}
    ended = {}
    for event in world.events():
        if event.job.status == ev.JOB_STATUS_RUNNING:
            started[event.job.job_run_id] = event.time.ToNanoseconds()
        elif event.job.status == ev.JOB_STATUS_COMPLETED:
            ended[event.job.job_run_id] = event
    assert len(started) == len(ended) == TASKS
    for job_run_id, event in ended.items():
        assert event.time.ToNanoseconds() - started[job_run_id] >= event.job.duration_seconds * 1e9 - 1e6


async def test_nothing_starts_after_a_failure(world: World) -> None:
    (world.folder / "fails").write_text("200\n")

    result = await world.build(jobs=1)

    assert isinstance(result, FailFast)
    assert world.runs()[-1] == ("+", "200")
    ran = {number for sign, number in world.runs() if sign == "+"}
    statuses = {event.job.task_id: event.job.status for event in world.events() if event.HasField("job")}
    assert sum(status == ev.JOB_STATUS_COMPLETED for status in statuses.values()) == len(ran) - 1
    assert sum(status == ev.JOB_STATUS_CANCELLED for status in statuses.values()) == TASKS - len(ran)


async def test_a_cancelled_build_ends_its_runs_and_starts_no_other(world: World) -> None:
    building = asyncio.create_task(world.build(jobs=2))
    await until(lambda: (world.folder / "runs").exists() and len(world.runs()) > TASKS // 3)
    (world.folder / "hold").touch()
    await until(lambda: world.count_of("+") - world.count_of("-") == 2)

    building.cancel("somebody")
    result = await building

    assert isinstance(result, Cancelled)
    starts = len([sign for sign, _ in world.runs() if sign == "+"])
    running = [event.job for event in world.events() if event.job.status == ev.JOB_STATUS_RUNNING]
    assert starts == len(running) < TASKS


# Perl starts in a few milliseconds, so that its runs wait in the queue.
DESCRIBED = """#!/usr/bin/perl
use Socket;
socket(my $socket, PF_UNIX, SOCK_STREAM, 0) || exit 8;
connect($socket, pack_sockaddr_un($ENV{DATABUILD_TASK})) || exit 9;
syswrite($socket, "GET /job_runs/$ENV{DATABUILD_JOB_RUN_ID} HTTP/1.0\r\n\r\n");
local $/;
my $answer = <$socket>;
open(my $runs, ">>", "runs");
syswrite($runs, "+ $ARGV[0]\n- $ARGV[0]\n");
$answer =~ /"version": "([^"]*)"/;
open(my $versions, ">>", "versions");
syswrite($versions, "$ENV{DATABUILD_JOB_RUN_ID} $1\n");
"""


async def test_the_tasks_of_a_chain_wait_behind_each_other(world: World) -> None:
    passed = 0
    queue_room = world.executor.queue_room

    def counted(slots: int, waiting: int) -> int | None:
        nonlocal passed
        room = queue_room(slots, waiting)
        passed += room is not None
        return room

    world.executor.queue_room = counted  # type: ignore[method-assign]
    result = await world.build_chain()

    assert result == Success(jobs_completed=TASKS)
    assert passed > TASKS // 2
    assert world.runs() == [(sign, str(number)) for number in range(1, TASKS + 1) for sign in "+-"]


async def test_a_run_of_a_chain_is_recorded_after_the_end_of_the_one_before(world: World) -> None:
    await world.build_chain()

    told = [
        (event.job.task_id, event.job.status) for event in world.events() if event.HasField("job") and event.job.task_id
    ]
    statuses = (ev.JOB_STATUS_SCHEDULED, ev.JOB_STATUS_RUNNING, ev.JOB_STATUS_COMPLETED)
    assert told == [(number, status) for number in range(1, TASKS + 1) for status in statuses]
    running = [event.job for event in world.events() if event.job.status == ev.JOB_STATUS_RUNNING]
    versions = [[used.version for used in job.manifest.inputs] for job in running]
    assert versions == [[], *([job.job_run_id] for job in running[:-1])]


async def test_a_run_of_a_chain_reads_the_version_that_the_one_before_has_made(world: World) -> None:
    (world.folder / "job").write_text(DESCRIBED)

    result = await world.build_chain()

    assert result == Success(jobs_completed=TASKS)
    lines = [line.split(" ") for line in (world.folder / "versions").read_text().splitlines()]
    assert [version for _, version in lines[1:]] == [job_run_id for job_run_id, _ in lines[:-1]]


async def test_nothing_is_scheduled_behind_a_failure_in_a_chain(world: World) -> None:
    (world.folder / "fails").write_text("200\n")

    result = await world.build_chain()

    assert isinstance(result, FailFast)
    assert world.runs()[-1] == ("+", "200")
    scheduled = [event.job.task_id for event in world.events() if event.job.status == ev.JOB_STATUS_SCHEDULED]
    assert scheduled == list(range(1, 201))


async def test_a_cancelled_chain_starts_no_other_run(world: World) -> None:
    building = asyncio.create_task(world.build_chain())
    await until(lambda: (world.folder / "runs").exists() and len(world.runs()) > TASKS)
    (world.folder / "hold").touch()
    await until(lambda: world.count_of("+") - world.count_of("-") == 1)

    building.cancel("somebody")
    result = await building

    assert isinstance(result, Cancelled)
    running = [event.job for event in world.events() if event.job.status == ev.JOB_STATUS_RUNNING]
    # Of the runs whose ends the build has not seen, only the first is recorded.
    assert len(running) <= world.count_of("+") < TASKS
