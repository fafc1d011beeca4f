"""Builds of declared jobs: the events and records that they leave."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from databuild.cli.display.event_text import canonical
from databuild.executors.executor import ProcessResult
from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.declared.declaration import Declaration
from databuild.model.results import Success
from tests.support.build_world import DONE, Report, World, config

RAW, SUM = "raw/{n:int}", "sum/{n:int}"


def graph(raw: Declaration | None, **total: Any) -> JobCatalog:
    declaration = Declaration(**total) if raw is not None else None
    jobs = [
        Job(label="//:raw", executable="raw", code_digest="1", outputs=(RAW,), declaration=raw),
        Job(label="//:sum", executable="sum", code_digest="1", outputs=(SUM,), declaration=declaration),
    ]
    return JobCatalog(graph_label="//:g", jobs={job.label: job for job in jobs})


async def test_a_batch_is_built_once_and_only_its_stale_outputs_again(world: World) -> None:
    world.catalog = graph(Declaration(), inputs=("raw/{n-1..n}",), batch_size=10)
    sums = [f"sum/{n}" for n in range(1, 5)]

    assert await world.build("b1", *sums) == Success(jobs_completed=6)
    assert await world.build("b2", *sums) == Success(jobs_completed=0)
    assert await world.build("b3", "raw/2", force=True) == Success(jobs_completed=1)
    assert await world.build("b4", *sums) == Success(jobs_completed=1)

    made = {ref: record.produced_by_build_request_id for ref, record in world.records(*sums).items()}
    assert made == {"sum/1": "b1", "sum/2": "b4", "sum/3": "b4", "sum/4": "b1"}


async def test_available_partitions_are_read_by_prefix_when_the_run_starts(world: World) -> None:
    world.catalog = graph(Declaration(), inputs=("raw/{n}",), query_inputs=("raw/{*}", "sum/1{*}"))
    await world.build("b1", "raw/1", "raw/2", "sum/11")
    failed = world.records("sum/11")["sum/11"]

    assert await world.build("b2", "sum/3") == Success(jobs_completed=2)

    manifest = world.records("sum/3")["sum/3"].manifest
    assert manifest is not None
    read = [(used.ref, used.version) for used in manifest.inputs if used.query]
    assert read == [
        ("raw/1", "b1.1.1"),
        ("raw/11", "b1.2.1"),
        ("raw/2", "b1.3.1"),
        ("raw/3", "b2.1.1"),
        ("sum/11", failed.version),
    ]


async def test_partitions_read_by_prefix_make_nothing_stale(world: World) -> None:
    world.catalog = graph(Declaration(), query_inputs=("raw/{*}",))
    await world.build("b1", "sum/1")
    await world.build("b2", "raw/1")

    assert await world.build("b3", "sum/1") == Success(jobs_completed=0)


async def test_a_run_may_check_an_input_that_it_found_by_prefix(world: World) -> None:
    world.catalog = graph(Declaration(), query_inputs=("raw/{*}",))
    await world.build("b1", "raw/1")

    def total(_env: Mapping[str, str], report: Report) -> ProcessResult:
        report({"check": {"name": "complete", "passed": True, "ref": "raw/1"}})
        return DONE

    world.executor.runs["//:sum"] = total

    assert await world.build("b2", "sum/1") == Success(jobs_completed=1)


async def test_tens_of_thousands_of_refs_are_requested_made_and_read_at_once(world: World) -> None:
    count = 50_000
    world.catalog = graph(Declaration(batch_size=count), inputs=(f"raw/{{n-{count - 1}..n}}",))
    raw = [f"raw/{n}" for n in range(count)]

    assert await world.build("b1", *raw, f"sum/{count - 1}") == Success(jobs_completed=2)
    assert await world.build("b2", *raw, f"sum/{count - 1}") == Success(jobs_completed=0)


@pytest.mark.parametrize("keep_going", [False, True])
async def test_a_declared_graph_leaves_the_events_of_a_configured_one(tmp_path: Path, keep_going: bool) -> None:
    left = []
    for name in ("declared", "configured"):
        world = World(tmp_path / name)
        world.catalog = graph(Declaration(args=("{n}",)), inputs=("raw/{n-1..n}",), args=("--of={n}",))
        if name == "configured":
            world.catalog = graph(None)
            for n in range(6):
                world.executor.configs[f"raw/{n}"] = config(f"raw/{n}", args=[str(n)])
                world.executor.configs[f"sum/{n}"] = config(f"sum/{n}", f"raw/{n - 1}", f"raw/{n}", args=[f"--of={n}"])
        await world.build("b1", "sum/2", "sum/5", keep_going=keep_going)
        await world.build("b2", "sum/2", "sum/3", keep_going=keep_going)
        await world.build("b3", "sum/3", force=True, keep_going=keep_going)
        reader = world.log.reader()
        left.append([text for build in ("b1", "b2", "b3") for text in canonical(reader.events(build))])
        await world.log.close()

    assert len(left[0]) > 50
    assert left[0] == left[1]
