"""The graph by job with counts of partitions, which all requests share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar, cast

import pytest

from databuild.event_log.reads import PartitionReads
from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.declared.declaration import Declaration
from databuild.model.graph_view import GraphView, PartitionCounts
from databuild.model.records import PartitionRecord
from databuild.service.builds.requests import Submission
from databuild.service.graph.graph_records import GraphRecords, partition_counts
from databuild.service.resources.limits import Limits
from databuild.service.resources.reader_pool import ReaderPool
from tests.support.present import present
from tests.support.world import World

_T = TypeVar("_T")


class Reader:
    """Partitions with statuses; remembers the counts and the reads."""

    def __init__(self, statuses: Mapping[str, str]) -> None:
        self.statuses = dict(sorted(statuses.items()))
        self.counted: list[str] = []
        self.read: list[str] = []

    def counts_under(self, prefix: str) -> dict[str, int]:
        self.counted.append(prefix)
        found = [status for ref, status in self.statuses.items() if ref.startswith(prefix)]
        return {status: found.count(status) for status in sorted(set(found))}

    def statuses_under(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[tuple[str, str]]:
        self.read.append(prefix)
        rows = [(ref, status) for ref, status in self.statuses.items() if ref.startswith(prefix) and ref > after]
        return rows[:limit]

    def partitions(self, **_: object) -> list[PartitionRecord]:
        return []


class Pool:
    """Reads in this thread; a read may wait at a gate."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.reads = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def read(self, query: Callable[[Reader], _T]) -> _T:
        self.reads += 1
        await self.gate.wait()
        return query(self.reader)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def catalog(**outputs: Iterable[str]) -> JobCatalog:
    jobs = {
        f"//:{name}": Job(label=f"//:{name}", executable=name, outputs=tuple(texts), declaration=Declaration())
        for name, texts in outputs.items()
    }
    return JobCatalog(graph_label="//:g", jobs=jobs)


def test_partitions_are_counted_by_the_beginning_of_their_refs() -> None:
    reader = Reader({"day/2013-01-01": "AVAILABLE", "day/2013-01-02": "FAILED", "other/1": "AVAILABLE"})

    counts = partition_counts(
        cast("PartitionReads", reader), catalog(day=["day/{d:date}"], none=["none/{n}"], lookup=[]), 10
    )

    assert counts == {
        "//:day": PartitionCounts({"AVAILABLE": 1, "FAILED": 1}),
        "//:none": PartitionCounts({}),
    }
    assert reader.counted == ["day/", "none/"]
    assert reader.read == []


def test_several_patterns_of_one_job_are_counted_once() -> None:
    reader = Reader({"day/a/1": "AVAILABLE", "day/b/1": "AVAILABLE", "day/c": "AVAILABLE"})

    counts = partition_counts(cast("PartitionReads", reader), catalog(day=["day/a/{n}", "day/{n}", "day/b/{n}"]), 10)

    assert counts == {"//:day": PartitionCounts({"AVAILABLE": 3})}


def test_refs_are_matched_where_the_patterns_of_several_jobs_begin_alike() -> None:
    refs = {"sum/1": "AVAILABLE", "sum/a": "FAILED", "sum/x/1": "TAINTED", "sum/2013-01": "AVAILABLE"}
    jobs = catalog(number=["sum/{n:int}"], nested=["sum/x/{n}"], month=["sum/{m:month}"], other=["z/{n}"])

    counts = partition_counts(cast("PartitionReads", Reader(refs)), jobs, 10)

    assert counts == {
        "//:number": PartitionCounts({"AVAILABLE": 1}),
        "//:nested": PartitionCounts({"TAINTED": 1}),
        "//:month": PartitionCounts({"AVAILABLE": 1}),
        "//:other": PartitionCounts({}),
    }


@pytest.mark.parametrize(("refs", "complete"), [(10, True), (11, False)])
def test_counts_of_matched_refs_are_incomplete_beyond_a_maximum(refs: int, complete: bool) -> None:
    reader = Reader({f"sum/{number}": "AVAILABLE" for number in range(refs)})

    counts = partition_counts(
        cast("PartitionReads", reader), catalog(number=["sum/{n:int}"], letters=["sum/{n:/[a-z]+/}"]), 10
    )

    assert counts == {
        "//:number": PartitionCounts({"AVAILABLE": 10}, complete),
        "//:letters": PartitionCounts({}, complete),
    }


