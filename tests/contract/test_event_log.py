"""The contract of every event log."""

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from databuild.errors import (
    CoordinationError,
    EventLogError,
    InvalidRequestError,
    InvalidStateTransitionError,
    SchemaTooNewError,
)
from databuild.event_log.coordination import ClaimRequest, LeaseOwner, Need, ResourceUse
from databuild.event_log.open import open_event_log, open_reader
from databuild.event_log.sqlite.writer import SqliteWriter
from databuild.model.results import Cancelled, Failed, Success
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.events.payloads import job_event
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.contract.builds import begin, claim, produce
from tests.contract.stores import read_models
from tools.python import child


@pytest.fixture
async def log(uri):
    opened = open_event_log(uri)
    yield opened
    await opened.close()


async def test_events_come_back_in_order_and_unchanged(log):
    heard = []
    one = BuildOrchestrator(log, "b", ["p"], on_event=heard.append)
    await one.start_build(graph_label="//:g")
    await one.start_planning()

    assert list(log.reader().events("b")) == heard
    assert [event.sequence for event in log.reader().events("b", after_sequence=1, limit=1)] == [2]
    assert [event for _, event in log.reader().all_events()] == heard
    (first, _), *_ = log.reader().all_events()
    assert [event for _, event in log.reader().all_events(after_position=first)] == heard[1:]


async def test_an_illegal_append_writes_nothing_and_does_not_harm_the_others(log):
    good = BuildOrchestrator(log, "good", ["p"])
    bad = ev.BuildEvent(event_id="bad/1", build_request_id="bad", sequence=1)
    bad.build_request.status = ev.BUILD_STATUS_EXECUTING

    results = await asyncio.gather(good.start_build(), log.append([bad]), return_exceptions=True)

    assert results[0] is None
    assert isinstance(results[1], InvalidStateTransitionError)
    assert not log.reader().events("bad")
    assert log.reader().build("good").status == "RECEIVED"


async def test_two_writers_of_one_build_are_refused(log):
    await BuildOrchestrator(log, "b", ["p"]).start_build()

    with pytest.raises(InvalidStateTransitionError):
        await BuildOrchestrator(log, "b", ["p"]).start_build()
    assert len(log.reader().events("b")) == 2


async def test_the_record_of_a_partition_has_its_data_and_lineage(log):
    one = await begin(log, "b", "p")
    await produce(one, 1, "p", rows=3, share=0.5, days=[1, 2])
    await one.complete_build(Success(jobs_completed=1))

    record = log.reader().partition_records(["p", "unknown"])["p"]
    assert (record.status, record.available, record.version) == ("AVAILABLE", True, "b.1.1")
    assert (record.job_run_id, record.produced_by_build_request_id) == ("b.1.1", "b")
    assert record.manifest.code_digest == "code"
    assert record.manifest.inputs == (("in", "7", False),)
    assert json.dumps(record.metadata, sort_keys=True) == '{"days": [1, 2], "rows": 3, "share": 0.5}'
    assert set(log.reader().partition_records(["p", "unknown"])) == {"p"}


async def test_the_inputs_of_a_job_run_are_read_once_for_all_its_outputs(log):
    one = await begin(log, "b", "p", "q", "r")
    one.emit_job_scheduled("b.1.1", 1, "//:j")
    manifest = pt.Manifest(job_label="//:j", inputs=[pt.InputVersion(ref="in", version="7")])
    running = job_event("b.1.1", 1, "//:j", ev.JOB_STATUS_RUNNING)
    running.manifest.CopyFrom(manifest)
    one.emit(("job", running))
    for ref in ("p", "q"):
        one.emit_partition_building(ref, 1, "b.1.1")
    one.emit_job_completed("b.1.1", 1, "//:j")
    for ref in ("p", "q"):
        one.emit_partition_available(ref, 1, "b.1.1")
    await produce(one, 2, "r")
    await one.complete_build(Success(jobs_completed=2))

    reader = log.reader()
    first = reader.partition_records(["p", "r"])
    following = reader.partition_records(["q"])
    listed = {record.ref: record for record in reader.partitions()}

    assert first["p"].manifest.inputs == (("in", "7", False),)
    assert following["q"].manifest is first["p"].manifest
    assert listed["p"].manifest is listed["q"].manifest
    assert listed["p"].manifest == first["p"].manifest
    assert listed["r"].manifest == first["r"].manifest != first["p"].manifest


