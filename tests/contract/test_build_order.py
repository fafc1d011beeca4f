"""The order of builds and job runs in every event log: that of time, whatever the ids of builds."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from databuild.errors import BuildNotFoundError
from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log, open_reader
from databuild.event_log.reads import BuildReads
from databuild.event_log.verify import verify
from databuild.model.results import Failed, Success
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.v1 import partition_pb2 as pt
from tests.support.environment_logs import logs_of
from tests.support.present import present
from tests.support.step_builds import begin, produce
from tests.support.stores import Store

IDS = ("zzz", "20261128T120000Z-000000", "monday", "Ada", "20261128T110000Z-000000", "0")
"""The ids of builds in the order in which they are written: neither ascending nor descending."""


async def build_at(log: EventLog, name: str, seconds: float, ref: str = "p", *, completed: bool = True) -> None:
    """Writes a build that produces a partition, at a time."""
    one = await begin(log, name, ref, clock=lambda: seconds)
    await produce(one, 1, ref)
    if completed:
        await one.complete_build(Success(jobs_completed=1))


async def refuse_at(log: EventLog, name: str, seconds: float) -> None:
    """Writes a build that fails at once, with two events."""
    one = BuildOrchestrator(log, name, ["p"], clock=lambda: seconds)
    one.start_build(graph_label="//:g")
    await one.complete_build(Failed(message="no", category=pt.FAILURE_CATEGORY_USER))


def ids(reader: BuildReads, *, status: str | None = None, before: str | None = None, limit: int = 20) -> list[str]:
    return [build.build_request_id for build in reader.builds(status=status, before=before, limit=limit)]


@pytest.mark.parametrize("clock", [lambda number: 100.0 + number, lambda number: 100.0 - number, lambda _: 100.0])
async def test_the_build_that_was_recorded_last_comes_first_whatever_its_id_and_the_clock(
    log: EventLog, clock: Callable[[int], float]
) -> None:
    for number, name in enumerate(IDS):
        await build_at(log, name, clock(number), completed=number % 2 == 0)

    reader = log.reader()
    assert ids(reader) == [*reversed(IDS)]
    assert ids(reader, limit=1) == ["0"]
    assert ids(reader, status="COMPLETED") == [*reversed(IDS[::2])]
    assert ids(reader, status="EXECUTING") == [*reversed(IDS[1::2])]


async def test_every_build_is_on_one_page_while_builds_are_added(log: EventLog) -> None:
    for name in IDS:
        await build_at(log, name, 100.0)
    reader = log.reader()
    first = ids(reader, limit=2)
    completed = ids(reader, status="COMPLETED", limit=3)
    await build_at(log, "added", 50.0)
    await build_at(log, "zzzz", 200.0)

    second = ids(reader, before=first[-1], limit=2)
    rest = ids(reader, before=second[-1])
    assert [*first, *second, *rest] == [*reversed(IDS)]
    assert [*completed, *ids(reader, status="COMPLETED", before=completed[-1])] == [*reversed(IDS)]
    assert ids(reader, before=IDS[0]) == []


async def test_a_page_cannot_begin_after_a_build_that_the_log_does_not_have(log: EventLog) -> None:
    await build_at(log, "b", 100.0)

    for status in (None, "COMPLETED"):
        with pytest.raises(BuildNotFoundError, match="there is no build 'a'"):
            log.reader().builds(status=status, before="a")


async def test_the_newest_runs_of_a_job_and_of_a_partition_come_first(log: EventLog) -> None:
    for number, name in enumerate(IDS):
        await build_at(log, name, 100.0 + number)
    late = await begin(log, "1", "p", "q", clock=iter([150.0] * 12 + [160.0] * 20).__next__)
    await produce(late, 1, "p")
    await produce(late, 2, "q")

    reader = log.reader()
    of_partition = ["1.1.1", *(f"{name}.1.1" for name in reversed(IDS))]
    assert [run.job_run_id for run in reader.runs_of_job("//:j")] == ["1.2.1", *of_partition]
    assert [run.job_run_id for run in reader.runs_of_job("//:j", limit=2)] == ["1.2.1", "1.1.1"]
    assert [run.job_run_id for run in reader.produced_by("p")] == of_partition
    assert [run.job_run_id for run in reader.produced_by("p", limit=3)] == of_partition[:3]
    assert [run.job_run_id for run in reader.produced_by("q")] == ["1.2.1"]


async def test_pruned_and_rebuilt_builds_keep_their_places(store: Store) -> None:
    log = open_event_log(store.uri)
    for name in IDS:
        await build_at(log, name, 100.0)
    with contextlib.closing(log.pruner()) as pruner:
        pruner.prune(IDS[1::2], 1000.0)
    await log.close()
    with contextlib.closing(store.write()) as writer:
        writer.rebuild()

    with contextlib.closing(open_reader(store.uri)) as reader:
        assert ids(reader) == [*reversed(IDS)]
        assert verify(reader).reported == ()


async def test_a_wrong_place_is_a_fault_of_the_log(store: Store) -> None:
    log = open_event_log(store.uri)
    await build_at(log, "b", 100.0)
    await log.close()
    store.execute("UPDATE builds SET first_position = 7")

    with contextlib.closing(open_reader(store.uri)) as reader:
        (fault,) = verify(reader).reported
    assert (fault.build_request_id, fault.message) == (
        "b",
        "builds 'b' has 7 as first_position, and the events say 1",
    )


@pytest.mark.parametrize("pruned", [(), IDS[1:4], IDS[:2], IDS[1:], IDS])
async def test_a_log_of_version_3_gets_the_order_of_its_builds(store: Store, pruned: tuple[str, ...]) -> None:
    log = open_event_log(store.uri)
    for number, name in enumerate(IDS):
        await refuse_at(log, name, 100.0 + number)
    with contextlib.closing(log.pruner()) as pruner:
        pruner.prune(pruned, 1000.0)
    await log.close()
    store.make_older(3)
    log = open_event_log(store.uri)
    await refuse_at(log, "newest", 99.0)
    await log.close()

    with contextlib.closing(open_reader(store.uri)) as reader:
        assert ids(reader) == ["newest", *reversed(IDS)]
        assert ids(reader, status="FAILED") == ["newest", *reversed(IDS)]
        assert ids(reader, before=IDS[3]) == [*reversed(IDS[:3])]
        assert present(reader.build("Ada")).received_time == 103.0
        assert verify(reader).reported == ()


async def test_builds_in_one_place_are_on_one_page_each(store: Store) -> None:
    """Pruned builds of version 3 may have the place of another build, if their clocks did not agree."""
    log = open_event_log(store.uri)
    for name in IDS:
        await refuse_at(log, name, 100.0)
    await log.close()
    store.execute("UPDATE builds SET first_position = 5")

    with contextlib.closing(open_reader(store.uri)) as reader:
        first = ids(reader, limit=2)
        second = ids(reader, before=first[-1], limit=2)
        assert [*first, *second, *ids(reader, before=second[-1])] == sorted(IDS, reverse=True)
        assert ids(reader, status="FAILED", before=first[-1], limit=2) == second


async def test_runs_of_an_environment_and_of_its_base_are_merged_by_time(store: Store) -> None:
    async with logs_of(store) as (base, environment):
        await build_at(base, "m", 100.0)
        await build_at(environment, "zzz", 110.0)
        await build_at(base, "zz", 120.0)
        await build_at(environment, "a", 130.0)
        reader = environment.reader()

        expected = ["a.1.1", "zz.1.1", "zzz.1.1", "m.1.1"]
        assert [run.job_run_id for run in reader.runs_of_job("//:j")] == expected
        assert [run.job_run_id for run in reader.runs_of_job("//:j", limit=2)] == expected[:2]
        assert [run.job_run_id for run in reader.produced_by("p")] == expected
        assert [run.job_run_id for run in reader.produced_by("p", limit=3)] == expected[:3]
        assert ids(reader) == ["a", "zzz"]
        assert ids(reader, before="a") == ["zzz"]
