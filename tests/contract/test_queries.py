"""Every event log answers the same questions about builds, partitions and job runs."""

from __future__ import annotations

import contextlib
import json

import pytest

from databuild.errors import (
    InvalidStateTransitionError,
)
from databuild.event_log.log import EventLog
from databuild.event_log.open import open_reader
from databuild.model.records import PartitionRecord
from databuild.model.results import Cancelled, Failed, Success
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.events.payloads import job_event
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.support.present import present
from tests.support.step_builds import begin, claim, produce, taint
from tests.support.stores import Store


async def test_the_record_of_a_partition_has_its_data_and_lineage(log: EventLog) -> None:
    one = await begin(log, "b", "p")
    await produce(one, 1, "p", rows=3, share=0.5, days=[1, 2])
    await one.complete_build(Success(jobs_completed=1))

    record = log.reader().partition_records(["p", "unknown"])["p"]
    assert (record.status, record.available, record.version) == ("AVAILABLE", True, "b.1.1")
    assert (record.job_run_id, record.produced_by_build_request_id) == ("b.1.1", "b")
    assert present(record.manifest).code_digest == "code"
    assert present(record.manifest).inputs == (("in", "7", False),)
    assert json.dumps(record.metadata, sort_keys=True) == '{"days": [1, 2], "rows": 3, "share": 0.5}'
    assert set(log.reader().partition_records(["p", "unknown"])) == {"p"}


async def test_the_metadata_of_partitions_is_that_of_available_data(log: EventLog) -> None:
    one = await begin(log, "b1", "p", "q", "claimed", "failed")
    await produce(one, 1, "p", rows=3, days=[1, 2])
    await produce(one, 2, "q")
    await produce(one, 3, "claimed", rows=4)
    await one.complete_build(Failed(jobs_failed=1))
    await begin(log, "b2", "claimed")
    await log.renew_lease("b2", "here", 60)
    await claim(log, "b2", 1, "claimed")

    assert log.reader().metadata_of(["p", "q", "claimed", "failed", "unknown"]) == {
        "p": {"rows": 3, "days": [1, 2]},
        "q": {},
    }
    assert log.reader().metadata_of([]) == {}


async def test_the_inputs_of_a_job_run_are_read_once_for_all_its_outputs(log: EventLog) -> None:
    one = await begin(log, "b", "p", "q", "r")
    one.emit_job_scheduled("b.1.1", 1, "//:j")
    digests = {"p": "1", "q": "2"}
    manifest = pt.Manifest(job_label="//:j", inputs=[pt.InputVersion(ref="in", version="7")], output_digests=digests)
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

    assert present(first["p"].manifest).inputs == (("in", "7", False),)
    assert present(first["p"].manifest).output_digests == digests
    assert following["q"].manifest is first["p"].manifest
    assert listed["p"].manifest is listed["q"].manifest
    assert listed["p"].manifest == first["p"].manifest
    assert listed["r"].manifest == first["r"].manifest != first["p"].manifest


async def test_only_a_rebuild_that_ran_changes_the_record_of_a_partition(log: EventLog) -> None:
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
    assert present(records["q"].failure).category == "CANCELLED"
    assert "ann" in present(records["q"].failure).message


async def test_builds_are_listed_newest_first_by_page(log: EventLog) -> None:
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
    assert build is not None
    assert (build.status, build.requested, present(build.failure).message) == ("FAILED", ("p",), "no")
    assert build.retry_of_build_request_id == "old"
    assert build.partitions_failed == 1


async def test_partitions_are_found_by_prefix_part_and_status_and_counted(log: EventLog) -> None:
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
    assert present(reader.job_run("b.1.1")).status == "COMPLETED"
    assert reader.job_run("nobody") is None
    assert [run.job_run_id for run in reader.produced_by(refs[0])] == ["b.1.1"]


async def test_partitions_are_counted_by_prefix_and_tainted_ones_apart(log: EventLog) -> None:
    refs = [f"day/{day}" for day in range(1, 6)]
    one = await begin(log, "b", *refs, "day2/1", "da/1")
    for number, ref in enumerate((*refs[:3], "day2/1"), 1):
        await produce(one, number, ref)
    reader = log.reader()
    assert reader.counts_under("day/") == {"AVAILABLE": 3, "SCHEDULED": 2}
    await taint(log, "t", refs[0], refs[4], "day2/1")

    assert reader.counts_under("day/") == {"AVAILABLE": 2, "SCHEDULED": 1, "TAINTED": 2}
    assert reader.counts_under("day2/1") == {"TAINTED": 1}
    assert reader.counts_under("") == {"AVAILABLE": 2, "SCHEDULED": 2, "TAINTED": 3}
    assert reader.counts_under("other") == {}
    assert reader.statuses_under("day/", limit=2) == [("day/1", "TAINTED"), ("day/2", "AVAILABLE")]
    assert reader.statuses_under("day/", after="day/3") == [("day/4", "SCHEDULED"), ("day/5", "TAINTED")]
    assert [ref for ref, _ in reader.statuses_under("")] == ["da/1", *refs, "day2/1"]


async def test_a_log_that_does_not_exist_has_no_partitions_to_count(store: Store) -> None:
    with contextlib.closing(open_reader(store.uri)) as reader:
        assert reader.counts_under("") == {}
        assert reader.statuses_under("") == []


async def test_the_runs_of_a_job_that_were_started_come_newest_first_from_all_builds(log: EventLog) -> None:
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


async def test_a_taint_marks_data_until_it_is_built_again(log: EventLog) -> None:
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


async def test_a_check_taints_the_partitions_that_it_names_until_they_are_available_again(log: EventLog) -> None:
    async def produce_checked(build: str, *, check_last: bool) -> PartitionRecord:
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
