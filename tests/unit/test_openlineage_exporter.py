"""The exporter to OpenLineage makes valid run events, continues after faults, and makes the same ones after a crash."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log
from databuild.event_log.reads import Reader
from databuild.exporters.exporter import Batch, Delivery, ReceiverError
from databuild.exporters.openlineage.build_lineage import RunEvent
from databuild.exporters.openlineage.datasets import MAX_PARTITIONS, Datasets
from databuild.exporters.openlineage.exporter import OpenLineageExporter
from databuild.exporters.openlineage.facets import EVENT_SCHEMA, SCHEMAS
from databuild.exporters.openlineage.run_ids import run_id
from databuild.exporters.openlineage.senders import Answers
from databuild.exporters.registry import RefPattern
from databuild.graph.patterns import PartitionPattern
from databuild.model.results import Cancelled, Failed, Success
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.events.payloads import Payload, job_event, partition_available
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.support.openlineage_receiver import faults_of

GOLDEN = Path(__file__).with_name("openlineage_events.jsonl")
PATTERNS = {PartitionPattern("day/date={date:date}"): "day", PartitionPattern("raw/{date:date}"): ""}
DAYS = ("day/date=2026-01-01", "day/date=2026-01-02")
SCHEMA = {"$type": "schema", "columns": [["id", "BIGINT"], ["name", "VARCHAR"]]}


class FakeSender:
    """Keeps run events, and stops at the next of `faults`, each with the number of run events before it."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.faults: list[int] = []
        self.refusals: list[str] = []

    def send(self, events: Sequence[RunEvent], seconds: float) -> Answers:
        taken = min(self.faults.pop(0), len(events)) if self.faults else len(events)
        self.events += [json.loads(event) for event in events[:taken]]
        refusals, self.refusals = self.refusals, []
        return Answers(taken, refusals, "away" if taken < len(events) else "")

    def close(self) -> None:
        self.faults = []


def pattern_of(ref: str) -> RefPattern | None:
    for pattern, folder in PATTERNS.items():
        if (fields := pattern.match(ref)) is not None:
            return RefPattern(pattern.text, fields, folder)
    return None


class World:
    """An exporter and its sender."""

    def __init__(self) -> None:
        self.sender = FakeSender()
        self.exporter = OpenLineageExporter("openlineage:h", Datasets("team", pattern_of), self.sender)

    def send(self, reader: Reader, *, after: int = 0, limit: int = 1000) -> Delivery:
        return self.exporter.send(Batch(list(reader.all_events(after_position=after, limit=limit))), reader)

    @property
    def kinds(self) -> list[tuple[str, str]]:
        return [(event["job"]["name"], event["eventType"]) for event in self.sender.events]

    def last(self, job: str) -> Any:
        return [event for event in self.sender.events if event["job"]["name"] == job][-1]


class Build:
    """Writes the events of a build."""

    def __init__(self, log: EventLog, *requested: str, build: str = "b", **received: Any) -> None:
        self.name = build
        self.one = BuildOrchestrator(log, build, requested, clock=iter(range(1_767_225_600, 1_767_300_000)).__next__)
        self.one.start_build(graph_label="//data:graph", **received)
        self.one.start_planning()

    async def start(
        self, number: int, job: str, outputs: Sequence[str], inputs: Sequence[tuple[str, str]] = (), attempt: int = 1
    ) -> str:
        run = f"{self.name}.{number}.{attempt}"
        running = job_event(run, number, job, ev.JOB_STATUS_RUNNING, attempt)
        running.manifest.code_digest = f"digest-of-{job.rpartition(':')[2]}"
        for ref, version in inputs:
            running.manifest.inputs.add(ref=ref, version=version)
        self.one.emit_job_scheduled(run, number, job, attempt)
        building = [
            (
                "partition",
                ev.PartitionEvent(ref=ref, status=pt.PARTITION_STATUS_BUILDING, task_id=number, job_run_id=run),
            )
            for ref in outputs
        ]
        await self.one.emit(("job", running), *building)
        return run

    def schedule(self, number: int, *refs: str) -> None:
        for ref in refs:
            self.one.emit_partition_scheduled(ref, number, pt.REASON_MISSING)

    async def execute(self) -> None:
        self.one.complete_planning()
        await self.one.start_execution()

    async def end(self, run: str, status: ev.JobStatus, *outputs: Payload, message: str = "", **more: Any) -> None:
        _, number, attempt = run.split(".")
        failure = pt.Failure(category=pt.FAILURE_CATEGORY_USER, message=message) if message else None
        ended = job_event(run, int(number), "", status, int(attempt), failure)
        ended.MergeFrom(ev.JobEvent(**more))
        await self.one.emit(("job", ended), *outputs)

    def check(self, run: str, name: str, *, passed: bool, severity: int, ref: str = "", message: str = "") -> None:
        result = pt.CheckResult(name=name, passed=passed, ref=ref, message=message)
        result.severity = severity  # type: ignore[assignment]
        self.one.emit(("check", ev.CheckEvent(job_run_id=run, result=result)))


