"""An event log in PostgreSQL: lost connections, rights, foreign databases and notifications."""

from __future__ import annotations

import asyncio
import copy
import signal
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import psycopg
import pytest

from databuild.errors import EventLogError, InvalidRequestError, InvalidStateTransitionError
from databuild.event_log.group_commit import Append
from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log, open_reader
from databuild.event_log.postgresql.connection import SCHEMA
from databuild.event_log.postgresql.log import PostgresqlEventLog
from databuild.event_log.postgresql.positions import LOCK_POSITIONS
from databuild.event_log.postgresql.reader import PostgresqlReader
from databuild.event_log.postgresql.writer import PostgresqlWriter
from databuild.event_log.sql_pruner import SqlPruner
from databuild.model.results import Failed, Success
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.v1 import events_pb2 as ev
from tests.postgresql.proxy import Proxy
from tests.postgresql.server import PASSWORD, Server
from tests.support.present import present
from tests.support.step_builds import begin, build, claim, produce


class Execute(Protocol):
    """Executes a statement in the database of a log."""

    def __call__(self, query: str, params: Sequence[object] = (), /) -> psycopg.Cursor[tuple[Any, ...]]: ...


@pytest.fixture
def uri(server: Server) -> str:
    return server.new_database()


@pytest.fixture
async def log(uri: str) -> AsyncIterator[EventLog]:
    opened = open_event_log(uri)
    yield opened
    await opened.close()


