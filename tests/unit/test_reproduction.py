"""Reproductions: what is read from events, their messages, and the scratch folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from databuild.errors import InvalidRequestError
from databuild.executors.executor import ProcessResult
from databuild.graph.catalog import RetryPolicy
from databuild.job.locations import file_uri
from databuild.model.records import Location
from databuild.model.reproduction import Origin, ReproductionInput, ReproductionOutput
from databuild.model.reproduction_messages import reproduction_from_message, reproduction_to_message
from databuild.orchestration.reproduction.another_run import refusals, unplaced_inputs
from databuild.orchestration.reproduction.recorded_run import describe, read_run
from databuild.orchestration.reproduction.scratch import Scratch
from databuild.v1.events_pb2 import BuildOrigin
from tests.support.build_world import CLEAN, DONE, RAW, World, config, jobs


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_run_is_described_by_its_events(world: World) -> None:
    origin = Origin("c" * 40, "here", "Linux", "/work")
    world.settings = world.settings._replace(origin=BuildOrigin(**origin._asdict()))
    report = {"ref": "raw/1", "content_digest": "d1", "metadata": {"rows": 3}, "location": {"uri": "s3://b/1"}}

    def raw(_env: object, report_line: object) -> ProcessResult:
        assert callable(report_line)
        report_line({"partition": report})
        return DONE

    world.executor.runs[RAW] = raw
    world.executor.configs["clean/1"] = config("clean/1", "raw/1", args=["--fast"])
    await world.build("b", "clean/1")

    reader = world.log.reader()
    first, second = (
        describe(read_run(reader, run), reader, world.catalog.jobs[label])
        for run, label in (("b.1.1", RAW), ("b.2.1", CLEAN))
    )
    assert first.origin == origin
    assert first.outputs == (ReproductionOutput("raw/1", "d1", Location("s3://b/1"), {"rows": 3}),)
    assert (second.code_digest, second.args) == ("c", ("--fast",))
    assert second.inputs == (ReproductionInput("raw/1", "d1", False, "d1", Location("s3://b/1"), {"rows": 3}),)
    assert second.outputs == (ReproductionOutput("clean/1", "b.2.1"),)
    for reproduction in (first, second):
        assert reproduction_from_message(reproduction_to_message(reproduction)) == reproduction


async def test_each_attempt_is_described_by_itself(world: World) -> None:
    world.catalog = jobs(retry=RetryPolicy(retries=1, backoff_seconds=0.001))
    world.executor.runs[RAW] = lambda env, _: DONE._replace(exit_code=2 - int(env["DATABUILD_ATTEMPT"]))
    await world.build("b", "raw/1")

    reader = world.log.reader()
    first, second = (read_run(reader, run) for run in ("b.1.1", "b.1.2"))
    assert (first.job_run.exit_code, first.outputs) == (1, ())
    assert (second.job_run.exit_code, second.outputs) == (0, (ReproductionOutput("raw/1", "b.1.2"),))
    assert first.task == second.task


async def test_a_task_that_was_added_during_the_execution_is_found(world: World) -> None:
    await world.build("a", "raw/1")
    runs = []

    def clean(env: object, report_line: object) -> ProcessResult:
        runs.append(env)
        assert callable(report_line)
        if len(runs) > 1:
            return DONE
        report_line({"missing": {"ref": "raw/1"}})
        return DONE._replace(exit_code=1)

    world.executor.runs[CLEAN] = clean
    await world.build("b", "clean/1")

    added = read_run(world.log.reader(), "b.2.1")
    assert (added.task.job_label, added.task.config.outputs) == (RAW, ("raw/1",))


async def test_an_input_that_has_changed_or_gone_is_a_reason_to_refuse(world: World) -> None:
    await world.build("b", "clean/1")
    reader = world.log.reader()
    run = read_run(reader, "b.2.1")
    same = describe(run, reader, None)
    await world.build("c", "raw/1", force=True)
    changed = describe(run, reader, None)

    assert list(refusals(same, world.catalog)) == []
    assert unplaced_inputs(same) == ["raw/1"]
    assert list(refusals(changed, world.catalog)) == ["the input 'raw/1' had the version b.1.1 and now has c.1.1"]
    (used,) = changed.inputs
    assert used._replace(current_version="").change == "had the version b.1.1 and is not available any more"
    assert used._replace(version="").change == "had no record and now has the version c.1.1"


async def test_a_job_that_has_gone_or_changed_is_a_reason_to_refuse(world: World) -> None:
    await world.build("b", "raw/1")
    reader = world.log.reader()
    described = describe(read_run(reader, "b.1.1"), reader, None)

    changed = jobs(code_digests={RAW: "r2"})
    assert list(refusals(described, changed)) == [
        "the program of //:raw has changed: its code digest was r and is r2 now"
    ]
    gone = world.catalog._replace(jobs={CLEAN: world.catalog.jobs[CLEAN]})
    assert list(refusals(described, gone)) == ["the graph has no job //:raw any more"]
    running = described._replace(job_run=described.job_run._replace(status="RUNNING", exit_code=None))
    assert list(refusals(running, world.catalog)) == [
        "the job run is RUNNING and has no exit code that could be compared"
    ]


def test_the_tree_has_the_folders_of_the_job(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "scratch")
    root = tmp_path / "scratch/root"

    environ = {"HOME": "/root", "DATABUILD_DATA_ROOT": "/mnt/data", "BUILD_WORKSPACE_DIRECTORY": "/w"}
    changed = scratch.environment(environ, workspace="/w", working_directory="/w/sub")
    assert changed == {
        "HOME": "/root",
        "DATABUILD_DATA_ROOT": f"{root}/mnt/data",
        "DATABUILD_SCRATCH": str(root),
        "BUILD_WORKSPACE_DIRECTORY": f"{root}/w",
        "BUILD_WORKING_DIRECTORY": f"{root}/w/sub",
        "PWD": f"{root}/w/sub",
    }
    assert (root / "w/sub").is_dir()
    relative = scratch.environment({"DATABUILD_DATA_ROOT": "data"}, workspace="/w", working_directory="/w")
    assert relative["DATABUILD_DATA_ROOT"] == "data"


def test_files_and_the_files_of_folders_are_linked_one_by_one(tmp_path: Path) -> None:
    real = tmp_path / "real data"
    (real / "part/deep").mkdir(parents=True)
    for name in ("one", "part/two", "part/deep/three"):
        (real / name).write_text(name)
    scratch = Scratch(tmp_path / "scratch")

    linked = [scratch.link(Location(file_uri(path))) for path in (real / "one", real / "part", real / "part/two")]
    (scratch.path(f"{real}/part") / "new").write_text("of the job")

    assert linked == [True, True, True]
    assert sorted(str(path.relative_to(real)) for path in real.rglob("*") if path.is_file()) == [
        "one",
        "part/deep/three",
        "part/two",
    ]
    assert (scratch.path(f"{real}/part/deep/three")).read_text() == "part/deep/three"
    assert scratch.path(f"{real}/one").samefile(real / "one")
    assert scratch.link(Location("s3://bucket/x")) is False


def test_a_scratch_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InvalidRequestError, match="is not empty"):
        Scratch(tmp_path)
    with pytest.raises(InvalidRequestError, match="cannot be used: Not a directory"):
        Scratch(tmp_path / "file/below")