def made(run: str, ref: str, uri: str = "", size: int | None = None, **metadata: Any) -> Payload:
    location = pt.Location(uri=uri, size_bytes=size) if uri else None
    return partition_available(ref, int(run.split(".")[1]), run, f"v-{ref}", metadata, location)


async def log_with_build() -> EventLog:
    """Returns a log with one build: two days with checks, a job that fails and runs again, and one that is stopped."""
    log = open_event_log("memory:")
    origin = ev.BuildOrigin(commit="c" * 40, repository="https://host/team/graphs.git")
    build = Build(log, *DAYS, "report", "slow", origin=origin)
    build.schedule(1, *DAYS)
    build.schedule(2, "report")
    build.schedule(3, "slow")
    await build.execute()
    run = await build.start(1, "//data/days:day", DAYS, [("raw/2026-01-01", "1"), ("raw/2026-01-02", "2"), ("in", "")])
    build.check(run, "rows_not_zero", passed=True, severity=pt.CheckResult.SEVERITY_ERROR, ref=DAYS[0])
    build.check(run, "usual", passed=False, severity=pt.CheckResult.SEVERITY_WARNING, ref=DAYS[1], message="few rows")
    build.check(run, "machine", passed=True, severity=pt.CheckResult.SEVERITY_INFO)
    rows = pt.Metric(name="rows", value=5, ref=DAYS[1])
    days = [
        made(run, DAYS[0], f"s3://lake/out/{DAYS[0]}/part.parquet", 100, rows=842, columns=SCHEMA),
        made(run, DAYS[1], f"s3://lake/out/{DAYS[1]}/part.parquet", 50, columns=SCHEMA),
    ]
    await build.end(run, ev.JOB_STATUS_COMPLETED, *days, metrics=[rows])
    run = await build.start(2, "//data:report", ["report"], [(ref, f"v-{ref}") for ref in DAYS])
    await build.end(run, ev.JOB_STATUS_FAILED, message="cannot reach https://ann:secret@host/x")
    build.schedule(2, "report")
    run = await build.start(2, "//data:report", ["report"], [(ref, f"v-{ref}") for ref in DAYS], attempt=2)
    await build.end(run, ev.JOB_STATUS_COMPLETED, made(run, "report", "file:///srv/a%20b/report.html", 7))
    run = await build.start(3, "@tools//:slow", ["slow"])
    await build.end(run, ev.JOB_STATUS_CANCELLED, message="stopped")
    await build.one.complete_build(Cancelled(jobs_completed=2, author="ann"))
    return log


