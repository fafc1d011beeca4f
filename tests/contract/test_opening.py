"""Every event log can be opened again, by this process and by others, or the error explains why not."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from databuild.errors import (
    EventLogError,
    InvalidRequestError,
    InvalidStateTransitionError,
    SchemaTooNewError,
)
from databuild.event_log.log import EventLog
from databuild.event_log.open import described, open_event_log, open_reader
from databuild.event_log.sqlite.log import SqliteEventLog
from databuild.event_log.sqlite.writer import SqliteWriter
from databuild.event_log.verify import verify
from databuild.model.results import Failed, Success
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.support.present import present
from tests.support.step_builds import begin, produce, take_over
from tests.support.stores import Store, read_models
from tools.python import child


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "state" / "events.db")


async def test_read_models_can_be_rebuilt_from_the_log(store: Store) -> None:
    log = open_event_log(store.uri)
    one = await begin(log, "b1", "p", "q")
    await produce(one, 1, "p", rows=1)
    one.emit_job_scheduled("b1.2.1", 2, "//:j")
    one.emit_job_running("b1.2.1", 2, "//:j")
    one.emit_partition_building("q", 2, "b1.2.1")
    one.emit_job_failed("b1.2.1", 2, "//:j", pt.Failure(category=pt.FAILURE_CATEGORY_USER, message="no"))
    await one.complete_build(Failed(jobs_completed=1, jobs_failed=1, message="no"))
    two = await begin(log, "b2", "q")
    await produce(two, 1, "q", "digest")
    await log.close()

    before = read_models(store)
    writer = store.write()
    writer.rebuild()
    writer.close()

    assert read_models(store) == before
    assert before["partitions"]


async def test_a_build_continues_after_its_log_was_reopened(store: Store) -> None:
    log = open_event_log(store.uri)
    one = await begin(log, "b", "p")
    await log.close()
    again = open_event_log(store.uri)
    one._event_log = again

    await produce(one, 1, "p")
    await one.complete_build(Success(jobs_completed=1))
    await again.close()

    reader = open_reader(store.uri)
    assert present(reader.build("b")).status == "COMPLETED"
    assert present(reader.build("b")).jobs_completed == 1


def build_many(uri: str, name: str) -> None:
    async def main() -> None:
        log = open_event_log(uri)
        for number in range(10):
            one = await begin(log, f"{name}-{number}", "p", "q")
            await produce(one, 1, "p")
            await produce(one, 2, "q")
            await one.complete_build(Success(jobs_completed=2))
        await log.close()

    asyncio.run(main())


def test_eight_processes_build_into_one_new_log_at_once(store: Store) -> None:
    processes = [
        multiprocessing.get_context("spawn").Process(target=build_many, args=(store.uri, f"process{number}"))
        for number in range(8)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0] * 8
    reader = open_reader(store.uri)
    assert len(reader.builds(status="COMPLETED", limit=100)) == 80
    reader.close()


def append_for_ever(uri: str, told: Connection) -> None:
    async def main() -> None:
        log = open_event_log(uri)
        number = 0
        while True:
            one = await begin(log, f"b{number:06}", "p")
            await produce(one, 1, "p")
            await one.complete_build(Success(jobs_completed=1))
            told.send(number)
            number += 1

    asyncio.run(main())


def test_durable_events_survive_a_kill(store: Store) -> None:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=append_for_ever, args=(store.uri, theirs))
    process.start()
    while ours.recv() < 20:
        pass
    os.kill(present(process.pid), signal.SIGKILL)
    process.join()
    last = 20
    while ours.poll():
        last = ours.recv()

    reader = open_reader(store.uri)
    for number in range(last + 1):
        assert present(reader.build(f"b{number:06}")).status == "COMPLETED"
    reader.close()


async def test_a_newer_schema_is_refused(store: Store) -> None:
    await open_event_log(store.uri).close()
    store.make_newer()

    for opening in (open_event_log, open_reader):
        with pytest.raises(SchemaTooNewError, match="newer DataBuild"):
            opening(store.uri)


@pytest.mark.parametrize("writing", [True, False])
async def test_an_older_schema_is_migrated_with_its_records(store: Store, writing: bool) -> None:
    log = open_event_log(store.uri)
    one = await begin(log, "b1", "p", "q")
    await produce(one, 1, "p")
    await produce(one, 2, "q")
    await one.complete_build(Success(jobs_completed=2))
    two = await begin(log, "b2", "q")
    await produce(two, 1, "q")
    manifest = pt.Manifest(job_label="//:j", inputs=[pt.InputVersion(ref="in", version="8", query=True)])
    await take_over(log, "o", ev.AdoptedRecord(ref="r", version="1", manifest=manifest))
    await log.close()
    before = read_models(store)
    store.make_older()

    if writing:
        await open_event_log(store.uri).close()
    with contextlib.closing(open_reader(store.uri)) as reader:
        assert present(reader.build("b1")).status == "COMPLETED"

    assert read_models(store) == before
    assert len(before["partition_uses"]) == 3
    with contextlib.closing(open_reader(store.uri)) as reader:
        assert verify(reader).reported == ()


def test_a_database_of_another_program_is_refused(store: Store) -> None:
    store.make_of_another_program()

    with pytest.raises(EventLogError, match="another program"):
        open_event_log(store.uri)


def test_a_file_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"garbage" * 1000)

    with pytest.raises(EventLogError) as raised:
        open_event_log(f"sqlite:{garbage}")

    assert raised.value.remedy == "MOVE_EVENT_LOG_AWAY"


def test_a_directory_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(EventLogError, match="its directory cannot be created") as raised:
        open_event_log(f"sqlite:{tmp_path}/file/state/events.db")

    assert raised.value.remedy == "OTHER_STATE_DIRECTORY"


async def test_a_full_disk_writes_nothing_and_says_so(path: str) -> None:
    log = open_event_log(f"sqlite:{path}")
    one = await begin(log, "b", "p")
    assert isinstance(log, SqliteEventLog)
    log._writer._connection.execute("PRAGMA max_page_count = 1")
    large = ev.BuildEvent(build_request_id="t", sequence=1, taint=ev.TaintEvent(reason="x" * 4_000_000))
    with pytest.raises(EventLogError, match="free space"):
        await log.append([large])
    await log.close()

    assert present(open_reader(f"sqlite:{path}").build("b")).last_sequence == one.state.last_sequence


async def test_a_missing_log_reads_as_empty(store: Store) -> None:
    reader = open_reader(store.uri)

    assert reader.builds() == []
    assert reader.build("b") is None
    assert reader.partition_counts() == {}
    assert (reader.unleased_builds(), reader.holders(), reader.leases(["here"])) == ([], {}, [])
    assert list(reader.all_events()) == []
    reader.close()


def test_reading_does_not_create_the_file(tmp_path: Path) -> None:
    open_reader(f"sqlite:{tmp_path}/none/events.db").close()

    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("uri", "said"), [("sqlit:x", "sqlite:PATH"), ("events.db", "memory:"), ("sqlite:", "sqlite:PATH")]
)
def test_an_unknown_scheme_is_refused_with_the_known_ones(uri: str, said: str) -> None:
    with pytest.raises(InvalidRequestError, match=said):
        open_event_log(uri)


@pytest.mark.parametrize(
    ("uri", "environment", "words"),
    [
        ("sqlite:/a/events.db", "", "the event log sqlite:/a/events.db"),
        ("sqlite:/a/events.db", "pr", "the environment 'pr' of the event log sqlite:/a/events.db"),
        ("postgresql://ann:s3cret@host:5433/data", "", "the event log postgresql://ann@host:5433/data"),
    ],
)
def test_words_for_an_event_log_have_no_secret(uri: str, environment: str, words: str) -> None:
    assert described(uri, environment) == words


def test_a_driver_is_imported_only_for_its_own_scheme(tmp_path: Path) -> None:
    program = f"""