async def test_only_a_rebuild_that_ran_changes_the_record_of_a_partition(log):
    one = await begin(log, "b1", "p", "q")
    await produce(one, 1, "p")
    await produce(one, 2, "q")
    await one.complete_build(Success(jobs_completed=2))
    two = await begin(log, "b2", "p", "q")
    two.emit_job_scheduled("b2.2.1", 2, "//:j")
    two.emit_job_running("b2.2.1", 2, "//:j")
    two.emit_partition_building("q", 2, "b2.2.1")
    await two.complete_build(Cancelled(author="ann"))

    records = log.reader().partition_records(["p", "q"])
    assert records["p"].available
    assert records["p"].version == "b1.1.1"
    assert not records["q"].available
    assert records["q"].failure.category == "CANCELLED"
    assert "ann" in records["q"].failure.message


async def test_a_claim_is_granted_completely_to_one_build_until_its_partitions_have_ended(log):
    one = await begin(log, "b1", "p", "q")
    await log.renew_lease("b1", "here", 60)
    await begin(log, "b2", "p", "q")
    await log.renew_lease("b2", "here", 60)
    first = await claim(log, "b1", 1, "p")
    refused = await claim(log, "b2", 1, "p", "q")
    again = await claim(log, "b1", 1, "p")
    await produce(one, 1, "p")
    after = await claim(log, "b2", 1, "p", "q")

    assert first.token > 0
    assert (refused.token, refused.held_by) == (0, {"p": "b1"})
    assert again.token > first.token
    assert after.token > again.token
    assert after.versions == {"p": "b1.1.1"}
    assert log.reader().claimed(["p", "q", "r"]) == {"p": "b2", "q": "b2"}
    assert log.reader().claims_of("b2") == {"p": "b2.1.1", "q": "b2.1.1"}


async def test_a_claimed_partition_is_not_available_until_the_claim_ends_without_a_run(log):
    one = await begin(log, "b1", "p", "q")
    await produce(one, 1, "p")
    await produce(one, 2, "q")
    await one.complete_build(Success(jobs_completed=2))
    two = await begin(log, "b2", "p", "q")
    await log.renew_lease("b2", "here", 60)
    await claim(log, "b2", 1, "p")
    await claim(log, "b2", 2, "q")
    claimed = log.reader().partition_records(["p", "q"])
    await two.complete_build(Failed(message="it died"), {"q": "b2.2.1"})
    after = log.reader().partition_records(["p", "q"])

    assert not claimed["p"].available
    assert claimed["p"].claimed_by_build_request_id == "b2"
    assert after["p"].available
    assert not after["q"].available
    assert log.reader().claimed(["p", "q"]) == {}


async def test_a_run_that_is_skipped_or_cancelled_releases_its_claims(log):
    one = await begin(log, "b", "p", "q")
    await log.renew_lease("b", "here", 60)
    await claim(log, "b", 1, "p")
    await claim(log, "b", 2, "q")
    skipped = job_event("b.1.1", 1, "//:j", ev.JOB_STATUS_SKIPPED)
    await one.emit(("job", skipped))

    assert log.reader().claimed(["p", "q"]) == {"q": "b"}


async def test_a_build_that_has_ended_can_neither_claim_nor_stay_alive(log):
    one = await begin(log, "b", "p")
    await log.renew_lease("b", "here", 60)
    await one.complete_build(Cancelled())

    with pytest.raises(CoordinationError, match="it is CANCELLED"):
        await log.renew_lease("b", "here", 60)
    with pytest.raises(CoordinationError, match="its lease has ended"):
        await claim(log, "b", 1, "p")
    assert log.reader().leases() == []


