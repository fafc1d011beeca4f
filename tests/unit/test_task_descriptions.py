"""Task descriptions of large runs and of graphs with a lookup, and the ways in which runs read them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from databuild.event_log.sqlite.reader import SqliteReader
from databuild.graph.catalog import Job, JobCatalog
from databuild.job.task_description import read_task
from databuild.model.job_graph import JobConfig, Task
from databuild.model.pacing import SLICE
from databuild.model.records import Location, StoredData
from databuild.orchestration.jobs.task_access import TaskAccess
from databuild.orchestration.jobs.task_descriptions import TaskDescriptions
from databuild.v1 import job_pb2
from databuild.v1 import partition_pb2 as pt
from tests.support.present import present

INPUTS = 50_000


def described(
    inputs: Sequence[str] = (), outputs: Sequence[str] = ("month/2013-01",), **patterns: tuple[str, ...]
) -> TaskDescriptions:
    """Returns the descriptions of one job run, "b.1.1"."""
    jobs = {label: Job(label=label, executable="", outputs=texts) for label, texts in patterns.items()}
    manifest = pt.Manifest(inputs=[pt.InputVersion(ref=ref, version="1") for ref in inputs])
    task = Task(1, "month", JobConfig(outputs=tuple(outputs), materialize=tuple(inputs)), (), "")
    return TaskDescriptions(JobCatalog(graph_label="", jobs=jobs), Reads(), {"b.1.1": (task, manifest)}, never, settled)


class Reads(SqliteReader):
    """An event log in which every partition is available."""

    def __init__(self) -> None:
        super().__init__("memory:")

    def metadata_of(self, refs: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
        return {ref: {"path": f"/data/{ref}"} for ref in refs}

    def stored_data_of(self, refs: Collection[str]) -> Sequence[StoredData]:
        return [StoredData(ref, "1", Location(f"file:///data/{ref}", 7)) for ref in refs if "nowhere" not in ref]


async def settled() -> None:
    pass


def never(_job_run_id: str) -> None:
    """Says that no job run is about to start."""


async def parts_of(descriptions: TaskDescriptions) -> list[bytes]:
    return [part async for part in present(descriptions.describe("b.1.1"))]


async def test_a_large_description_is_made_in_small_parts() -> None:
    refs = [f"day/{number}" for number in range(INPUTS)]
    parts = await parts_of(described(refs, refs, month=("month/{month:month}",), day=("day/{n:int}",)))
    described_run = json.loads(b"".join(parts))

    assert max(part.count(b'"ref"') for part in parts) <= SLICE
    assert [one["ref"] for one in described_run["inputs"]] == refs
    assert [one["ref"] for one in described_run["outputs"]] == refs
    assert described_run["inputs"][-1]["fields"] == {"n": str(INPUTS - 1)}


async def test_fields_have_types_and_outputs_those_of_their_own_job() -> None:
    descriptions = described(
        ["day/1"],
        ["month/2013-01", "day/2"],
        month=("month/{month:month}",),
        day=("day/{n:/[0-9]/}",),
    )
    described_run = json.loads(b"".join(await parts_of(descriptions)))

    month, foreign = described_run["outputs"]
    assert (month["fields"], month["field_types"]) == ({"month": "2013-01"}, {"month": "month"})
    assert foreign["fields"] == {}  # another job has this pattern, so a lookup gives the ref to this one
    assert described_run["inputs"][0]["field_types"] == {"n": "str"}


async def test_an_input_has_the_place_of_its_data() -> None:
    description = b"".join(await parts_of(described(["day/1", "nowhere/1"])))
    first, second = json_format.Parse(description, job_pb2.TaskDescription()).inputs

    assert (first.location.uri, first.location.size_bytes) == ("file:///data/day/1", 7)
    assert not second.HasField("location")


async def test_a_run_that_is_not_running_has_no_description() -> None:
    assert described().describe("b.2.1") is None


@pytest.mark.parametrize("outputs", [(), ("month/2013-01",)])
async def test_without_a_socket_a_run_has_a_file_as_long_as_it_runs(tmp_path: Path, outputs: Sequence[str]) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    descriptions = described(["day/1"], outputs)
    offered = TaskAccess(descriptions.describe, str(folder), str(tmp_path / "none" / "none"))
    async with offered.serving() as access, access.file("b.1.1") as path:
        task = read_task({"DATABUILD_TASK": path, "DATABUILD_JOB_RUN_ID": "b.1.1"})
        assert [one.name for one in folder.iterdir()] == ["b.1.1.task"]

    assert [(one.ref, one.metadata["path"]) for one in task.inputs] == [("day/1", "/data/day/1")]
    assert [one.ref for one in task.outputs] == list(outputs)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("outputs", [(), ("month/2013-01",), [f"month/2013-{n:03}" for n in range(1000)]])
async def test_an_engine_gets_a_description_from_memory_unless_it_is_large(
    tmp_path: Path, outputs: Sequence[str]
) -> None:
    offered = TaskAccess(described(["day/1"], outputs).describe, str(tmp_path))
    async with offered.content("b.1.1") as content:
        files = [one.name for one in tmp_path.iterdir()]
        task = json.loads(content if isinstance(content, bytes) else content.read_bytes())

    assert files == (["b.1.1.task"] if len(outputs) > 1 else [])
    assert [one["ref"] for one in task["outputs"]] == list(outputs)
    assert [one["ref"] for one in task["inputs"]] == ["day/1"]
    assert list(tmp_path.iterdir()) == []


async def test_a_file_that_cannot_be_written_fails_no_run_that_does_not_read_it(tmp_path: Path) -> None:
    offered = TaskAccess(described().describe, str(tmp_path / "gone"), str(tmp_path / "none" / "none"))
    async with offered.serving() as access, access.file("b.1.1") as path:
        assert path == str(tmp_path / "gone" / "b.1.1.task")


async def test_a_description_waits_until_its_run_is_known_to_be_running() -> None:
    task = Task(1, "month", JobConfig(outputs=("month/2013-01",)), (), "")
    running: dict[str, tuple[Task, pt.Manifest]] = {}
    starting = asyncio.get_running_loop().create_future()
    descriptions = TaskDescriptions(
        JobCatalog(graph_label="", jobs={}),
        Reads(),
        running,
        lambda job_run_id: starting if job_run_id == "b.1.1" else None,
        settled,
    )

    parts = asyncio.ensure_future(parts_of(descriptions))
    await asyncio.sleep(0)
    assert not parts.done()
    running["b.1.1"] = (task, pt.Manifest())
    starting.set_result(None)

    assert json.loads(b"".join(await parts))["outputs"][0]["ref"] == "month/2013-01"
    assert descriptions.describe("b.2.1") is None
