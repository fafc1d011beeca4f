"""The contract of every event log for the facts that job runs report: metrics, checks and schemas."""

from __future__ import annotations

from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log
from databuild.event_log.overlay.reader import OverlayReader
from databuild.event_log.verify import verify
from databuild.model.records import CheckRecord, Location, MetricRecord
from databuild.model.results import Success
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.events.payloads import job_event, partition_available
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.support.step_builds import begin, build, claim, produce

_SCHEMA = {"$type": "schema", "columns": [["day", "DATE"], ["rows", "BIGINT"]]}
_SEVERITY = pt.CheckResult.SEVERITY_WARNING


async def _run(one: BuildOrchestrator, number: int, ref: str, *metrics: pt.Metric, checks: int = 0) -> None:
    """Writes the events of a task that reports metrics, checks, a schema and a location."""
    run = f"{one.build_request_id}.{number}.1"
    one.emit_job_scheduled(run, number, "//:j")
    one.emit(("job", job_event(run, number, "//:j", ev.JOB_STATUS_RUNNING)))
    one.emit_partition_building(ref, number, run)
    for check in range(checks):
        result = pt.CheckResult(name=f"c{check}", passed=check > 0, severity=_SEVERITY, message="too few")
        one.emit(("check", ev.CheckEvent(job_run_id=run, result=result)))
    ended = job_event(run, number, "//:j", ev.JOB_STATUS_COMPLETED)
    ended.duration_seconds = 2.5
    ended.metrics.extend(metrics)
    one.emit(("job", ended))
    place = pt.Location(uri=f"s3://bucket/{ref}", size_bytes=7)
    await one.emit(partition_available(ref, number, run, "", {"rows": number, "schema": _SCHEMA}, place))


async def test_reports_of_runs_are_read_by_run(log: EventLog) -> None:
    one = await begin(log, "b", "p", "q")
    nan = float("nan")
    metrics = [
        pt.Metric(name="read", value=1, unit="bytes"),
        pt.Metric(name="read", value=2, unit="bytes"),
        pt.Metric(name="read", value=0.5, ref="p"),
        pt.Metric(name="broken", value=nan),
    ]
    await _run(one, 1, "p", *metrics, checks=2)
    await _run(one, 2, "q")
    await one.complete_build(Success(jobs_completed=2))
    reader = log.reader()

    assert reader.metrics_of_runs(["b.1.1", "b.2.1", "unknown"]) == [
        MetricRecord("b.1.1", "read", "", 2.0, "bytes"),
        MetricRecord("b.1.1", "read", "p", 0.5, ""),
    ]
    failed, passed = CheckRecord("b.1.1", "c0", "", False, "WARNING", "too few"), ("b.1.1", "c1", "", True)
    assert reader.checks_of_runs(["b.1.1", "b.2.1"])[0] == failed
    assert reader.checks_of_runs(["b.1.1", "b.2.1"])[1][:4] == passed
    assert reader.checks_of_runs(["b.1.1", "b.2.1"], limit=1) == [failed]
    assert reader.schemas_of("p", ["b.1.1", "b.2.1"]) == {"b.1.1": {"day": "DATE", "rows": "BIGINT"}}
    assert verify(reader).reported == ()


async def test_reported_data_is_read_backwards_by_ref(log: EventLog) -> None:
    one = await begin(log, "b", "d/1", "d/2", "d/3", "e/1")
    await _run(one, 1, "d/1")
    await produce(one, 2, "d/2", rows=5)
    await begin(log, "b2", "d/2")
    await log.renew_lease("b2", "here", 60)
    await claim(log, "b2", 1, "d/2")
    reader = log.reader()
    third, second, first = reader.reported_under("d/")

    assert (third.ref, third.available, third.version) == ("d/3", False, "")
    assert (second.ref, second.available, second.metadata, second.location) == ("d/2", False, {"rows": 5}, None)
    assert (first.ref, first.available, first.job_run_id, first.duration_seconds) == ("d/1", True, "b.1.1", 2.5)
    assert (first.metadata["rows"], first.location) == (1, Location("s3://bucket/d/1", 7))
    assert [data.ref for data in reader.reported_under("d/", before="d/3", limit=1)] == ["d/2"]
    assert reader.reported_of(["d/1", "unknown"]) == [first]


async def test_reports_are_pruned_with_their_runs(log: EventLog) -> None:
    one = await begin(log, "b1", "p", "q")
    for number, ref in enumerate(("p", "q"), 1):
        await _run(one, number, ref, pt.Metric(name="read", value=1), checks=1)
    await one.complete_build(Success(jobs_completed=2))
    await build(log, "b2", "q")
    pruner = log.pruner()
    pruner.prune(["b1"], 300.0)
    pruner.close()
    reader = log.reader()
    runs = ["b1.1.1", "b1.2.1"]

    assert [metric.job_run_id for metric in reader.metrics_of_runs(runs)] == ["b1.1.1"]
    assert [check.job_run_id for check in reader.checks_of_runs(runs)] == ["b1.1.1"]
    assert (list(reader.schemas_of("p", runs)), list(reader.schemas_of("q", runs))) == (["b1.1.1"], [])
    assert verify(reader).reported == ()


async def test_an_environment_has_its_reports_and_those_of_its_base(uri: str) -> None:
    base, own = open_event_log(uri), open_event_log("memory:")
    below = await begin(base, "b1", "d/1", "d/2", "d/3")
    for number, ref in enumerate(("d/1", "d/2", "d/3"), 1):
        await _run(below, number, ref, pt.Metric(name="read", value=number), checks=1)
    above = await begin(own, "b2", "d/2", "d/4")
    await _run(above, 1, "d/2", pt.Metric(name="read", value=9), checks=1)
    reader = OverlayReader(own.reader(), base.reader())
    runs = [data.job_run_id for data in reader.reported_under("d/")]
    page = [data.ref for data in reader.reported_under("d/", before="d/4", limit=2)]
    found = {data.ref: data.job_run_id for data in reader.reported_of(["d/1", "d/2"])}
    metrics, checks = reader.metrics_of_runs(runs), reader.checks_of_runs(runs)
    schemas = reader.schemas_of("d/2", ["b1.2.1", "b2.1.1"])
    for log in (own, base):
        await log.close()

    assert runs == ["", "b1.3.1", "b2.1.1", "b1.1.1"]
    assert page == ["d/3", "d/2"]
    assert found == {"d/1": "b1.1.1", "d/2": "b2.1.1"}
    assert [metric.value for metric in metrics] == [1, 3, 9]
    assert [check.job_run_id for check in checks] == ["b1.1.1", "b1.3.1", "b2.1.1"]
    assert schemas.keys() == {"b1.2.1", "b2.1.1"}
