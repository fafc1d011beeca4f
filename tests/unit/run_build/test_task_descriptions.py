"""The task descriptions of job runs: outputs and inputs."""

from __future__ import annotations

import asyncio
import json
import stat
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from google.protobuf import json_format

from databuild.executors.executor import ProcessResult
from databuild.graph.catalog import RetryPolicy
from databuild.job import TaskDescriptionError
from databuild.job.partitions import Task
from databuild.job.task_description import read_task
from databuild.v1 import job_pb2
from tests.support.build_world import CLEAN, DONE, RAW, Config, Report, Run, World, config, jobs
from tests.support.present import present


@pytest.fixture
async def world() -> AsyncIterator[World]:
    # The path of a socket has at most 107 bytes, and that of `tmp_path` may be longer.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        made = World(Path(folder))
        yield made
        await made.log.close()


class Reading:
    """A job whose runs read their descriptions; it remembers them by job run."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.environs: list[Mapping[str, str]] = []

    async def __call__(self, env: Mapping[str, str], _report: Report) -> ProcessResult:
        self.environs.append(env)
        self.tasks[env["DATABUILD_JOB_RUN_ID"]] = await asyncio.to_thread(read_task, env)
        return DONE


@pytest.fixture
def reading(world: World) -> Reading:
    world.executor.runs[CLEAN] = reading = Reading()
    return reading


def report(**metadata: object) -> Run:
    """Returns a job that reports metadata for each of its runs."""

    def run(env: Mapping[str, str], report: Report) -> ProcessResult:
        ref = f"raw/{env['N']}"
        report({"partition": {"ref": ref, "metadata": {**metadata, "path": f"/data/{ref}"}}})
        return DONE

    return run


def raw(number: int) -> Config:
    return {**config(f"raw/{number}"), "env": {"N": str(number)}}


async def test_inputs_have_what_their_producer_has_reported_in_this_build_or_before(
    world: World, reading: Reading
) -> None:
    world.executor.runs[RAW] = report(rows=842)
    world.executor.configs = {f"raw/{number}": raw(number) for number in (1, 2)}
    world.executor.configs["clean/1"] = config("clean/1", "raw/1", "raw/2")
    await world.build("b1", "raw/1")
    await world.build("b2", "clean/1")
    task = reading.tasks["b2.2.1"]

    assert [(one.ref, one.kind, one.version, one.available) for one in task.inputs] == [
        ("raw/1", "MATERIALIZE", "b1.1.1", True),
        ("raw/2", "MATERIALIZE", "b2.1.1", True),
    ]
    assert [one.metadata for one in task.inputs] == [
        {"rows": 842, "path": "/data/raw/1"},
        {"rows": 842, "path": "/data/raw/2"},
    ]
    assert [one.fields.n for one in task.inputs] == [1, 2]
    assert [(one.ref, dict(one.fields)) for one in task.outputs] == [("clean/1", {"n": 1})]


async def test_query_inputs_may_be_absent(world: World, reading: Reading) -> None:
    answer = config("clean/1")
    answer["inputs"] = [{"dep_type_name": "query", "partition_ref": {"str": ref}} for ref in ("raw/1", "outside/x")]
    world.executor.configs["clean/1"] = answer
    await world.build("b1", "raw/1")
    await world.build("b2", "clean/1")
    present, absent = reading.tasks["b2.1.1"].inputs

    assert (present.kind, present.version, present.available) == ("QUERY", "b1.1.1", True)
    assert (absent.kind, absent.version, absent.available) == ("QUERY", "", False)
    assert (absent.ref, dict(absent.fields), absent.metadata) == ("outside/x", {}, {})


async def test_an_input_that_was_rebuilt_to_the_same_content_has_its_version(world: World, reading: Reading) -> None:
    def made(_env: Mapping[str, str], report: Report) -> ProcessResult:
        report({"partition": {"ref": "raw/1", "content_digest": "same"}})
        return DONE

    world.executor.runs[RAW] = made
    await world.build("b1", "clean/1")
    world.catalog = jobs(code_digests={RAW: "new"})
    world.executor.configs["clean/1"] = config("clean/1", "raw/1", args=["changed"])
    await world.build("b2", "clean/1")

    assert reading.tasks["b2.2.1"].inputs[0].version == "same"


async def test_versions_are_those_that_the_build_records(world: World, reading: Reading) -> None:
    world.executor.runs[RAW] = report()
    world.executor.configs["raw/1"] = raw(1)
    await world.build("b", "clean/1")
    manifest = present(world.records("clean/1")["clean/1"].manifest)

    assert [(one.ref, one.version) for one in reading.tasks["b.2.1"].inputs] == [("raw/1", "b.1.1")]
    assert [(one.ref, one.version) for one in manifest.inputs] == [("raw/1", "b.1.1")]


async def test_a_description_is_protobuf_json(world: World) -> None:
    texts: list[bytes] = []

    async def run(env: Mapping[str, str], _report: Report) -> ProcessResult:
        reader, writer = await asyncio.open_unix_connection(env["DATABUILD_TASK"])
        writer.write(b"GET /job_runs/b.2.1 HTTP/1.0\r\n\r\n")
        texts.append((await reader.read()).partition(b"\r\n\r\n")[2])
        writer.close()
        return DONE

    world.executor.runs[CLEAN] = run
    world.executor.runs[RAW] = report(rows=1, share=0.5, days=["ä", None, {"a": True}])
    world.executor.configs["raw/1"] = raw(1)
    answer = config("clean/1", "raw/1")
    inputs = answer["inputs"]
    assert isinstance(inputs, list)
    inputs.append({"dep_type_name": "query", "partition_ref": {"str": "outside/x"}})
    world.executor.configs["clean/1"] = answer
    await world.build("b", "clean/1")
    message = json_format.Parse(texts[0], job_pb2.TaskDescription())
    shown = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )

    assert shown["inputs"][0]["metadata"]["days"] == ["ä", None, {"a": True}]
    for output in shown["outputs"]:
        assert output.pop("history") == []  # it is written only for jobs that ask for it
    written = json.loads(texts[0])
    assert written == shown | {
        "inputs": [
            {name: value for name, value in one.items() if name in written["inputs"][number]}
            for number, one in enumerate(shown["inputs"])
        ]
    }
    assert set(written["inputs"][1]) == set(shown["inputs"][1])


async def test_a_run_that_has_ended_is_no_longer_described(world: World) -> None:
    environs: list[Mapping[str, str]] = []
    refused: list[str] = []

    async def run(env: Mapping[str, str], _report: Report) -> ProcessResult:
        for earlier in environs:
            try:
                await asyncio.to_thread(read_task, earlier)
            except TaskDescriptionError as error:
                refused.append(str(error))
        environs.append(env)
        await asyncio.to_thread(read_task, env)
        return DONE

    world.executor.runs[RAW] = run
    await world.build("b", "raw/1", "raw/2")

    assert len(refused) == 1
    assert "no job run 'b.1.1' of this build is running" in refused[0]


async def test_the_socket_is_private_to_a_build_and_goes_with_it(world: World, reading: Reading) -> None:
    await asyncio.gather(world.build("b1", "clean/1"), world.build("b2", "clean/2"))
    paths = {Path(env["DATABUILD_TASK"]) for env in reading.environs}

    assert len(paths) == 2
    assert {path.parent.name for path in paths} == {"b1", "b2"}
    assert not any(path.exists() for path in paths)
    assert {task.outputs[0].ref for task in reading.tasks.values()} == {"clean/1", "clean/2"}


async def test_a_deep_folder_of_logs_is_no_obstacle(world: World, reading: Reading, tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 30)
    world.settings = world.settings._replace(log_directory=str(folder))
    await world.build("b", "clean/1")

    assert reading.tasks["b.2.1"].outputs[0].ref == "clean/1"
    assert list((folder / "b").iterdir()) == []


async def test_a_retry_reads_the_description_of_its_own_run(world: World, reading: Reading) -> None:
    failed: list[Mapping[str, str]] = []

    async def fail_once(env: Mapping[str, str], report: Report) -> ProcessResult:
        await reading(env, report)
        failed.append(env)
        return DONE._replace(exit_code=int(len(failed) == 1))

    world.executor.runs[CLEAN] = fail_once
    world.catalog = jobs(retry=RetryPolicy(retries=1))
    await world.build("b", "clean/1")

    assert set(reading.tasks) == {"b.2.1", "b.2.2"}


async def test_the_socket_is_there_while_jobs_run_and_after_a_failure_it_is_gone(world: World) -> None:
    modes: list[int] = []

    def run(env: Mapping[str, str], _report: Report) -> ProcessResult:
        modes.append(Path(env["DATABUILD_TASK"]).stat().st_mode)
        raise ZeroDivisionError

    world.executor.runs[RAW] = run
    with pytest.raises(ZeroDivisionError):
        await world.build("b", "raw/1")

    assert [stat.S_ISSOCK(mode) for mode in modes] == [True]
    assert not any(stat.S_ISSOCK(path.stat().st_mode) for path in Path(world.settings.log_directory, "b").iterdir())