import sys
from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log, open_reader
open_event_log("memory:")
open_reader("sqlite:{tmp_path}/events.db")
print("psycopg" in sys.modules)
"""
    ended = subprocess.run(child.command("-c", program), capture_output=True, text=True, check=True)

    assert ended.stdout == "False\n"


async def test_sinks_get_durable_events_and_a_failed_sink_is_dropped(tmp_path: Path) -> None:
    warned: list[str] = []
    log = open_event_log("memory:", [f"jsonl:{tmp_path}/events.jsonl", "jsonl:/dev/full"], warn=warned.append)
    one = BuildOrchestrator(log, "b", ["p"])
    await one.start_build()
    await one.start_planning()
    with pytest.raises(InvalidStateTransitionError):
        await log.append([ev.BuildEvent(build_request_id="b", sequence=9, taint=ev.TaintEvent())])
    await log.close()

    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert len(lines) == 3
    assert '"build_request_id": "b"' in lines[0]
    assert len(warned) == 1
    with pytest.raises(EventLogError, match="sink"):
        open_event_log("memory:", [f"jsonl:{tmp_path}/no/such/folder/events.jsonl"])
    with pytest.raises(InvalidRequestError, match="stdout:"):
        open_event_log("memory:", ["stdot:"])


@pytest.mark.parametrize("name", ["a b", "a%20b", "a?mode=ro", "a#b", "ü"])
def test_any_path_can_be_a_log(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "events.db"
    SqliteWriter(str(path)).close()

    assert path.exists()
    assert open_reader(f"sqlite:{path}").builds() == []


def test_concurrent_opens_of_a_new_file_create_its_tables_once(tmp_path: Path) -> None:
    for number in range(20):
        path = tmp_path / f"{number}.db"
        together = threading.Barrier(8)

        def write(path: Path = path, together: threading.Barrier = together) -> None:
            together.wait()
            SqliteWriter(str(path)).close()

        with ThreadPoolExecutor(8) as pool:
            for written in [pool.submit(write) for _ in range(8)]:
                written.result()

        assert open_reader(f"sqlite:{path}").builds() == []


async def test_a_file_that_another_process_is_creating_reads_as_a_log(path: str) -> None:
    Path(path).parent.mkdir()
    Path(path).touch()
    with contextlib.closing(open_reader(f"sqlite:{path}")) as reader:
        assert reader.builds() == []
        log = open_event_log(f"sqlite:{path}")
        await begin(log, "b1", "p")
        await log.close()

        assert [record.build_request_id for record in reader.builds()] == ["b1"]


async def test_a_log_in_use_can_be_opened_by_other_threads(log: EventLog) -> None:
    """In particular one in memory, whose connections fail instead of waiting for each other."""
    opened = threading.Event()

    def write_until_opened() -> None:
        with contextlib.closing(log.cursors()) as cursors:
            while not opened.wait(0.0001):
                cursors.take("used", "me", 60)

    def open_others() -> None:
        try:
            for _ in range(100):
                log.cursors().close()
                log.pruner().close()
                with contextlib.closing(log.reader()) as reader:
                    list(reader.all_events(limit=1))
        finally:
            opened.set()

    await asyncio.gather(asyncio.to_thread(write_until_opened), asyncio.to_thread(open_others))