def graph_records(statuses: Mapping[str, str], patience_seconds: float = 0.05) -> tuple[GraphRecords, Pool, Clock]:
    clock = Clock()
    pool = Pool(Reader(statuses))
    readers = cast("ReaderPool", pool)
    graph = GraphRecords(catalog(day=["day/{d:date}"]), Limits(), readers, clock, patience_seconds)
    return graph, pool, clock


async def passes() -> None:
    """Runs everything on the event loop that is ready."""
    for _ in range(20):
        await asyncio.sleep(0)


def available(view: GraphView) -> int:
    return present(view.jobs[0].counts).by_status.get("AVAILABLE", 0)


async def test_without_records_the_event_log_is_not_read() -> None:
    graph, pool, _ = graph_records({"day/2013-01-01": "AVAILABLE"})

    view = await graph.view(records=False)

    assert view.jobs[0].counts is None
    assert pool.reads == 0


async def test_counts_are_shared_for_a_while_and_then_renewed() -> None:
    graph, pool, clock = graph_records({"day/2013-01-01": "AVAILABLE"})
    await asyncio.gather(*[graph.view(records=True) for _ in range(3)])
    pool.reader.statuses["day/2013-01-02"] = "AVAILABLE"

    shared = await graph.view(records=True)
    clock.now += 1.1
    renewed = await graph.view(records=True)

    assert (available(shared), available(renewed), pool.reads) == (1, 2, 2)


async def test_a_slow_count_takes_a_twentieth_of_the_time() -> None:
    graph, pool, clock = graph_records({"day/2013-01-01": "AVAILABLE"})
    pool.gate.clear()
    first = asyncio.create_task(graph.view(records=True))
    while not pool.reads:
        await asyncio.sleep(0)
    clock.now += 1.0
    pool.gate.set()
    await first

    clock.now += 18.9
    await graph.view(records=True)
    assert pool.reads == 1
    clock.now += 0.2
    await graph.view(records=True)
    assert pool.reads == 2


async def test_a_request_gets_recent_counts_while_others_are_being_made() -> None:
    graph, pool, clock = graph_records({"day/2013-01-01": "AVAILABLE"}, patience_seconds=0)
    await graph.view(records=True)
    pool.reader.statuses["day/2013-01-02"] = "AVAILABLE"
    clock.now += 2
    pool.gate.clear()

    recent = await graph.view(records=True)
    pool.gate.set()
    await passes()
    renewed = await graph.view(records=True)

    assert (available(recent), available(renewed), pool.reads) == (1, 2, 2)


async def test_a_request_waits_if_the_counts_are_too_old() -> None:
    graph, pool, clock = graph_records({"day/2013-01-01": "AVAILABLE"}, patience_seconds=0)
    await graph.view(records=True)
    pool.reader.statuses["day/2013-01-02"] = "AVAILABLE"
    clock.now += 60
    pool.gate.clear()

    waiting = asyncio.create_task(graph.view(records=True))
    await passes()
    assert not waiting.done()
    pool.gate.set()

    assert available(await waiting) == 2


async def test_recorded_inputs_of_jobs_with_config_are_edges(tmp_path: Path) -> None:
    world = World(tmp_path)
    readers = ReaderPool(world.log.reader)
    try:
        before = await world.service.graph.view(records=True)
        view = await world.builds.submit(Submission(partitions=("clean/1", "clean/2", "day/2013-01-01")))
        await world.ended(view.build.build_request_id)
        after = await GraphRecords(world.service.catalog, Limits(), readers).view(records=True)
    finally:
        readers.close()
        await world.close()

    assert before.edges == ()
    assert [(edge.upstream_job_label, edge.job_label, edge.kind) for edge in after.edges] == [
        ("//:raw", "//:clean", "RECORDED")
    ]
    assert [(job.job_label, present(job.counts).by_status) for job in after.jobs] == [
        ("//:clean", {"AVAILABLE": 2}),
        ("//:day", {"AVAILABLE": 1}),
        ("//:raw", {"AVAILABLE": 2}),
    ]
