"""Every event log has an index of the partitions that were made from an input."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence

import pytest

from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log, open_pruner, open_reader
from databuild.event_log.postgresql import connection as postgresql
from databuild.event_log.reads import Reader
from databuild.event_log.verify import verify
from databuild.model.paging import read_rows
from databuild.model.results import Success
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.events.payloads import job_event
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.postgresql.server import Server
from tests.support.step_builds import adopt, begin, take_over
from tests.support.stores import Store


async def make(
    one: BuildOrchestrator,
    number: int,
    *refs: str,
    inputs: Sequence[str] = (),
    query: Sequence[str] = (),
    versions: Mapping[str, str] | None = None,
) -> None:
    """Writes the events of a task that produces partitions from inputs."""
    run = f"{one.build_request_id}.{number}.1"
    one.emit_job_scheduled(run, number, "//:j")
    running = job_event(run, number, "//:j", ev.JOB_STATUS_RUNNING)
    for ref in inputs:
        running.manifest.inputs.add(ref=ref, version=(versions or {}).get(ref, "1"))
    for ref in query:
        running.manifest.inputs.add(ref=ref, version="1", query=True)
    one.emit(("job", running))
    for ref in refs:
        one.emit_partition_building(ref, number, run)
    one.emit_job_completed(run, number, "//:j")
    for ref in refs[:-1]:
        one.emit_partition_available(ref, number, run)
    await one.emit_partition_available(refs[-1], number, run)


def users(reader: Reader, ref: str) -> set[tuple[str, str, bool]]:
    """Returns the partitions that were made from an input, with the version and kind of the input."""
    start: tuple[str, str, str] | None = None
    uses = read_rows(
        lambda after, limit: reader.uses([ref], after=after, limit=limit), key=lambda use: use.key, start=start
    )
    return {
        (output, use.version, use.query)
        for use in uses
        for output in ([use.output] if use.output else [ref for _, ref in reader.outputs_of_runs([use.job_run_id])])
    }


@pytest.fixture
def reader(log: EventLog) -> Iterator[Reader]:
    opened = log.reader()
    yield opened
    opened.close()


async def test_the_users_of_an_input_are_the_outputs_of_the_runs_that_read_it(log: EventLog, reader: Reader) -> None:
    one = await begin(log, "b", "p", "q", "r")
    await make(one, 1, "p", "q", inputs=["in", "other"], query=["seen"], versions={"in": "7"})
    await make(one, 3, "r", inputs=["p"])

    assert users(reader, "in") == {("p", "7", False), ("q", "7", False)}
    assert users(reader, "seen") == {("p", "1", True), ("q", "1", True)}
    assert users(reader, "p") == {("r", "1", False)}
    assert users(reader, "r") == users(reader, "unknown") == set()
    assert verify(reader).reported == ()


async def test_data_that_was_replaced_is_no_user_any_more(log: EventLog, reader: Reader) -> None:
    for number in range(5):
        one = await begin(log, f"b{number}", "p", "q")
        await make(one, 1, "p", "q", inputs=["in"] if number < 4 else ["new"])
    assert users(reader, "in") == set()
    assert users(reader, "new") == {("p", "1", False), ("q", "1", False)}

    two = await begin(log, "c", "p")
    await make(two, 1, "p", inputs=["in"])

    assert users(reader, "in") == {("p", "1", False)}
    assert users(reader, "new") == {("q", "1", False)}  # the run still has one of its outputs
    assert [use.job_run_id for use in reader.uses(["in", "new"])] == ["c.1.1", "b4.1.1"]
    assert verify(reader).reported == ()


async def test_outputs_that_a_run_finishes_one_by_one_are_all_users(log: EventLog, reader: Reader) -> None:
    one = await begin(log, "b", "p", "q")
    one.emit_job_scheduled("b.1.1", 1, "//:j")
    running = job_event("b.1.1", 1, "//:j", ev.JOB_STATUS_RUNNING)
    running.manifest.inputs.add(ref="in", version="1")
    await one.emit(("job", running))
    for ref in ("p", "q"):
        one.emit_partition_building(ref, 1, "b.1.1")
    await one.emit_partition_available("p", 1, "b.1.1")
    assert users(reader, "in") == {("p", "1", False)}
    await one.emit_partition_available("q", 1, "b.1.1")

    assert users(reader, "in") == {("p", "1", False), ("q", "1", False)}


async def test_a_run_that_failed_uses_nothing(log: EventLog, reader: Reader) -> None:
    one = await begin(log, "b", "p")
    one.emit_job_scheduled("b.1.1", 1, "//:j")
    running = job_event("b.1.1", 1, "//:j", ev.JOB_STATUS_RUNNING)
    running.manifest.inputs.add(ref="in", version="1")
    one.emit(("job", running))
    one.emit_partition_building("p", 1, "b.1.1")
    no = pt.Failure(category=pt.FAILURE_CATEGORY_USER, message="no")
    one.emit_job_failed("b.1.1", 1, "//:j", no)
    await one.emit_partition_failed("p", no, 1, "b.1.1")

    assert users(reader, "in") == set()


async def test_an_input_that_a_manifest_has_twice_counts_once(log: EventLog, reader: Reader) -> None:
    one = await begin(log, "b", "p")
    await make(one, 1, "p", inputs=["in"], query=["in"])

    assert users(reader, "in") == {("p", "1", False)}
    assert verify(reader).reported == ()


async def test_adopted_partitions_count_if_they_came_with_a_manifest(log: EventLog, reader: Reader) -> None:
    manifest = pt.Manifest(job_label="//:j", inputs=[pt.InputVersion(ref="in", version="7")])
    records = [ev.AdoptedRecord(ref=ref, version="1", manifest=manifest) for ref in ("p", "q")]
    await take_over(log, "o", *records)
    await adopt(log, "o2", "r")
    assert users(reader, "in") == {("p", "7", False), ("q", "7", False)}

    one = await begin(log, "b", "p")
    await make(one, 1, "p", inputs=["other"])
    await adopt(log, "o3", "q", force=True)

    assert users(reader, "in") == set()
    assert users(reader, "other") == {("p", "1", False)}
    await take_over(log, "o4", records[0], force=True)
    assert users(reader, "in") == {("p", "7", False)}
    assert users(reader, "other") == set()
    assert verify(reader).reported == ()


async def test_pages_of_uses_and_outputs_follow_each_other_by_key(log: EventLog, reader: Reader) -> None:
    refs = [f"p{number}" for number in range(6)]
    one = await begin(log, "b", *refs)
    for number, ref in enumerate(refs[:4], 1):
        await make(one, number, ref, inputs=["a", "b"] if number % 2 else ["b"])
    await make(one, 5, *refs[4:], inputs=["c"])

    pages = []
    after: tuple[str, str, str] | None = None
    while page := reader.uses(["c", "a", "b"], after=after, limit=2):
        pages.append([(use.input, use.job_run_id) for use in page])
        after = page[-1].key
    assert pages == [
        [("a", "b.1.1"), ("a", "b.3.1")],
        [("b", "b.1.1"), ("b", "b.2.1")],
        [("b", "b.3.1"), ("b", "b.4.1")],
        [("c", "b.5.1")],
    ]
    runs = ["b.5.1", "b.1.1", "b.9.1"]
    assert reader.outputs_of_runs(runs, limit=2) == [("b.1.1", "p0"), ("b.5.1", "p4")]
    assert reader.outputs_of_runs(runs, after=("b.5.1", "p4"), limit=2) == [("b.5.1", "p5")]
    assert reader.outputs_of_runs([""]) == []


async def test_uses_survive_the_pruning_of_their_builds_and_a_rebuild(store: Store) -> None:
    log = open_event_log(store.uri)
    manifest = pt.Manifest(job_label="//:j", inputs=[pt.InputVersion(ref="in", version="7")])
    await take_over(log, "o", ev.AdoptedRecord(ref="s", version="1", manifest=manifest))
    one = await begin(log, "b1", "p", "q")
    await make(one, 1, "p", inputs=["in"])
    await make(one, 2, "q", inputs=["in"])
    await one.complete_build(Success(jobs_completed=2))
    two = await begin(log, "b2", "q")
    await make(two, 1, "q", inputs=["in", "p"])
    await two.complete_build(Success(jobs_completed=1))
    with contextlib.closing(open_reader(store.uri)) as reader:
        before = reader.uses(["in", "p"])
    with contextlib.closing(open_pruner(store.uri)) as pruner:
        pruner.prune(["b1"], 1.0)
    with contextlib.closing(store.write()) as writer:
        writer.rebuild()

    with contextlib.closing(open_reader(store.uri)) as reader:
        assert reader.uses(["in", "p"]) == before
        assert len(before) == 4
        assert verify(reader).reported == ()
    three = await begin(log, "b3", "p")
    await make(three, 1, "p", inputs=["else"])
    await log.close()
    with contextlib.closing(open_reader(store.uri)) as reader:
        assert users(reader, "in") == {("s", "7", False), ("q", "1", False)}
        assert verify(reader).reported == ()


async def test_builds_that_replace_the_last_partitions_of_a_run_at_once_leave_none_of_its_uses(store: Store) -> None:
    log, other = open_event_log(store.uri), open_event_log(store.uri)
    for turn in range(10):
        one = await begin(log, f"a{turn}", "p", "q")
        await make(one, 1, "p", "q", inputs=["in"])
        two, three = await begin(log, f"b{turn}", "p"), await begin(other, f"c{turn}", "q")
        await asyncio.gather(make(two, 1, "p", inputs=["x"]), make(three, 1, "q", inputs=["x"]))
    await log.close()
    await other.close()

    with contextlib.closing(open_reader(store.uri)) as reader:
        assert reader.uses(["in"]) == []
        assert users(reader, "x") == {("p", "1", False), ("q", "1", False)}


async def test_postgresql_looks_uses_up_by_key_also_without_statistics(server: Server) -> None:
    uri = server.new_database()
    await open_event_log(uri).close()
    with contextlib.closing(postgresql.connect_for_writing(uri)) as connection:
        names = {"uses_of_inputs", "outputs_of_runs", "new_uses_of_runs", "remove_uses_of_runs"}
        plans = {
            name: connection.execute(
                f"EXPLAIN {postgresql.QUERIES[name]}".encode(), {"keys": '["b.1.1"]', "limit": 10}
            ).fetchall()
            for name in names
        }

    for name, rows in plans.items():
        plan = "\n".join(line for (line,) in rows)
        keys = {"uses_of_inputs": ["input = k.value"], "outputs_of_runs": ["job_run_id = k.value"]}
        for key in keys.get(name, ["job_run_id = (k.value)::text", "job_run_id = r.job_run_id"]):
            assert f"Index Cond: ({key})" in plan or f"AND ({key})" in plan, f"{name}\n{plan}"
        assert "Seq Scan" not in plan


async def test_many_outputs_share_the_uses_of_their_run(log: EventLog, reader: Reader) -> None:
    outputs = [f"out/{number:05}" for number in range(3000)]
    one = await begin(log, "b", *outputs)
    await make(one, 1, *outputs, inputs=[f"in/{number:05}" for number in range(3000)])

    # A row for each input, not for each pair of an input and an output.
    assert len(reader.uses([f"in/{number:05}" for number in range(3000)], limit=10_000)) == 3000
    assert len(reader.outputs_of_runs(["b.1.1"], limit=10_000)) == 3000