async def test_an_owned_lease_is_taken_over_only_from_the_named_holder(log):
    mine = LeaseOwner("ann")
    await log.renew_lease("b", "here", 60, mine)
    await begin(log, "b", "p")
    await log.renew_lease("b", "here", 60, mine)

    for owner in (LeaseOwner("ann"), LeaseOwner("ann", "somebody")):
        with pytest.raises(CoordinationError, match="taken it over"):
            await log.renew_lease("b", "there", 60, owner)
    results = await asyncio.gather(
        *(log.renew_lease("b", place, 60, LeaseOwner("bob", "here")) for place in ("there", "elsewhere")),
        return_exceptions=True,
    )
    await log.renew_lease("b", "there", 60, LeaseOwner("bob", "here"))
    with pytest.raises(CoordinationError, match="taken it over"):
        await log.renew_lease("b", "here", 60, mine)

    assert [type(result) for result in results] == [type(None), CoordinationError]
    ((lease, _),) = log.reader().leases()
    assert (lease.holder, lease.owner) == ("there", "bob")


async def test_a_lease_expires_by_the_clock_of_the_store(uri):
    now = [100.0]
    log = open_event_log(uri, clock=lambda: now[0])
    await begin(log, "b", "p")
    await log.renew_lease("b", "here", 30)
    ((lease, early),) = log.reader().leases()
    now[0] = 131.0
    ((_, late),) = log.reader().leases()
    await log.close()

    assert lease == ("b", 130.0, "here", "")
    assert (early, late) == (False, True)


async def test_a_wait_ends_at_new_events_or_at_its_time_limit(log):
    reader = log.reader()
    first = reader.wait(60)
    nothing = reader.wait(0.01)
    waiting = asyncio.create_task(asyncio.to_thread(reader.wait, 60))
    await BuildOrchestrator(log, "b1", ["p"]).start_build()
    told = await waiting
    await BuildOrchestrator(log, "b2", ["p"]).start_build()
    before = reader.wait(60)

    assert (first, nothing, told, before) == (True, False, True, True)
    reader.close()


async def test_an_append_that_is_awaited_is_written_with_those_before_it(log):
    one = BuildOrchestrator(log, "b", ["p"])
    earlier = one.start_build()
    await one.start_planning()

    assert earlier.done()
    assert [event.sequence for event in log.reader().events("b")] == [1, 2, 3]


async def test_an_append_that_is_not_awaited_is_written_soon(log):
    durable = BuildOrchestrator(log, "b", ["p"]).start_build()
    while not durable.done():  # the test's own time limit is the limit
        await asyncio.sleep(0.001)

    assert log.reader().build("b").status == "RECEIVED"


async def test_requests_and_delegations_do_not_change_the_record_of_a_partition(log):
    one = await begin(log, "b1", "p", "q")
    await produce(one, 1, "p")
    await produce(one, 2, "q")
    await one.complete_build(Success(jobs_completed=2))
    two = BuildOrchestrator(log, "b2", ["p"])
    two.start_build()
    two.start_planning()
    two.emit_partition_scheduled("q", 1, pt.REASON_INPUT_CHANGED)
    await two.emit_delegation("b1", "//:j", ["p", "q"])

    records = log.reader().partition_records(["p", "q"])
    assert [records[ref].status for ref in "pq"] == ["AVAILABLE", "AVAILABLE"]
    assert records["p"].build_request_id == "b1"
    assert log.reader().partition_counts() == {"AVAILABLE": 2}


async def test_builds_are_listed_newest_first_by_page(log):
    for number in range(5):
        one = BuildOrchestrator(log, f"b{number}", ["p"])
        one.start_build(graph_label="//:g", retry_of="old")
        await one.complete_build(Failed(message="no", category=pt.FAILURE_CATEGORY_USER))

    reader = log.reader()
    assert [build.build_request_id for build in reader.builds(limit=2)] == ["b4", "b3"]
    assert [build.build_request_id for build in reader.builds(before="b3", limit=2)] == ["b2", "b1"]
    assert reader.builds(status="COMPLETED") == []
    assert list(reader.builds_beginning("b")) == ["b4", "b3", "b2", "b1", "b0"]
    assert list(reader.builds_beginning("c")) == []
    build = reader.build("b0")
    assert (build.status, build.requested, build.failure.message) == ("FAILED", ("p",), "no")
    assert build.retry_of_build_request_id == "old"
    assert build.partitions_failed == 1


