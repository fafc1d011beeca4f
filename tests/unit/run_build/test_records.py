"""The records that a build leaves of its job runs and their data."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from databuild.executors.executor import ProcessResult, ProcessSpec
from databuild.graph.catalog import Job, JobCatalog
from databuild.model.results import Success
from databuild.v1 import events_pb2 as ev
from tests.support.build_world import CLEAN, DONE, RAW, FakeExecutor, Report, World, config, jobs, warnings_of


async def test_measurements_of_a_job_run_are_kept(world: World) -> None:
    def raw(_env: Mapping[str, str], report: Report) -> ProcessResult:
        report({"partition": {"ref": "raw/1", "contentDigest": "d1", "metadata": {"rows": 3}}})
        report({"metric": {"name": "rows", "value": 3}})
        report({"check": {"name": "positive", "passed": True}})
        report({"progress": {"fraction": 0.5}})
        return DONE

    world.executor.runs[RAW] = raw

    assert await world.build("b", "raw/1") == Success(jobs_completed=1)

    record = world.records("raw/1")["raw/1"]
    assert (record.version, record.metadata) == ("d1", {"rows": 3})
    run = world.log.reader().job_run("b.1.1")
    assert run is not None
    assert (run.duration_seconds, run.cpu_seconds, run.peak_memory_bytes) == (1.0, 0.5, 1000)
    events = world.log.reader().events("b")
    assert [event.check.result.name for event in events if event.HasField("check")] == ["positive"]
    ended = next(event.job for event in events if event.job.status == ev.JOB_STATUS_COMPLETED)
    assert [metric.name for metric in ended.metrics] == ["rows"]


async def test_inputs_rebuilt_to_the_same_content_leave_downstream_alone(world: World) -> None:
    def raw(_env: Mapping[str, str], report: Report) -> ProcessResult:
        report({"partition": {"ref": "raw/1", "content_digest": "same"}})
        return DONE

    world.executor.runs[RAW] = raw
    await world.build("b1", "clean/1")
    world.catalog = jobs(code_digests={RAW: "new"})

    assert await world.build("b2", "clean/1") == Success(jobs_completed=1)

    assert world.runs("b2") == [("b2.1.1", "COMPLETED"), ("b2.2.0", "SKIPPED")]
    assert world.statuses("b2") == {"clean/1": "DELEGATED", "raw/1": "AVAILABLE"}
    assert world.records("clean/1")["clean/1"].produced_by_build_request_id == "b1"


async def test_inputs_rebuilt_to_something_else_do_not(world: World) -> None:
    await world.build("b1", "clean/1")
    world.catalog = jobs(code_digests={RAW: "new"})

    assert await world.build("b2", "clean/1") == Success(jobs_completed=2)


async def test_a_lookup_is_run_for_a_graph_that_has_one(world: World, tmp_path: Path) -> None:
    world.catalog = JobCatalog(
        graph_label="//:g", jobs={RAW: Job(label=RAW, executable=RAW, code_digest="r")}, lookup="/bin/lookup"
    )

    class LookingUp(FakeExecutor):
        async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
            if spec.argv[0] == "/bin/lookup":
                return ProcessResult(exit_code=0, stdout=json.dumps(dict.fromkeys(spec.argv[1:], RAW)).encode())
            return await super().run(spec, on_report)

    world.executor = LookingUp()

    assert await world.build("b", "anything") == Success(jobs_completed=1)


async def test_query_inputs_that_nothing_has_produced_are_warned_of_at_the_end(world: World) -> None:
    reading = config("clean/1")
    reading["inputs"] = [{"partition_ref": {"str": ref}} for ref in ("outside", "raw/7")]
    world.executor.configs["clean/1"] = reading

    await world.build("b", "clean/1")
    *before, last = warnings_of(world, "b")

    assert not any(before)
    assert len(last) == 1
    assert "'outside', which 'clean/1' reads (no job is known to produce it)" in last[0]
    assert "'raw/7', which 'clean/1' reads (//:raw produces it)" in last[0]


async def test_query_inputs_that_came_to_be_while_the_build_ran_are_not_warned_of(world: World) -> None:
    async def clean(_env: Mapping[str, str], _report: Report) -> ProcessResult:
        await world.build("other", "raw/7")
        return DONE

    world.executor.runs[CLEAN] = clean
    world.executor.configs["clean/1"] = config("clean/1") | {"inputs": [{"partition_ref": {"str": "raw/7"}}]}

    await world.build("b", "clean/1")

    assert not any(warnings_of(world, "b"))
