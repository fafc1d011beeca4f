"""Tracing and metrics of a build, as an OpenTelemetry SDK receives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from databuild.event_log.open import open_event_log
from databuild.executors.executor import ProcessResult, ProcessSpec
from databuild.graph.catalog import Job, JobCatalog
from databuild.model.results import BuildResult, Success
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest, Settings
from databuild.orchestration.telemetry.telemetry import OpenTelemetry, Telemetry
from tests.support.fake_executor import NoProcesses
from tests.support.present import present

ANSWER = b'{"configs": [{"outputs": [{"str": "p/1"}]}]}'


class FakeExecutor(NoProcesses):
    """Answers `config`, completes `exec`, and remembers environments."""

    def __init__(self) -> None:
        self.envs: list[Mapping[str, str]] = []

    async def run(self, spec: ProcessSpec, _on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        if spec.argv[1] == "config":
            return ProcessResult(exit_code=0, stdout=ANSWER)
        self.envs.append(spec.env)
        return ProcessResult(exit_code=0, duration_seconds=2.0)


@pytest.fixture(scope="module")
def exported() -> tuple[InMemorySpanExporter, InMemoryMetricReader]:
    spans, measured = InMemorySpanExporter(), InMemoryMetricReader()
    tracing = TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(tracing)
    metrics.set_meter_provider(MeterProvider([measured]))
    return spans, measured


async def build(tmp_path: Path, executor: FakeExecutor, telemetry: Telemetry | None) -> BuildResult:
    log = open_event_log("memory:")
    job = Job(label="//:j", executable="/j", outputs=("p/{n:int}",))
    try:
        return await run_build(
            BuildRequest(build_request_id="b", requested=("p/1",)),
            BuildContext(
                catalog=JobCatalog(graph_label="//:g", jobs={"//:j": job}),
                event_log=log,
                executor=executor,
                settings=Settings(working_directory="/", log_directory=str(tmp_path)),
                telemetry=telemetry,
            ),
        )
    finally:
        await log.close()


async def test_a_build_is_one_trace_with_its_phases_and_job_runs_and_is_counted(
    tmp_path: Path, exported: tuple[InMemorySpanExporter, InMemoryMetricReader]
) -> None:
    spans, measured = exported
    executor = FakeExecutor()

    assert isinstance(await build(tmp_path, executor, OpenTelemetry()), Success)

    by_name = {span.name: span for span in spans.get_finished_spans()}
    assert set(by_name) == {"databuild.build", "databuild.planning", "databuild.execution", "databuild.job_run"}
    run = by_name["databuild.job_run"]
    assert present(run.parent).span_id == by_name["databuild.execution"].context.span_id
    assert run.attributes == {"databuild.build_request_id": "b", "job": "//:j", "attempt": 1}
    assert executor.envs[0]["TRACEPARENT"].startswith(f"00-{run.context.trace_id:032x}-{run.context.span_id:016x}-")

    found = {
        metric.name: metric.data.data_points
        for resource in present(measured.get_metrics_data()).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert [dict(present(point.attributes)) for point in found["databuild.job_runs"]] == [
        {"job": "//:j", "status": "COMPLETED"}
    ]
    assert [dict(present(point.attributes)) for point in found["databuild.builds"]] == [{"status": "COMPLETED"}]
    assert [dict(present(point.attributes)) for point in found["databuild.partitions"]] == [{"status": "AVAILABLE"}]
    assert [point.sum for point in found["databuild.job_run.duration"] if isinstance(point, HistogramDataPoint)] == [
        2.0
    ]


async def test_without_telemetry_jobs_of_a_build_share_a_trace_all_the_same(tmp_path: Path) -> None:
    executor = FakeExecutor()

    await build(tmp_path, executor, None)
    await build(tmp_path, executor, None)

    first, second = (env["TRACEPARENT"] for env in executor.envs)
    assert first == second
    assert [len(part) for part in first.split("-")] == [2, 32, 16, 2]