async def test_partitions_are_found_by_prefix_part_and_status_and_counted(log):
    refs = [f"day/date=2013-01-{day:02}" for day in range(1, 8)]
    one = await begin(log, "b", *refs)
    for number, ref in enumerate(refs[:4], 1):
        await produce(one, number, ref)

    reader = log.reader()
    assert [record.ref for record in reader.partitions(prefix="day/", limit=2)] == refs[:2]
    assert [record.ref for record in reader.partitions(prefix="day/", after=refs[1], limit=2)] == refs[2:4]
    assert [record.ref for record in reader.partitions(contains="-07")] == refs[6:]
    assert [record.ref for record in reader.partitions(status="SCHEDULED")] == refs[4:]
    assert reader.partitions(prefix="other") == []
    assert reader.partition_counts() == {"AVAILABLE": 4, "SCHEDULED": 3}
    assert [p.ref for p in reader.build_partitions("b", status="AVAILABLE", after=refs[0], limit=2)] == refs[1:3]
    assert reader.build_partitions("b")[0].reason == "MISSING"
    first = reader.job_runs("b", limit=1)[0]
    assert [run.job_run_id for run in reader.job_runs("b", after=first.number, limit=2)] == ["b.2.1", "b.3.1"]
    assert reader.job_run("b.1.1").status == "COMPLETED"
    assert reader.job_run("nobody") is None
    assert [run.job_run_id for run in reader.produced_by(refs[0])] == ["b.1.1"]


async def test_the_runs_of_a_job_that_were_started_come_newest_first_from_all_builds(log):
    for build, refs in (("b1", ("p", "q")), ("b2", ("r", "s"))):
        one = await begin(log, build, *refs)
        await produce(one, 1, refs[0])
        one.emit_job_scheduled(f"{build}.2.1", 2, "//:j")
        await produce(await begin(log, f"other-{build}", f"other/{build}"), 1, f"other/{build}")

    reader = log.reader()
    runs = [run.job_run_id for run in reader.runs_of_job("//:j")]
    assert runs == ["other-b2.1.1", "other-b1.1.1", "b2.1.1", "b1.1.1"]
    assert [run.job_run_id for run in reader.runs_of_job("//:j", limit=2)] == runs[:2]
    assert reader.runs_of_job("//:nobody") == []


async def test_a_taint_marks_data_until_it_is_built_again(log):
    one = await begin(log, "b", "p")
    await produce(one, 1, "p")
    taint = ev.BuildEvent(event_id="t/1", build_request_id="t", sequence=1)
    taint.taint.tainted = True
    taint.taint.author, taint.taint.reason = "ann", "wrong"
    taint.taint.partitions.add(str="p")
    await log.append([taint])

    record = log.reader().partition_records(["p"])["p"]
    assert (record.tainted, record.taint_reason) == (True, "ann: wrong")
    assert [found.ref for found in log.reader().partitions(status="TAINTED")] == ["p"]
    assert log.reader().partition_counts()["TAINTED"] == 1
    again = await begin(log, "b2", "p")
    await produce(again, 1, "p")
    assert not log.reader().partition_records(["p"])["p"].tainted
    assert "TAINTED" not in log.reader().partition_counts()
    assert log.reader().build("t") is None
    taint.sequence = 2
    with pytest.raises(InvalidStateTransitionError):
        await log.append([taint])