def plain(value: Any) -> Any:
    """Returns JSON without the members that all facets have, which the check against their schemas covers."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items() if name not in {"_producer", "_schemaURL"}}
    return [plain(part) for part in value] if isinstance(value, list) else value


async def test_a_build_is_the_golden_run_events(tmp_path: Path) -> None:
    log = await log_with_build()
    world = World()
    world.send(log.reader())

    assert [fault for event in world.sender.events for fault in faults_of(event)] == []
    lines = [json.dumps(plain(event), sort_keys=True) for event in world.sender.events]
    (tmp_path / GOLDEN.name).write_text("".join(f"{line}\n" for line in lines))  # replaces GOLDEN after a change
    assert lines == GOLDEN.read_text().splitlines()
    await log.close()


async def test_every_way_to_cut_the_events_gives_the_same_run_events_also_in_another_process() -> None:
    log = await log_with_build()
    reader = log.reader()
    whole = World()
    whole.send(reader)
    events = list(reader.all_events())

    for cut in range(1, len(events)):
        first, second = World(), World()
        first.send(reader, limit=cut)
        second.send(reader, after=events[cut - 1][0])
        third = World()
        third.send(reader, limit=cut)
        third.send(reader, after=events[cut - 1][0])

        assert [*first.sender.events, *second.sender.events] == whole.sender.events
        assert third.sender.events == whole.sender.events
    await log.close()


async def test_a_fault_anywhere_repeats_only_run_events_without_an_answer() -> None:
    log = await log_with_build()
    reader = log.reader()
    whole = World()
    whole.send(reader)

    for cut in range(len(whole.sender.events)):
        world = World()
        world.sender.faults = [cut, 0]
        after = 0
        positions = [position for position, _ in reader.all_events()]
        faults = 0
        while after < positions[-1]:
            try:
                delivery = world.send(reader, after=after)
            except ReceiverError:
                faults += 1
                continue
            after = positions[positions.index(after) + delivery.handled] if after else positions[delivery.handled - 1]

        assert faults >= 1
        assert world.sender.events == whole.sender.events
    await log.close()


async def test_events_that_are_sent_again_from_the_beginning_are_the_same() -> None:
    log = await log_with_build()
    world = World()
    world.send(log.reader())
    once = list(world.sender.events)
    world.sender.faults = [3]
    world.send(log.reader())
    # Another process has sent the rest meanwhile; then all of them are wanted again.
    world.sender.events.clear()
    world.send(log.reader())

    assert world.sender.events == once
    await log.close()


async def test_refusals_are_returned() -> None:
    log = await log_with_build()
    world = World()
    world.sender.refusals = ["status 400 (Bad Request)"]

    delivery = world.send(log.reader())

    assert delivery == Delivery(len(list(log.reader().all_events())), ("status 400 (Bad Request)",))
    await log.close()


async def test_a_refusal_before_a_fault_is_returned_with_the_rest() -> None:
    log = await log_with_build()
    reader = log.reader()
    positions = [position for position, _ in reader.all_events()]
    counts = [0]
    for limit in range(1, len(positions) + 1):
        world = World()
        world.send(reader, limit=limit)
        counts.append(len(world.sender.events))
    # The event after the end of a job run with checks, from which several run events follow.
    several = next(index for index in range(len(positions)) if counts[index + 1] - counts[index] > 2)
    world = World()
    world.send(reader, limit=several)
    world.sender.faults, world.sender.refusals = [1], ["status 400"]
    with pytest.raises(ReceiverError):
        world.send(reader, after=positions[several - 1])
    delivery = world.send(reader, after=positions[several - 1])

    assert delivery.refusals == ("status 400",)
    await log.close()


async def test_a_build_that_ends_without_its_orchestrator_aborts_its_runs() -> None:
    log = open_event_log("memory:")
    build = Build(log, *DAYS)
    build.schedule(1, *DAYS)
    await build.execute()
    run = await build.start(1, "//:day", DAYS)
    await build.one.emit(made(run, DAYS[0]))
    await build.one.complete_build(Failed(jobs_completed=0, jobs_failed=1, message="died"))
    world = World()
    world.send(log.reader())

    assert world.kinds == [
        ("//data:graph", "START"),
        ("//:day", "START"),
        ("//:day", "ABORT"),
        ("//data:graph", "FAIL"),
    ]
    (output,) = world.last("//:day")["outputs"]
    assert [part["identifier"] for part in output["outputFacets"]["subset"]["outputCondition"]["partitions"]] == [
        DAYS[0]
    ]
    await log.close()


async def test_runs_that_never_ran_and_operations_have_no_run_events() -> None:
    log = open_event_log("memory:")
    await log.append(
        [ev.BuildEvent(event_id="t/1", build_request_id="t", sequence=1, taint=ev.TaintEvent(author="ann"))]
    )
    build = Build(log, "x")
    build.schedule(1, "x")
    await build.execute()
    await build.one.emit(("job", job_event("b.1.0", 1, "//:j", ev.JOB_STATUS_SKIPPED, 0)))
    build.one.emit_partition_failed("x", pt.Failure(category=pt.FAILURE_CATEGORY_CANCELLED, message="not run"))
    await build.one.complete_build(Failed(message="nothing to do"))
    world = World()
    world.send(log.reader())

    assert world.kinds == [("//data:graph", "START"), ("//data:graph", "FAIL")]
    await log.close()


async def test_a_job_run_whose_process_could_not_be_started_fails() -> None:
    log = open_event_log("memory:")
    build = Build(log, "x")
    build.schedule(1, "x")
    await build.execute()
    await build.one.emit_job_scheduled("b.1.1", 1, "//:j")
    failure = pt.Failure(category=pt.FAILURE_CATEGORY_USER, message="no such program")
    await build.one.emit(("job", job_event("b.1.1", 1, "//:j", ev.JOB_STATUS_FAILED, 1, failure)))
    await build.one.complete_build(Failed(jobs_completed=0, jobs_failed=1, message="1 task failed"))
    world = World()
    world.send(log.reader())

    assert world.kinds[1:3] == [("//:j", "START"), ("//:j", "FAIL")]
    assert world.last("//:j")["run"]["facets"]["errorMessage"]["message"] == "no such program"
    await log.close()


async def test_a_failed_check_of_severity_error_fails_the_run_of_the_checks_alone() -> None:
    log = open_event_log("memory:")
    build = Build(log, DAYS[0])
    build.schedule(1, DAYS[0])
    await build.execute()
    run = await build.start(1, "//:day", [DAYS[0]])
    build.check(run, "unique", passed=False, severity=pt.CheckResult.SEVERITY_ERROR, ref=DAYS[0])
    await build.end(run, ev.JOB_STATUS_COMPLETED, made(run, DAYS[0]))
    await build.one.complete_build(Success(jobs_completed=1))
    world = World()
    world.send(log.reader())

    assert world.kinds[1:5] == [
        ("//:day", "START"),
        ("//:day", "COMPLETE"),
        ("//:day.checks", "START"),
        ("//:day.checks", "FAIL"),
    ]
    checks, run_of_job = world.last("//:day.checks"), world.last("//:day")
    assert checks["run"]["facets"]["parent"]["run"] == {"runId": run_of_job["run"]["runId"]}
    assert checks["outputs"] == []
    await log.close()


async def test_an_environment_has_a_namespace_of_its_own_and_names_that_of_its_inputs() -> None:
    log = open_event_log("memory:")
    for name, environment in (("base", ""), ("first", "pr-1"), ("second", "pr-1")):
        ref = {"base": "raw/2026-01-01", "first": "raw/2026-01-02"}.get(name, DAYS[0])
        build = Build(log, ref, build=name, environment=environment)
        build.schedule(1, ref)
        await build.execute()
        inputs = [(f"raw/2026-01-0{day}", "v") for day in (1, 2, 3)] if name == "second" else []
        run = await build.start(1, "//:j", [ref], inputs)
        await build.end(run, ev.JOB_STATUS_COMPLETED, made(run, ref))
        await build.one.complete_build(Success(jobs_completed=1))
    world = World()
    world.send(log.reader())
    last = world.last("//:j")

    parts = {
        dataset["namespace"]: len(dataset["inputFacets"]["subset"]["inputCondition"]["partitions"])
        for dataset in last["inputs"]
    }
    assert parts == {"team": 2, "team/pr-1": 1}
    assert {last["job"]["namespace"], last["outputs"][0]["namespace"]} == {"team/pr-1"}
    assert last["run"]["facets"]["databuild_run"]["environment"] == "pr-1"
    assert not any(faults_of(event) for event in world.sender.events)
    await log.close()


def test_a_subset_of_too_many_partitions_is_left_out() -> None:
    refs = [(f"number/{number}", "") for number in range(MAX_PARTITIONS + 1)]
    numbers = Datasets("team", lambda ref: RefPattern("number/{n}", {"n": ref.removeprefix("number/")}, "number"))

    (whole,) = json.loads(numbers.inputs(refs[1:]))
    (rest,) = json.loads(numbers.inputs(refs))
    assert len(whole["inputFacets"]["subset"]["inputCondition"]["partitions"]) == MAX_PARTITIONS
    assert rest == {"namespace": "team", "name": "number/{n}", "inputFacets": {}}


def test_schemas_are_those_of_the_client_of_openlineage() -> None:
    from openlineage.client import facet_v2
    from openlineage.client.event_v2 import RunEvent as ClientEvent

    modules = [getattr(facet_v2, name) for name in facet_v2.__all__ if name.islower()]
    official = {
        name: kind._get_schema()
        for module in modules
        for name, kind in vars(module).items()
        if hasattr(kind, "_get_schema")
    }
    own = {name: url for name, url in SCHEMAS.items() if not name.startswith("Databuild")}

    assert own == {name: official[name] for name in own}
    assert ClientEvent._get_schema() == EVENT_SCHEMA


def test_run_ids_are_in_the_order_of_time_and_follow_from_names() -> None:
    first, second = ev.BuildEvent(), ev.BuildEvent()
    first.time.FromMilliseconds(1_767_225_600_123)
    second.time.FromMilliseconds(1_767_225_600_124)
    ids = [run_id(name, event.time) for event in (first, second) for name in ("a", "b")]

    assert ids == [run_id(name, event.time) for event in (first, second) for name in ("a", "b")]
    assert len(set(ids)) == 4
    assert max(ids[:2]) < min(ids[2:])
    assert {UUID(text).version for text in ids} == {7}
    assert {UUID(text).variant for text in ids} == {"specified in RFC 4122"}
    assert UUID(ids[0]).int >> 80 == 1_767_225_600_123


@pytest.mark.parametrize(
    ("ref", "uri", "place"),
    [
        (DAYS[0], f"s3://lake/out/{DAYS[0]}", ("s3://lake", "out/day")),
        (DAYS[0], f"gs://lake/{DAYS[0]}.csv", ("gs://lake", "day")),
        (DAYS[0], f"file:///srv/{DAYS[0]}/part.csv", ("file", "/srv/day")),
        (DAYS[0], f"file://host/srv/{DAYS[0]}", ("file://host", "/srv/day")),
        # The partitions of another pattern may be beside it, or the place does not follow from the ref.
        ("raw/2026-01-01", "s3://lake/raw/2026-01-01", None),
        (DAYS[0], "s3://lake/out/2026-01-01.csv", None),
        (DAYS[0], f"s3://lake/{DAYS[0]}5", None),
        (DAYS[0], f"abfs://lake/{DAYS[0]}", None),
        (DAYS[0], f"s3://[lake/{DAYS[0]}", None),
        # A ref without fields is a dataset of its own.
        ("report", "file:///srv/a%20b.html", ("file", "/srv/a b.html")),
    ],
)
def test_the_place_of_a_dataset_is_a_symlink_where_it_is_certain(
    ref: str, uri: str, place: tuple[str, str] | None
) -> None:
    event = made("b.1.1", ref, uri)[1]
    (dataset,) = json.loads(Datasets("team", pattern_of).made("", {ref: event}, ()))

    symlinks = dataset["facets"].get("symlinks", {"identifiers": [None]})
    (link,) = symlinks["identifiers"]
    assert link == (place and {"namespace": place[0], "name": place[1], "type": "LOCATION"})


def test_counts_are_left_out_if_one_partition_has_none() -> None:
    first, second = made("b.1.1", DAYS[0], "s3://a", 10, rows=3)[1], made("b.1.1", DAYS[1], row_count=4)[1]
    third = made("b.1.1", DAYS[1], "s3://b", 1, rows="many")[1]
    datasets = Datasets("team", pattern_of)

    def statistics(*events: ev.PartitionEvent) -> Any:
        made = json.loads(datasets.made("", dict(zip(DAYS, events, strict=False)), ()))
        return plain(made[0]["outputFacets"].get("outputStatistics"))

    assert statistics(first, second) == {"rowCount": 7}
    assert statistics(first, third) == {"size": 11}
    assert statistics(made("b.1.1", DAYS[0], rows=float("inf"))[1]) is None
    assert statistics(made("b.1.1", DAYS[0])[1]) is None
