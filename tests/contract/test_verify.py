"""Verification finds no faults in a correct log, and names every fault."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from databuild.errors import EventLogError
from databuild.event_log.coordination import ClaimRequest, Need
from databuild.event_log.invariants import MAX_FAULTS_PER_BUILD
from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log, open_reader
from databuild.event_log.tables import CLAIMS, EVENTS, HOLDINGS, LEASES, READ_MODELS, SHARERS, Table
from databuild.event_log.verify import MAX_REPORTED_FAULTS, verify
from databuild.model.results import Cancelled, Failed, Success
from databuild.model.views import Verification
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.events.payloads import job_event
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.contract.payloads import Payload, job, partition, received, status, whole_build
from tests.support.present import present
from tests.support.step_builds import begin, claim, produce
from tests.support.stores import Store


async def write_builds(log: EventLog) -> None:
    """Writes one build of each kind of end, a running one, a taint and a request to cancel."""
    one = await begin(log, "b1", "p", "q")
    await log.renew_lease("b1", "here", 60)
    await claim(log, "b1", 1, "p")
    await produce(one, 1, "p", rows=1, schema={"$type": "schema", "columns": [["day", "DATE"]]})
    await produce(one, 2, "q")
    await one.complete_build(Success(jobs_completed=2))
    two = await begin(log, "b2", "p", "q", "r", "s")
    two.emit_job_scheduled("b2.1.1", 1, "//:j")
    two.emit_job_running("b2.1.1", 1, "//:j")
    two.emit_partition_building("p", 1, "b2.1.1")
    two.emit_placement("b2.1.1", executor="dask://engine:1", handle="h")
    two.emit_start("b2.1.1", machine="m1", queued_seconds=1.5)
    no = pt.Failure(category=pt.FAILURE_CATEGORY_USER, message="no\0!")
    check = pt.CheckResult(name="c", severity=pt.CheckResult.SEVERITY_WARNING, ref="p", message="few")
    two.emit(("check", ev.CheckEvent(job_run_id="b2.1.1", result=check)))
    failed = job_event("b2.1.1", 1, "//:j", ev.JOB_STATUS_FAILED, failure=no)
    failed.metrics.add(name="rows", value=0.5, unit="s", ref="p")
    two.emit(("job", failed))
    two.emit_partition_failed("p", no, 1, "b2.1.1")
    two.emit_delegation("b1", "//:j", ["q"])
    await two.complete_build(Failed(jobs_failed=1, message="no"))
    three = BuildOrchestrator(log, "b3", ["p"], clock=lambda: 100.0)
    three.start_build(graph_label="//:g", retry_of="b2")
    await three.complete_build(Cancelled(author="ann"))
    four = await begin(log, "b4", "r")
    await log.renew_lease("b4", "here", 60)
    await log.claim([ClaimRequest("b4", "b4.1.1", ("r",), (Need("cpu", 1, 2),))])
    four.emit_job_scheduled("b4.1.1", 1, "//:j")
    await four.emit_job_running("b4.1.1", 1, "//:j")
    taint = ev.TaintEvent(tainted=True, author="ann", reason="wrong", partitions=[pt.PartitionRef(str="q")])
    cancel = ev.CancelRequestEvent(target_build_request_id="b4", author="ann")
    for name, operation in (("t", {"taint": taint}), ("c", {"cancel_request": cancel})):
        await log.append([ev.BuildEvent(event_id=f"{name}/1", build_request_id=name, sequence=1, **operation)])


async def test_a_correct_log_has_no_faults(uri: str) -> None:
    log = open_event_log(uri)
    await write_builds(log)
    reader = log.reader()

    found = verify(reader)
    of_one = verify(reader, ["b1"])
    reader.close()
    await log.close()

    assert (found.builds, found.faults, found.reported) == (4, 0, ())
    assert (of_one.events, of_one.builds, of_one.faults) == (19, 1, 0)


async def test_a_log_has_no_faults_while_builds_run(uri: str) -> None:
    log = open_event_log(uri)
    done = asyncio.Event()

    async def build(name: str) -> None:
        for number in range(10):
            one = await begin(log, f"{name}{number}", f"p{name}", f"q{name}")
            await log.renew_lease(f"{name}{number}", "here", 60)
            await claim(log, f"{name}{number}", 1, f"p{name}")
            await produce(one, 1, f"p{name}")
            await produce(one, 2, f"q{name}")
            await one.complete_build(Success(jobs_completed=2))

    async def look() -> list[Verification]:
        reader = log.reader()
        found: list[Verification] = []
        while not done.is_set() or len(found) < 2:
            found.append(await asyncio.to_thread(verify, reader))
        reader.close()
        return found

    looking = asyncio.create_task(look())
    await asyncio.gather(build("a"), build("b"))
    done.set()
    found = await looking
    await log.close()

    assert [one.reported for one in found] == [()] * len(found)
    assert found[-1].builds > 0


async def test_read_models_do_not_depend_on_the_batches_of_events(uri: str) -> None:
    log = open_event_log(uri)
    first = await begin(log, "b1", "old", "new")
    await produce(first, 1, "old")
    await first.complete_build(Cancelled())
    mock = BuildOrchestrator.with_mock_event_log("b2", ["old", "new", "mine"], clock=lambda: 200.0)
    await mock.start_build(graph_label="//:g")
    await mock.start_planning()
    for number, ref in enumerate(("old", "new", "mine"), 1):
        await mock.emit_partition_scheduled(ref, number, pt.REASON_MISSING)
    await mock.complete_planning()
    await mock.start_execution()
    await mock.emit_delegation("b1", "//:j", ["old", "new"], running=True)
    await mock.emit_partition_scheduled("new", 2, pt.REASON_FAILED_BEFORE)
    await produce(mock, 2, "new")
    await mock.emit_job_scheduled("b2.3.1", 3, "//:j")
    await mock.emit_job_running("b2.3.1", 3, "//:j")
    await mock.emit_partition_building("mine", 3, "b2.3.1")
    await mock.emit_job_failed("b2.3.1", 3, "//:j", pt.Failure(message="no"))
    await mock.emit_partition_scheduled("mine", 3, pt.REASON_FAILED_BEFORE, "b2.3.1")
    await mock.complete_build(Failed(message="no"))
    for event in mock.emitted_events:
        await log.append([event])
    reader = log.reader()
    found = verify(reader)
    record = reader.partition_records(["old"])["old"]
    reader.close()
    await log.close()

    assert found.reported == ()
    assert (record.status, record.available, record.build_request_id) == ("AVAILABLE", True, "b2")


async def test_an_empty_log_has_no_faults(store: Store) -> None:
    reader = open_reader(store.uri)
    found = verify(reader)
    reader.close()

    assert found == (0, 0, 0, ())


async def test_a_snapshot_does_not_change(store: Store) -> None:
    log = open_event_log(store.uri)
    await begin(log, "b1", "p")
    reader = log.reader()
    with reader.snapshot():
        first = (reader.build("b2"), len(reader.rows(EVENTS)), reader.partition_counts())
        await begin(log, "b2", "q")
        again = (reader.build("b2"), len(reader.rows(EVENTS)), reader.partition_counts())
    after = (reader.build("b2"), len(reader.rows(EVENTS)), reader.partition_counts())
    reader.close()
    await log.close()

    assert first == again == (None, 6, {"SCHEDULED": 1})
    assert (present(after[0]).status, after[1:]) == ("EXECUTING", (12, {"SCHEDULED": 2}))


async def test_rows_are_paged_by_key(log_of_builds: Store) -> None:
    reader = open_reader(log_of_builds.uri)
    for table in (*READ_MODELS, EVENTS, CLAIMS, LEASES, HOLDINGS, SHARERS):
        found: list[tuple[Any, ...]] = []
        after: tuple[Any, ...] = ()
        while page := reader.rows(table, after=after, limit=2):
            assert len(page) <= 2
            found += page
            after = page[-1][: table.key_length]

        assert found == list(reader.rows(table))
        assert found == sorted(found, key=lambda row: row[: table.key_length])
        assert found
    reader.close()


async def test_every_column_of_every_table_is_compared(log_of_builds: Store) -> None:
    for table in (*READ_MODELS, EVENTS, CLAIMS, LEASES, HOLDINGS, SHARERS):
        assert set(table.columns) == log_of_builds.columns(table.name) - {"shard"}


@pytest.fixture
async def log_of_builds(store: Store) -> Store:
    log = open_event_log(store.uri)
    await write_builds(log)
    await log.close()
    return store


def told(store: Store, *builds: str) -> list[str]:
    """Returns the faults of a log, one sentence each."""
    reader = open_reader(store.uri)
    found = verify(reader, builds)
    reader.close()
    assert found.faults == len(found.reported) or found.faults > MAX_REPORTED_FAULTS == len(found.reported)
    return [fault.message for fault in found.reported]


def rebuild(store: Store) -> None:
    writer = store.write()
    with contextlib.suppress(EventLogError):  # from events that have no effect
        writer.rebuild()
    writer.close()


def broken(value: object) -> str:
    """Returns SQL for another value."""
    if value is None or isinstance(value, str):
        return "'wrong'"
    return "77"


@pytest.mark.parametrize("table", READ_MODELS, ids=lambda table: table.name)
async def test_a_column_that_contradicts_the_events_is_named(log_of_builds: Store, table: Table) -> None:
    store = log_of_builds
    reader = open_reader(store.uri)
    rows = reader.rows(table)
    reader.close()
    for index, column in enumerate(table.columns[table.key_length :], table.key_length):
        if column in {"pruned_time", "rows_left"}:
            continue  # written by pruning, not by events
        row = next((row for row in rows if row[index] not in {None, ""}), rows[0])
        where = " AND ".join(
            f"{name} = '{value}'" for name, value in zip(table.columns[: table.key_length], row, strict=False)
        )
        value = broken(row[index])
        if column in {"available", "tainted", "query", "passed"}:
            value = f"CASE WHEN {column} THEN FALSE ELSE TRUE END"
        elif column in {"exit_code", "stdout_bytes", "stderr_bytes"}:
            value = "77"
        store.execute(f"UPDATE {table.name} SET {column} = {value} WHERE {where}")
        name = " ".join(repr(part) for part in row[: table.key_length])
        sentences = told(store)

        assert [one for one in sentences if one.startswith(f"{table.name} {name} has ") and f" as {column}, " in one]
        rebuild(store)
        assert told(store) == []


@pytest.mark.parametrize("table", READ_MODELS, ids=lambda table: table.name)
async def test_a_missing_or_surplus_row_is_named(log_of_builds: Store, table: Table) -> None:
    key = table.columns[table.key_length - 1]
    reader = open_reader(log_of_builds.uri)
    row = reader.rows(table)[0]
    reader.close()
    names = [repr(part) for part in row[: table.key_length]]
    where = f"{key} = {names[-1]}"
    log_of_builds.execute(f"UPDATE {table.name} SET {key} = 'zz' WHERE {where}")
    sentences = told(log_of_builds)

    assert f"{table.name} {' '.join(names)} is missing" in sentences
    assert any(one.startswith(table.name) and "'zz' exists without an event" in one for one in sentences)


async def test_only_faults_of_the_selected_builds_are_reported(log_of_builds: Store) -> None:
    log_of_builds.execute("UPDATE builds SET jobs_failed = 5 WHERE build_request_id = 'b1'")

    assert told(log_of_builds, "b2", "b3") == []
    assert told(log_of_builds, "b1", "b3") == ["builds 'b1' has 5 as jobs_failed, and the events say 0"]


async def test_leases_claims_and_resources_of_ended_builds_are_named(log_of_builds: Store) -> None:
    log_of_builds.execute("INSERT INTO leases VALUES ('b1', 1, 'here', '')")
    log_of_builds.execute("INSERT INTO claims VALUES ('p', 'b2', 'b2.1.1', 3)")
    log_of_builds.execute("INSERT INTO sharers VALUES ('b1', 1, '[]', 1)")
    log_of_builds.execute("INSERT INTO holdings VALUES ('b1.9.1', 'cpu', 'b1', 1)")

    assert told(log_of_builds) == [
        "build b1 has ended and still has a lease",
        "build b2 has ended and still claims 'p' for job run b2.1.1",
        "build b1 has ended and still takes turns with resources",
        "job run b1.9.1 has ended and still holds the resource 'cpu'",
    ]


async def test_an_event_that_cannot_be_parsed_or_has_wrong_columns_is_named(log_of_builds: Store) -> None:
    store = log_of_builds
    junk = store.literal(b"\xff\xff")
    store.execute(f"UPDATE events SET payload = {junk} WHERE build_request_id = 't'")
    ((position,),) = store.execute("SELECT position FROM events WHERE build_request_id = 't'")
    store.execute("UPDATE events SET build_request_id = 'd' WHERE build_request_id = 'c'")
    sentences = told(store)

    assert sentences[:2] == [
        f"event 1 of build t, at position {position}, cannot be read",
        "event 1 of build d says that it is 'c/1', number 1 of 'c'",
    ]
    assert "partitions 'q' has " in sentences[2]


def insert(store: Store, name: str, sequence: int, payload: Payload) -> None:
    """Writes an event without the checks that would refuse it."""
    event = ev.BuildEvent(event_id=f"{name}/{sequence}", build_request_id=name, sequence=sequence, **payload)
    event.time.seconds = 100
    literal = store.literal(event.SerializeToString())
    store.execute(f"INSERT INTO events (build_request_id, sequence, payload) VALUES ('{name}', {sequence}, {literal})")


NamedPayload: TypeAlias = tuple[str, Payload]
Change: TypeAlias = Callable[[list[NamedPayload]], list[NamedPayload]]


def without(*names: str) -> Change:
    return lambda events: [(name, event) for name, event in events if name not in names]


def before(place: str, *inserted: Payload) -> Change:
    def change(events: list[NamedPayload]) -> list[NamedPayload]:
        index = [name for name, _ in events].index(place)
        return [*events[:index], *((place, event) for event in inserted), *events[index:]]

    return change


def moved(name: str, place: str) -> Change:
    def change(events: list[NamedPayload]) -> list[NamedPayload]:
        return before(place, dict(events)[name])(without(name)(events))

    return change


BROKEN: dict[str, tuple[Change, list[str]]] = {
    "nothing": (without(), []),
    "its first event": (
        without("received"),
        ["the first event of build b is not RECEIVED"],
    ),
    "what follows its end": (
        lambda events: [*events, ("more", partition("raw", "FAILED"))],
        ["event 19 of build b follows its end"],
    ),
    "an end of a job run": (
        without("2 completed"),
        ["job run b.2.1 has not ended, although its build has"],
    ),
    "an end of a partition": (
        without("sum available"),
        ["partition 'sum' has not ended in build b, although the build has"],
    ),
    "a second end of a job run": (
        before("completed", job("b.2.1", "CANCELLED")),
        ["event 18 of build b: CANCELLED cannot follow job run 'b.2.1' COMPLETED"],
    ),
    "a second end of a partition": (
        before("completed", partition("sum", "FAILED")),
        [
            "event 18 of build b: FAILED cannot follow partition 'sum' AVAILABLE",
            "event 19 of build b: build COMPLETED cannot follow a partition FAILED",
        ],
    ),
    "a step of the build": (
        without("planned"),
        ["event 6 of build b: build EXECUTING cannot follow build 'b' PLANNING"],
    ),
    "a step of a job run": (
        without("2 running", "sum building", "sum available", "sum scheduled"),
        ["event 13 of build b: COMPLETED cannot follow job run 'b.2.1' SCHEDULED"],
    ),
    "a step of a partition": (
        without("sum building"),
        ["event 16 of build b: AVAILABLE cannot follow partition 'sum' SCHEDULED"],
    ),
    "what a check is of": (
        before("completed", {"check": ev.CheckEvent(job_run_id="b.1.1")}),
        ["event 18 of build b: a check of job run 'b.1.1', which is not running cannot follow build 'b' EXECUTING"],
    ),
    "causes before effects": (
        moved("raw available", "completed"),
        ["job run b.2.1 ran before its input 'raw' was available"],
    ),
    "an input that was left to another build, which did not make it": (
        lambda events: without("1 scheduled", "1 running", "raw building", "1 completed", "raw available")(
            before("2 scheduled", partition("raw", "DELEGATED"))(events)
        ),
        ["job run b.2.1 ran before its input 'raw' was available"],
    ),
    "nothing where another build made an input": (
        lambda events: without("1 scheduled", "1 running", "raw building", "1 completed", "raw available")(
            before("2 scheduled", job("b.1.0", "SKIPPED"), partition("raw", "DELEGATED"))(events)
        ),
        [],
    ),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_a_broken_invariant_is_the_only_reported_fault(store: Store, what: str) -> None:
    change, sentences = BROKEN[what]
    await open_event_log(store.uri).close()
    for sequence, (_, payload) in enumerate(change(list(whole_build("b").items())), 1):
        insert(store, "b", sequence, payload)
    rebuild(store)

    # The effect of such events depends on how many are applied together, and without a first event there is none.
    found = [one for one in told(store) if one.split()[0] not in {table.name for table in READ_MODELS}]
    assert [one for one in found if "cannot be replayed" not in one] == sentences


async def test_a_gap_in_the_sequence_is_named(store: Store) -> None:
    await open_event_log(store.uri).close()
    for sequence, (name, payload) in enumerate(whole_build("b").items(), 1):
        if name != "graph":
            insert(store, "b", sequence, payload)
    rebuild(store)

    assert told(store) == ["event 6 of build b stands where number 5 should"]


async def test_two_builds_that_produce_one_partition_at_once_are_named(store: Store) -> None:
    await open_event_log(store.uri).close()
    one, two = (list(enumerate(whole_build(name).values(), 1)) for name in ("b1", "b2"))
    for name, events in (("b1", one[:10]), ("b2", two[:10]), ("b1", one[10:]), ("b2", two[10:])):
        for sequence, payload in events:
            insert(store, name, sequence, payload)
    rebuild(store)

    assert told(store) == ["job run b2.1.1 began to produce 'raw' while job run b1.1.1 was producing it"]


async def test_events_after_the_end_of_a_build_are_named(store: Store) -> None:
    await open_event_log(store.uri).close()
    events = whole_build("b")
    dead = [*list(events.values())[:10], job("b.1.1", "CANCELLED"), partition("raw", "FAILED")]
    for sequence, payload in enumerate([*dead, partition("sum", "FAILED"), status("FAILED")], 1):
        insert(store, "b", sequence, payload)
    insert(store, "b", 15, events["raw available"])
    rebuild(store)

    assert told(store) == ["event 15 of build b follows its end"]


async def test_further_faults_over_the_maximum_are_only_counted(store: Store) -> None:
    await open_event_log(store.uri).close()
    insert(store, "b", 1, received("p"))
    for number in range(MAX_FAULTS_PER_BUILD + 10):
        insert(store, "b", number + 2, partition(f"p{number}", "AVAILABLE"))
    rebuild(store)
    reader = open_reader(store.uri)
    found = verify(reader)
    reader.close()

    assert found.faults == MAX_FAULTS_PER_BUILD + 1
    assert len(found.reported) == MAX_REPORTED_FAULTS