async def test_a_check_taints_the_partitions_that_it_names_until_they_are_available_again(log):
    async def produce_checked(build, *, check_last):
        one = await begin(log, build, "p")
        one.emit_job_scheduled(f"{build}.1.1", 1, "//:j")
        one.emit_job_running(f"{build}.1.1", 1, "//:j")
        one.emit_partition_building("p", 1, f"{build}.1.1")
        check = ev.CheckEvent(job_run_id=f"{build}.1.1", tainted=[pt.PartitionRef(str="p")])
        check.result.name = "rows"
        if not check_last:
            one.emit(("check", check))
        one.emit_partition_available("p", 1, f"{build}.1.1")
        if check_last:
            one.emit(("check", check))
        await one.emit_job_completed(f"{build}.1.1", 1, "//:j")
        return log.reader().partition_records(["p"])["p"]

    record = await produce_checked("b", check_last=True)
    assert (record.available, record.tainted) == (True, True)
    assert record.taint_reason == "b.1.1: the check 'rows' did not pass"
    assert log.reader().partition_counts()["TAINTED"] == 1
    record = await produce_checked("c", check_last=False)
    assert (record.available, record.tainted) == (True, False)


async def test_resources_are_held_until_their_job_run_ends_and_builds_take_turns(log):
    async def ask(build, task):
        run = f"{build}.{task}.1"
        (answer,) = await log.claim([ClaimRequest(build, run, (f"{build}{task}",), (Need("r", 1, 1),))])
        return answer.short_of

    builds = {}
    for build in ("a", "b"):
        await log.renew_lease(build, "here", 30)
        builds[build] = await begin(log, build, f"{build}1", f"{build}2", f"{build}3")
    assert await ask("a", 1) == ""
    assert await ask("b", 1) == "r"
    assert log.reader().claimed(["a1", "b1"]) == {"a1": "a"}
    assert log.reader().resource_use() == [ResourceUse("r", "a", 1, False), ResourceUse("r", "b", 0, True)]

    await produce(builds["a"], 1, "a1")
    assert await ask("a", 2) == ""  # granted something before the other first asked
    await produce(builds["a"], 2, "a2")
    assert await ask("a", 3) == "r"
    assert await ask("b", 1) == ""
    await builds["b"].complete_build(Cancelled())
    assert log.reader().resource_use() == [ResourceUse("r", "a", 0, True)]
    assert await ask("a", 3) == ""
    await builds["a"].complete_build(Cancelled())
    assert log.reader().resource_use() == []


async def test_a_request_to_cancel_shows_at_the_build(log):
    await begin(log, "b", "p")
    request = ev.BuildEvent(event_id="c/1", build_request_id="c", sequence=1)
    request.cancel_request.target_build_request_id = "b"
    request.cancel_request.author = "ann"
    await log.append([request])

    assert log.reader().build("b").cancel_requested_by == "ann"


async def test_many_appends_at_once_are_all_durable_and_without_a_gap(log):
    builds = [BuildOrchestrator(log, f"b{number}", ["p"]) for number in range(50)]

    await asyncio.gather(*(build.start_build() for build in builds), *(build.start_planning() for build in builds))

    for build in builds:
        assert [event.sequence for event in log.reader().events(build.build_request_id)] == [1, 2, 3]


async def test_a_closed_log_refuses_appends_and_an_empty_append_is_done(uri):
    log = open_event_log(uri)
    await log.append([])
    await log.close()
    await log.close()

    with pytest.raises(EventLogError, match="closed"):
        await log.append([ev.BuildEvent(build_request_id="b", sequence=1)])


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "state" / "events.db")


async def test_read_models_can_be_rebuilt_from_the_log(store):
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


async def test_a_build_continues_after_its_log_was_reopened(store):
    log = open_event_log(store.uri)
    one = await begin(log, "b", "p")
    await log.close()
    again = open_event_log(store.uri)
    one._event_log = again

    await produce(one, 1, "p")
    await one.complete_build(Success(jobs_completed=1))
    await again.close()

    reader = open_reader(store.uri)
    assert reader.build("b").status == "COMPLETED"
    assert reader.build("b").jobs_completed == 1


def build_many(uri, name):
    async def main():
        log = open_event_log(uri)
        for number in range(10):
            one = await begin(log, f"{name}-{number}", "p", "q")
            await produce(one, 1, "p")
            await produce(one, 2, "q")
            await one.complete_build(Success(jobs_completed=2))
        await log.close()

    asyncio.run(main())


def test_eight_processes_build_into_one_new_log_at_once(store):
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