@pytest.fixture
def execute(uri: str) -> Iterator[Execute]:
    with psycopg.connect(uri, autocommit=True, options=f"-c search_path={SCHEMA}") as connection:
        yield connection.execute


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that only one test uses, so that it may be stopped."""
    running = Server()
    yield running
    running.close()


def database(uri: str) -> str:
    return uri.partition("@/")[2].partition("?")[0]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
async def test_a_build_survives_a_restart_of_the_server_without_lost_or_duplicate_events(
    own_server: Server, how: signal.Signals
) -> None:
    uri = own_server.new_database()
    log = open_event_log(uri)
    reader = log.reader()
    refs = [f"p{number}" for number in range(40)]
    one = await begin(log, "b", *refs)
    restarting = None

    def restart() -> None:
        own_server.stop(how)
        own_server.start()

    for number, ref in enumerate(refs, 1):
        if number in {5, 20}:
            if restarting is not None:
                restarting.join()
            restarting = threading.Thread(target=restart, daemon=True)
            restarting.start()
        await produce(one, number, ref)
        assert reader.partition_records([ref])[ref].available
    present(restarting).join()
    await one.complete_build(Success(jobs_completed=40))
    await log.close()

    events = reader.events("b")
    reader.close()
    assert [event.sequence for event in events] == list(range(1, one.state.last_sequence + 1))
    assert [event.partition.ref for event in events if event.partition.version] == refs


class Door(NamedTuple):
    """A proxy in front of the server, and the URI of a database behind it."""

    proxy: Proxy
    uri: str


@pytest.fixture
def door(server: Server) -> Iterator[Door]:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        proxy = Proxy(Path(folder), server.folder / "sockets")
        yield Door(proxy, server.new_database().replace(f"{server.folder}/sockets", folder))
        proxy.close()


async def test_events_whose_commit_was_not_answered_are_not_written_twice(door: Door) -> None:
    log = open_event_log(door.uri)
    one = await begin(log, "b", "p", "q")
    door.proxy.cuts = 1
    await produce(one, 1, "p")
    first = BuildOrchestrator(log, "new", ["p"])
    door.proxy.cuts = 2
    await first.start_build()
    taint = ev.BuildEvent(event_id="t/1", build_request_id="t", sequence=1, taint=ev.TaintEvent(author="ann"))
    door.proxy.cuts = 1
    await log.append([taint])
    await log.renew_lease("b", "here", 60)
    door.proxy.cuts = 1
    answer = await claim(log, "b", 2, "q")
    await produce(one, 2, "q")
    await one.complete_build(Success(jobs_completed=2))

    reader = log.reader()
    assert door.proxy.cuts == 0
    assert answer.token > 0
    assert [event.sequence for event in reader.events("b")] == list(range(1, one.state.last_sequence + 1))
    assert len(list(reader.all_events(limit=1000))) == one.state.last_sequence + 2 + 1
    assert present(reader.build("b")).jobs_completed == 2
    assert reader.partition_counts() == {"AVAILABLE": 2}
    await log.close()


async def test_events_that_were_not_committed_are_written_by_the_retry(door: Door) -> None:
    log = open_event_log(door.uri)
    door.proxy.early_cuts = 1
    await BuildOrchestrator(log, "b", ["p"]).start_build()
    await log.close()

    assert door.proxy.early_cuts == 0
    assert [event.sequence for event in open_reader(door.uri).events("b")] == [1, 2]


async def test_events_of_another_process_are_not_taken_for_those_in_doubt(door: Door) -> None:
    def write_the_same_build() -> None:
        event = ev.BuildEvent(event_id="b/1", build_request_id="b", sequence=1)
        event.build_request.status = ev.BUILD_STATUS_RECEIVED
        event.build_request.graph_label = "//:other"
        writer = PostgresqlWriter(door.uri)
        assert writer.write([Append([event])]) == [None]
        writer.close()

    log = open_event_log(door.uri)
    door.proxy.early_cuts = 1
    door.proxy.meanwhile = write_the_same_build

    with pytest.raises(InvalidStateTransitionError):
        await BuildOrchestrator(log, "b", ["p"]).start_build(graph_label="//:g")
    assert present(log.reader().build("b")).graph_label == "//:other"
    await log.close()


def test_a_lost_server_is_reported_and_used_again_when_it_is_back(own_server: Server) -> None:
    uri = own_server.new_database()
    writer, reader = PostgresqlWriter(uri, reconnect_seconds=0.2), PostgresqlReader(uri, reconnect_seconds=0.2)
    reader.connect()
    own_server.stop()
    append = ev.BuildEvent(build_request_id="b", sequence=1, taint=ev.TaintEvent(author="ann"))
    for failing in (lambda: writer.write([Append([append])]), reader.builds):
        with pytest.raises(
            EventLogError, match=r"the connection was lost, and .*check that the server is running"
        ) as raised:
            failing()
        assert PASSWORD not in str(raised.value)
    own_server.start()

    assert writer.write([Append([append])]) == [None]
    assert len(reader.events("b")) == 1
    writer.close()
    reader.close()


async def test_a_snapshot_of_a_partition_waits_for_transactions_that_change_it(
    log: EventLog, uri: str, execute: Execute
) -> None:
    await build(log, "b", "p")
    pruner = log.pruner()
    assert isinstance(pruner, SqlPruner)
    with psycopg.connect(uri, options=f"-c search_path={SCHEMA}") as other, ThreadPoolExecutor(1) as pool:
        other.execute("UPDATE partitions SET version = 'later'")
        keeping = pool.submit(pruner.save_snapshots, ["p"])
        while not execute("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchall():
            assert not keeping.done()
        other.commit()
        keeping.result()
    pruner.close()

    assert execute("SELECT version FROM partition_snapshots").fetchall() == [("later",)]


async def test_a_session_that_the_server_ends_is_reopened(log: EventLog, execute: Execute) -> None:
    one = await begin(log, "b", "p")
    execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = %s",
        (present(execute("SELECT current_database()").fetchone())[0],),
    )
    await produce(one, 1, "p")

    assert log.reader().partition_counts() == {"AVAILABLE": 1}


async def test_a_snapshot_fails_when_its_session_ends(log: EventLog, execute: Execute) -> None:
    await begin(log, "b", "p")
    reader = log.reader()
    with reader.snapshot():
        before = reader.partition_counts()
        execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = %s",
            (present(execute("SELECT current_database()").fetchone())[0],),
        )
        with pytest.raises(EventLogError):
            reader.partition_counts()

    assert before == {"SCHEDULED": 1}
    assert reader.partition_counts() == {"SCHEDULED": 1}
    reader.close()


async def test_a_writer_that_is_suspended_in_a_transaction_loses_its_session(log: EventLog) -> None:
    await begin(log, "b", "p")

    assert isinstance(log, PostgresqlEventLog)
    limit = log._writer._connection.execute("SHOW idle_in_transaction_session_timeout").fetchone()
    assert limit == ("10s",)


async def test_two_processes_cannot_write_one_build(log: EventLog, uri: str) -> None:
    one = await begin(log, "b", "p")
    elsewhere = open_event_log(uri)
    other = BuildOrchestrator(elsewhere, "b", ["p"], state=copy.deepcopy(one.state))
    await other.emit_job_scheduled("b.1.2", 1, "//:j")
    result = await asyncio.gather(one.emit_job_scheduled("b.1.1", 1, "//:j"), return_exceptions=True)
    await elsewhere.close()

    assert "which another process writes" in str(result[0])
    assert log.reader().job_run("b.1.1") is None


async def test_a_follower_does_not_read_past_positions_of_open_transactions(
    log: EventLog, execute: Execute, uri: str
) -> None:
    await BuildOrchestrator(log, "b1", ["p"]).start_build()
    reader = log.reader()
    seen = [position for position, _ in reader.all_events()]
    taint = ev.BuildEvent(event_id="t/1", build_request_id="t", sequence=1, taint=ev.TaintEvent(author="ann"))
    with psycopg.connect(uri, options=f"-c search_path={SCHEMA}") as slow:
        slow.execute(LOCK_POSITIONS)
        slow.execute(
            "INSERT INTO events (build_request_id, sequence, payload) VALUES ('t', 1, %s)",
            (taint.SerializeToString(),),
        )
        await BuildOrchestrator(log, "b2", ["p"]).start_build()
        early = list(reader.all_events(after_position=seen[-1]))
        slow.commit()
    late = list(reader.all_events(after_position=seen[-1]))

    assert early == []
    assert [event.build_request_id for _, event in late] == ["t", "b2", "b2"]


async def test_followers_of_many_writers_see_every_event(uri: str) -> None:
    logs = [open_event_log(uri) for _ in range(6)]
    reader = open_reader(uri)
    seen, running = [], True

    def follow() -> None:
        after = 0
        while True:
            ended = not running
            for position, event in reader.all_events(after_position=after):
                after = position
                seen.append((event.build_request_id, event.sequence))
            if ended:
                return

    following = threading.Thread(target=follow, daemon=True)
    following.start()

    async def write(number: int, log: EventLog) -> None:
        for count in range(20):
            await begin(log, f"b{number}-{count:02}", "p", f"q{number}")
        await log.close()

    await asyncio.gather(*(write(number, log) for number, log in enumerate(logs)))
    running = False
    following.join()
    written = [(event.build_request_id, event.sequence) for _, event in reader.all_events(limit=10_000)]
    reader.close()

    assert seen == written


async def test_builds_over_the_same_partitions_in_another_order_all_end(uri: str) -> None:
    logs = [open_event_log(uri) for _ in range(4)]
    refs = [f"p{number}" for number in range(30)]

    async def build(number: int, log: EventLog) -> None:
        for count in range(5):
            name = f"b{number}-{count}"
            order = refs if number % 2 else refs[::-1]
            one = await begin(log, name, *order)
            await asyncio.gather(*(produce(one, place, ref) for place, ref in enumerate(order, 1)))
            await one.complete_build(Success(jobs_completed=30))
        await log.close()

    await asyncio.gather(*(build(number, log) for number, log in enumerate(logs)))
    reader = open_reader(uri)

    assert len(reader.builds(status="COMPLETED", limit=100)) == 20
    assert reader.partition_counts() == {"AVAILABLE": 30}
    reader.close()


def test_a_wrong_password_is_not_shown(server: Server, uri: str) -> None:
    wrong = server.uri(database(uri), password="wr0ng&secret")
    with pytest.raises(EventLogError, match="check the user, and the password") as raised:
        open_event_log(wrong)

    assert "wr0ng" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_the_password_may_come_from_elsewhere(
    server: Server, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = uri.replace(uri.partition("//databuild")[2].partition("@")[0], "")
    secrets = tmp_path / "pgpass"
    escaped = PASSWORD.replace(":", "\\:")
    secrets.write_text(f"*:*:*:*:{escaped}\n")
    secrets.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(secrets))

    assert open_reader(without).builds() == []


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("postgresql://ann:secret@/db?host=/nowhere", "check that the server is running"),
        ("postgresql://ann:secret@127.0.0.1:1/db", "check that the server is running"),
        ("postgres://ann:secret@nowhere.invalid/db", "check that the server is running"),
    ],
)
def test_a_server_that_cannot_be_reached_is_named(uri: str, said: str) -> None:
    for opening in (open_event_log, open_reader):
        with pytest.raises(EventLogError, match=said) as raised:
            opening(uri)
        assert "secret" not in str(raised.value)
        assert "postgresql://ann@" in str(raised.value)


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://ann:secret@host/db?pasword=secret",
        "postgresql://ann:sec@secret@host/db",
        "postgresql://ann:1/secret@host/db",
        "postgresql://ann:secret/@host/db",
        "postgresql://ann:secret@host:port/db",
        "postgresql://ann:%@secret",
        "postgressql://ann:secret@host/db?sslpassword=secret",
        "postgresql:ann:secret@host/db",
    ],
)
def test_an_invalid_uri_is_refused_with_the_form_and_not_shown(uri: str) -> None:
    with pytest.raises(InvalidRequestError, match="postgresql://USER@HOST") as raised:
        open_event_log(uri)

    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_missing_database_is_named(server: Server) -> None:
    with pytest.raises(EventLogError, match='"nothing" does not exist; create it with `createdb`'):
        open_event_log(server.uri("nothing"))


def test_a_read_only_database_is_read_and_not_written(uri: str, execute: Execute) -> None:
    execute(f"ALTER DATABASE {database(uri)} SET default_transaction_read_only = on")

    assert open_reader(uri).builds() == []
    with pytest.raises(EventLogError, match="read-only; name the primary"):
        open_event_log(uri)


async def test_a_database_that_becomes_read_only_writes_nothing(log: EventLog, uri: str, execute: Execute) -> None:
    one = await begin(log, "b", "p")
    assert isinstance(log, PostgresqlEventLog)
    log._writer._connection.execute("SET default_transaction_read_only = on")

    with pytest.raises(EventLogError, match="name the primary in the URI, or make the server writable"):
        await one.emit_job_scheduled("b.1.1", 1, "//:j")
    assert log.reader().job_run("b.1.1") is None


def test_a_database_that_is_not_unicode_is_refused(server: Server) -> None:
    with pytest.raises(EventLogError, match="ENCODING 'UTF8'"):
        open_event_log(server.new_database("ENCODING 'SQL_ASCII' TEMPLATE template0"))


async def test_missing_rights_are_named_and_the_minimum_suffices(server: Server, uri: str, execute: Execute) -> None:
    execute("CREATE ROLE weak LOGIN PASSWORD 'weak'")
    weak = server.uri(database(uri), user="weak", password="weak")
    with pytest.raises(EventLogError, match="CREATE SCHEMA databuild AUTHORIZATION"):
        open_event_log(weak)
    execute("CREATE SCHEMA databuild AUTHORIZATION weak")
    log = open_event_log(weak)
    await begin(log, "b", "p")
    await log.close()
    execute("DROP OWNED BY weak")
    execute("DROP ROLE weak")


async def test_nul_in_text_is_replaced(log: EventLog) -> None:
    one = BuildOrchestrator(log, "b", ["p"])
    await one.start_build()
    await one.complete_build(Failed(message="a\0b\\u0000c"))

    reader = log.reader()
    assert present(present(reader.build("b")).failure).message == "a\ufffdb\\u0000c"
    assert reader.events("b")[-1].build_request.failure.message == "a\0b\\u0000c"


async def test_a_rebuild_and_writers_wait_for_each_other(log: EventLog, uri: str) -> None:
    stopped = False

    async def write() -> None:
        count = 0
        while not stopped:
            one = await begin(log, f"b{count:03}", "p", "q")
            await produce(one, 1, "p")
            count += 1

    writing = asyncio.create_task(write())
    writer = PostgresqlWriter(uri)
    for _ in range(5):
        await asyncio.to_thread(writer.rebuild)
    stopped = True
    await writing
    before = log.reader().partition_counts()
    writer.rebuild()
    writer.close()

    assert log.reader().partition_counts() == before == {"AVAILABLE": 1, "SCHEDULED": 1}


async def test_concurrent_opens_of_a_new_database_create_its_tables_once(server: Server) -> None:
    uri = server.new_database()
    logs = await asyncio.gather(*(asyncio.to_thread(open_event_log, uri) for _ in range(8)))
    for log in logs:
        await log.close()

    assert open_reader(uri).builds() == []
