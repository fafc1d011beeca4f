"""The contract of every event log for pruned builds."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, TypeAlias, cast

import pytest

from databuild.errors import InvalidStateTransitionError
from databuild.event_log import pruning
from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log, open_pruner, open_reader
from databuild.event_log.postgresql.pruning import PostgresqlPruner
from databuild.event_log.sqlite.pruning import SqlitePruner
from databuild.event_log.verify import verify
from databuild.model.results import Cancelled, Failed, Success
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.support.present import present
from tests.support.step_builds import adopt, begin, build, claim, produce, taint
from tests.support.stores import Store, read_models

AnyPruner: TypeAlias = SqlitePruner | PostgresqlPruner

TIME = 1000.0


def pruner_of(log: EventLog) -> AnyPruner:
    """Returns the pruner of a log with its single steps."""
    pruner = log.pruner()
    assert isinstance(pruner, SqlitePruner | PostgresqlPruner)
    return pruner


@pytest.fixture
def pruner(log: EventLog) -> Iterator[AnyPruner]:
    opened = pruner_of(log)
    yield opened
    opened.close()


async def test_a_pruned_build_keeps_its_row_and_the_rows_of_current_data(log: EventLog, pruner: AnyPruner) -> None:
    one = await begin(log, "b1", "p", "q")
    await produce(one, 1, "p", rows=3)
    await produce(one, 2, "q")
    await one.complete_build(Success(jobs_completed=2))
    await build(log, "b2", "q")
    before, known = log.reader().build("b1"), log.reader().partition_records(["p", "q"])
    pruner.prune(["b1"], TIME)

    reader = log.reader()
    assert not reader.events("b1")
    assert reader.build("b1") == present(before)._replace(pruned_time=TIME)
    assert reader.partition_records(["p", "q"]) == known
    assert [run.job_run_id for run in reader.job_runs("b1")] == ["b1.1.1"]
    assert [partition.ref for partition in reader.build_partitions("b1")] == ["p"]
    assert [run.job_run_id for run in reader.produced_by("p")] == ["b1.1.1"]
    assert len(reader.events("b2")) == present(reader.build("b2")).last_sequence
    assert [record.build_request_id for record in reader.builds()] == ["b2", "b1"]


async def test_rows_of_replaced_data_are_removed_by_the_next_pruning(log: EventLog, pruner: AnyPruner) -> None:
    await build(log, "b1", "p", "q")
    pruner.prune(["b1"], TIME)
    await build(log, "b2", "p")
    pruner.resume()
    left = [run.job_run_id for run in log.reader().job_runs("b1")]
    await adopt(log, "a", "q", force=True)
    pruner.resume()

    assert left == ["b1.2.1"]
    assert log.reader().job_runs("b1") == []
    assert log.reader().build_partitions("b1") == []
    assert pruner.unfinished("", 10) == []
    assert present(log.reader().build("b1")).status == "COMPLETED"


async def test_a_build_that_has_not_ended_is_not_pruned(log: EventLog, pruner: AnyPruner) -> None:
    one = await begin(log, "b", "p")
    pruner.prune(["b", "nobody"], TIME)
    await produce(one, 1, "p")
    await one.complete_build(Success(jobs_completed=1))

    assert present(log.reader().build("b")).pruned_time == 0
    assert len(log.reader().events("b")) == present(log.reader().build("b")).last_sequence


async def test_operations_are_never_pruned(log: EventLog, pruner: AnyPruner) -> None:
    await build(log, "b", "p")
    await taint(log, "t", "p")
    await adopt(log, "a", "q")
    pruner.prune(["b", "t", "a"], TIME)

    assert [len(log.reader().events(operation)) for operation in ("t", "a")] == [1, 1]
    records = log.reader().partition_records(["p", "q"])
    assert (records["p"].tainted, records["p"].taint_reason, records["q"].adopted) == (True, "ann: wrong", True)
    assert present(records["p"].manifest).code_digest == "code"


async def test_a_pruned_build_cannot_be_written_again(log: EventLog, pruner: AnyPruner) -> None:
    await build(log, "b", "p")
    pruner.prune(["b"], TIME)

    with pytest.raises(InvalidStateTransitionError):
        await begin(log, "b", "p")


async def test_positions_are_not_reused(log: EventLog, pruner: AnyPruner) -> None:
    await build(log, "b1", "p")
    *_, (last, _) = log.reader().all_events()
    pruner.prune(["b1"], TIME)
    await build(log, "b2", "p")

    positions = [position for position, _ in log.reader().all_events()]
    assert len(positions) == len(log.reader().events("b2"))
    assert positions[0] > last
    assert next(log.reader().all_events(after_position=last))[0] == positions[0]


async def test_sizes_are_measured(log: EventLog, pruner: AnyPruner) -> None:
    await build(log, "b1", "p")
    await build(log, "b2", "p")
    size = log.reader().bytes_of_events(["b1", "b2"])
    events = sum(event.ByteSize() for build in ("b1", "b2") for event in log.reader().events(build))
    count = present(log.reader().build("b2")).last_sequence
    pruner.prune(["b1"], TIME)

    assert size == events
    sizes = log.reader().sizes()
    assert sizes[:3] == (2, 1, count)
    assert sizes.bytes == log.reader().size() > 0
    assert log.reader().bytes_of_events(["b1", "nobody"]) == 0


def prune_all(log: EventLog, enough: threading.Event, max_rows: int) -> None:
    pruner, reader = pruner_of(log), log.reader()
    last = False
    while not last:
        last = enough.is_set()
        builds = [record.build_request_id for record in reader.builds(status="COMPLETED", limit=100)]
        pruning.prune(pruner, builds, TIME, max_rows=max_rows)
        pruning.resume(pruner, max_rows=max_rows)
    pruner.close()
    reader.close()


@pytest.mark.parametrize("max_rows", [3, pruning.MAX_ROWS])
async def test_builds_go_on_while_others_are_pruned(store: Store, max_rows: int) -> None:
    log = open_event_log(store.uri)
    refs = [f"p{number}" for number in range(4)]
    enough = threading.Event()

    async def building(name: str) -> None:
        for number in range(10):
            await build(log, f"{name}{number}", *refs)
            await taint(log, f"t-{name}{number}", *refs[:2])

    with ThreadPoolExecutor(2) as pool:
        loop = asyncio.get_running_loop()
        pruned = [loop.run_in_executor(pool, prune_all, log, enough, max_rows) for _ in range(2)]
        await asyncio.gather(*(building(name) for name in "abc"))
        enough.set()
        await asyncio.gather(*pruned)
    await log.close()

    reader = open_reader(store.uri)
    assert [record.status for record in reader.builds(limit=100)] == ["COMPLETED"] * 30
    assert all(record.pruned_time for record in reader.builds(limit=100))
    reader.close()
    before = read_models(store)
    assert rebuilt(store) == before


class _StopError(Exception):
    pass


class Interrupted:
    """The tables of a log. Pruning dies before the change with the given number."""

    def __init__(self, rows: pruning.PrunableTables, changes: int) -> None:
        self._rows = rows
        self._left = changes

    def __getattr__(self, name: str) -> Any:
        if name in {"save_snapshots", "mark", "remove_events", "remove_partitions", "remove_runs", "update_rows_left"}:
            if not self._left:
                raise _StopError
            self._left -= 1
        return getattr(self._rows, name)


def rebuilt(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    reader = open_reader(store.uri)
    verified = verify(reader)
    reader.close()
    assert not verified.faults, verified.reported
    writer = store.write()
    writer.rebuild()
    writer.close()
    return read_models(store)


async def history(log: EventLog, chance: random.Random) -> None:
    """Writes a history: concurrent builds that complete, fail or do not end; taints and adoptions."""
    refs = [f"p{number}" for number in range(6)]
    for number in range(12):
        some = chance.sample(refs, 3)
        one = await begin(log, f"b{number:02}", *some)
        await log.renew_lease(f"b{number:02}", "here", 60)
        await produce(one, 1, some[0], rows=number)
        if chance.random() < 0.4:
            await taint(log, f"t{number:02}", chance.choice(refs))
        if chance.random() < 0.4:
            await adopt(log, f"x{number:02}", chance.choice(refs), "q", force=True)
        await build(log, f"c{number:02}", some[1])
        if chance.random() < 0.5:
            run = f"b{number:02}.2.1"
            await claim(log, f"b{number:02}", 2, some[1])
            one.emit_job_scheduled(run, 2, "//:j")
            one.emit_job_running(run, 2, "//:j")
            one.emit_partition_building(some[1], 2, run)
            check = ev.CheckEvent(job_run_id=run, result=pt.CheckResult(name="rows"))
            check.tainted.add(str=some[1])
            one.emit(("check", check))
            one.emit_job_failed(run, 2, "//:j", pt.Failure(category=pt.FAILURE_CATEGORY_USER, message="no"))
            failure = pt.Failure(category=pt.FAILURE_CATEGORY_USER, message="no")
            one.emit_partition_failed(some[1], failure, 2, run)
        await one.emit_delegation(f"c{number:02}", "//:j", [some[2]])
        end = chance.choice([Failed(jobs_completed=1, message="no"), Cancelled(jobs_completed=1, author="ann"), None])
        if end is not None:
            await one.complete_build(end)


@pytest.mark.parametrize("seed", range(6))
async def test_the_read_models_can_be_rebuilt_after_any_step_of_pruning(store: Store, seed: int) -> None:
    max_rows = 7
    chance = random.Random(seed)
    log = open_event_log(store.uri)
    pruner = pruner_of(log)
    await history(log, chance)
    reader = log.reader()
    known = [record for record in reader.partitions() if not record.claimed_by_build_request_id]
    builds = [record.build_request_id for record in reader.builds(limit=100)]
    for changes in (0, 1, 2, 3, 5, 8, 13, 21):
        with contextlib.suppress(_StopError):
            pruning.prune(
                cast("pruning.PrunableTables", Interrupted(pruner, changes)),
                chance.sample(builds, 6),
                TIME,
                max_rows=max_rows,
            )
        assert [record for record in reader.partitions() if not record.claimed_by_build_request_id] == known
        before = read_models(store)
        assert rebuilt(store) == before
    pruning.resume(pruner, max_rows=max_rows)
    before = read_models(store)

    assert rebuilt(store) == before
    assert [record for record in reader.partitions() if not record.claimed_by_build_request_id] == known
    pruned = [record for record in reader.builds(limit=100) if record.pruned_time]
    assert pruned
    assert all(record.status in {"COMPLETED", "FAILED", "CANCELLED"} for record in pruned)
    assert not any(reader.events(record.build_request_id) for record in pruned)
    await history_goes_on(log, store)
    pruner.close()
    await log.close()


def prune_for_ever(uri: str, told: Connection) -> None:
    async def main() -> None:
        log = open_event_log(uri)
        pruner = log.pruner()
        number = 0
        while True:
            await build(log, f"b{number:06}", "p", "q")
            await build(log, f"c{number:06}", "p")
            pruner.prune([f"b{number:06}"], TIME)
            told.send(number)
            number += 1

    asyncio.run(main())


def test_a_killed_pruning_leaves_a_consistent_log(store: Store) -> None:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=prune_for_ever, args=(store.uri, theirs))
    process.start()
    while ours.recv() < 20:
        pass
    os.kill(present(process.pid), signal.SIGKILL)
    process.join()

    before = read_models(store)
    assert rebuilt(store) == before
    pruner = open_pruner(store.uri)
    pruner.resume()
    pruner.close()
    reader = open_reader(store.uri)
    pruned = [record.build_request_id for record in reader.builds(limit=1000) if record.pruned_time]
    assert len(pruned) >= 20
    assert not any(reader.events(name) for name in pruned)
    reader.close()


async def history_goes_on(log: EventLog, store: Store) -> None:
    """Events after a pruning are applied to its snapshots."""
    await build(log, "d1", "p0", "new")
    await taint(log, "t99", "p1", "new")
    before = read_models(store)

    assert rebuilt(store) == before