def append_for_ever(uri, told):
    async def main():
        log = open_event_log(uri)
        number = 0
        while True:
            one = await begin(log, f"b{number:06}", "p")
            await produce(one, 1, "p")
            await one.complete_build(Success(jobs_completed=1))
            told.send(number)
            number += 1

    asyncio.run(main())


def test_durable_events_survive_a_kill(store):
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=append_for_ever, args=(store.uri, theirs))
    process.start()
    while ours.recv() < 20:
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    last = 20
    while ours.poll():
        last = ours.recv()

    reader = open_reader(store.uri)
    for number in range(last + 1):
        assert reader.build(f"b{number:06}").status == "COMPLETED"
    reader.close()


async def test_a_newer_schema_is_refused(store):
    await open_event_log(store.uri).close()
    store.make_newer()

    for opening in (open_event_log, open_reader):
        with pytest.raises(SchemaTooNewError, match="newer DataBuild"):
            opening(store.uri)


def test_a_database_of_another_program_is_refused(store):
    store.make_of_another_program()

    with pytest.raises(EventLogError, match="another program"):
        open_event_log(store.uri)


def test_a_file_that_is_not_a_database_is_refused(tmp_path):
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"garbage" * 1000)

    with pytest.raises(EventLogError) as raised:
        open_event_log(f"sqlite:{garbage}")

    assert raised.value.remedy == "MOVE_EVENT_LOG_AWAY"


def test_a_directory_that_cannot_be_created_is_named(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(EventLogError, match="its directory cannot be created") as raised:
        open_event_log(f"sqlite:{tmp_path}/file/state/events.db")

    assert raised.value.remedy == "OTHER_STATE_DIRECTORY"


async def test_a_full_disk_writes_nothing_and_says_so(path):
    log = open_event_log(f"sqlite:{path}")
    one = await begin(log, "b", "p")
    log._writer._connection.execute("PRAGMA max_page_count = 1")
    large = ev.BuildEvent(build_request_id="t", sequence=1, taint=ev.TaintEvent(reason="x" * 4_000_000))
    with pytest.raises(EventLogError, match="free space"):
        await log.append([large])
    await log.close()

    assert open_reader(f"sqlite:{path}").build("b").last_sequence == one.state.last_sequence


async def test_a_missing_log_reads_as_empty(store):
    reader = open_reader(store.uri)

    assert reader.builds() == []
    assert reader.build("b") is None
    assert reader.partition_counts() == {}
    assert reader.leases() == []
    assert list(reader.all_events()) == []
    reader.close()


def test_reading_does_not_create_the_file(tmp_path):
    open_reader(f"sqlite:{tmp_path}/none/events.db").close()

    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("uri", "said"), [("sqlit:x", "sqlite:PATH"), ("events.db", "memory:"), ("sqlite:", "sqlite:PATH")]
)
def test_an_unknown_scheme_is_refused_with_the_known_ones(uri, said):
    with pytest.raises(InvalidRequestError, match=said):
        open_event_log(uri)


def test_a_driver_is_imported_only_for_its_own_scheme(tmp_path):
    program = f"""
import sys
from databuild.event_log.open import open_event_log, open_reader
open_event_log("memory:")
open_reader("sqlite:{tmp_path}/events.db")
print("psycopg" in sys.modules)
"""
    ended = subprocess.run(child.command("-c", program), capture_output=True, text=True, check=True)

    assert ended.stdout == "False\n"


async def test_sinks_get_durable_events_and_a_failed_sink_is_dropped(tmp_path):
    warned = []
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
def test_any_path_can_be_a_log(tmp_path, name):
    path = tmp_path / name / "events.db"
    SqliteWriter(str(path)).close()

    assert path.exists()
    assert open_reader(f"sqlite:{path}").builds() == []


def test_concurrent_opens_of_a_new_file_create_its_tables_once(tmp_path):
    for number in range(20):
        path = tmp_path / f"{number}.db"
        together = threading.Barrier(8)

        def write(path=path, together=together):
            together.wait()
            SqliteWriter(str(path)).close()

        with ThreadPoolExecutor(8) as pool:
            for written in [pool.submit(write) for _ in range(8)]:
                written.result()

        assert open_reader(f"sqlite:{path}").builds() == []
