"""Blobs that are sent to the store of an engine, and read from it."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import grpc
import pytest

from databuild.executors.executor import ProcessSpec
from databuild.executors.reapi import remote_execution_pb2 as api
from databuild.executors.reapi.extension import ReapiExecutor
from databuild.executors.registry import ExecutorOptions
from tests.engines.fake_engine import QUICK, FakeEngine, FakeOperation
from tests.support.executors import Runs

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN_BLOBS = 3
"""Each process has an action, a command and an input root of its own."""


def with_code(runs: Runs, files: int = 20) -> ProcessSpec:
    code = runs.code({"job": "#!/bin/sh\n", **{f"data/{i}": f"content {i}" for i in range(files - 1)}})
    return runs.spec(f"{code.root}/_main/job", code=code)


async def test_code_is_sent_once(engine: FakeEngine, executor: ReapiExecutor, runs: Runs) -> None:
    spec = with_code(runs)

    await asyncio.gather(*(executor.run(spec._replace(run_id=str(number))) for number in range(10)))

    directories = 3  # the runfiles root, _main and data
    assert engine.uploads == 20 + directories + 10 * OWN_BLOBS


async def test_only_missing_code_is_sent(engine: FakeEngine, executor: ReapiExecutor, runs: Runs) -> None:
    spec = with_code(runs)
    await executor.run(spec)
    content = b"content 7"
    del engine.blobs[hashlib.sha256(content).hexdigest()]
    engine.uploads = 0
    second = ReapiExecutor(engine.uri, ExecutorOptions(), QUICK)

    await second.run(spec._replace(run_id="second"))
    await second.close()

    assert engine.uploads == 1 + OWN_BLOBS


async def test_the_tree_has_the_names_and_modes_of_the_files(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs
) -> None:
    await executor.run(with_code(runs, files=3))

    (operation,) = engine.operations.values()
    root = directory(engine, operation.action.input_root_digest)
    tree = directory(engine, root.directories[0].digest)
    main = directory(engine, tree.directories[0].digest)
    data = directory(engine, main.directories[0].digest)
    assert [node.name for node in (*root.directories, *tree.directories, *main.directories)] == [
        "program.runfiles",
        "_main",
        "data",
    ]
    assert [(node.name, node.is_executable) for node in (*main.files, *data.files)] == [
        ("job", True),
        ("0", False),
        ("1", False),
    ]
    assert operation.command.arguments[3] == "program.runfiles/_main/job"


async def test_digests_of_code_are_kept_on_disk(engine: FakeEngine, runs: Runs, tmp_path: Path) -> None:
    options = ExecutorOptions(cache_directory=str(tmp_path / "cache"))
    spec = with_code(runs)
    first = ReapiExecutor(engine.uri, options, QUICK)
    await first.run(spec)
    await first.close()
    assert spec.code is not None
    for file in Path(spec.code.root).rglob("*"):
        if file.is_file():
            file.unlink()  # nothing is read again

    second = ReapiExecutor(engine.uri, options, QUICK)
    result = await second.run(spec._replace(run_id="second"))
    await second.close()

    assert (result.exit_code, result.start_fault, len(engine.operations)) == (0, None, 2)


async def test_digests_on_disk_that_cannot_be_read_are_made_anew(
    engine: FakeEngine, runs: Runs, tmp_path: Path
) -> None:
    options = ExecutorOptions(cache_directory=str(tmp_path / "cache"))
    spec = with_code(runs)
    executor = ReapiExecutor(engine.uri, options, QUICK)
    await executor.run(spec)
    await executor.close()
    (kept,) = (tmp_path / "cache").iterdir()
    whole = kept.read_bytes()

    for broken in (b"", b"\xff\xff\xff", whole[: len(whole) // 2]):
        kept.write_bytes(broken)
        again = ReapiExecutor(engine.uri, options, QUICK)
        result = await again.run(spec._replace(run_id=f"after {len(broken)} bytes"))
        await again.close()

        assert (result.exit_code, result.start_fault) == (0, None)
        assert kept.read_bytes() == whole


async def test_a_code_file_that_changed_is_not_sent_under_its_old_digest(
    engine: FakeEngine, runs: Runs, tmp_path: Path
) -> None:
    options = ExecutorOptions(cache_directory=str(tmp_path / "cache"))
    spec = with_code(runs)
    executor = ReapiExecutor(engine.uri, options, QUICK)
    await executor.run(spec)
    await executor.close()
    assert spec.code is not None
    Path(spec.code.root, "_main/data/3").write_text("changed")
    engine.blobs = {hashlib.sha256(b"").hexdigest(): b""}

    again = ReapiExecutor(engine.uri, options, QUICK)
    result = await again.run(spec._replace(run_id="second"))
    await again.close()

    assert "_main/data/3 does not have the content that it had" in result.lost


async def test_many_blobs_are_sent_in_batches_that_the_engine_takes(engine: FakeEngine, runs: Runs) -> None:
    engine.capabilities.cache_capabilities.max_batch_total_size_bytes = 5_000
    executor = ReapiExecutor(engine.uri, ExecutorOptions(), QUICK)
    await executor.connect()

    result = await executor.run(with_code(runs, files=200))
    await executor.close()

    assert (result.exit_code, result.lost) == (0, "")
    assert engine.largest_batch <= 5_000


@pytest.mark.parametrize("broken_after", [0, 1_500_000])
async def test_a_large_task_description_is_sent_in_pieces(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs, broken_after: int
) -> None:
    engine.breaks_transfer_after = broken_after
    task = runs.folder / "task"
    task.write_bytes(bytes(range(256)) * 40_000)

    result = await executor.run(runs.shell("true", task=task))

    (operation,) = engine.operations.values()
    (file,) = directory(engine, operation.action.input_root_digest).files
    assert (result.exit_code, result.lost) == (0, "")
    assert file.name == "databuild.task"
    assert engine.blobs[file.digest.hash] == task.read_bytes()


@pytest.mark.parametrize("broken_after", [0, 300_000])
async def test_large_output_and_reports_are_read_in_pieces(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs, broken_after: int
) -> None:
    lines = [f"line {number}".encode() for number in range(200_000)]
    content = b"\n".join(lines)
    digest = api.Digest(hash=hashlib.sha256(content).hexdigest(), size_bytes=len(content))

    def run(operation: FakeOperation) -> api.ExecuteResponse:
        engine.blobs[digest.hash] = content
        report = api.OutputFile(path="databuild.report", digest=digest)
        return api.ExecuteResponse(result=api.ActionResult(stdout_digest=digest, output_files=[report]))

    engine.run = run
    engine.breaks_transfer_after = broken_after
    received: list[bytes] = []

    await executor.run(runs.reporting("true"), received.append)

    assert runs.stdout.read_bytes() == content
    assert received == lines


async def test_output_that_the_engine_sends_along_is_not_read_again(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs
) -> None:
    raw = b"raw\n"
    digest = api.Digest(hash=hashlib.sha256(raw).hexdigest(), size_bytes=len(raw))
    result = api.ActionResult(
        stdout_raw=raw,
        stdout_digest=digest,
        stderr_raw=raw,
        output_files=[api.OutputFile(path="databuild.report", digest=digest, contents=raw)],
    )
    engine.run = lambda operation: api.ExecuteResponse(result=result)
    engine.faults = {"Read": [(grpc.StatusCode.PERMISSION_DENIED, "not needed")]}
    lines: list[bytes] = []

    await executor.run(runs.reporting("true"), lines.append)

    assert (runs.stdout.read_bytes(), runs.stderr.read_bytes(), lines) == (raw, raw, [b"raw"])


async def test_a_store_that_is_full_loses_the_run(engine: FakeEngine, executor: ReapiExecutor, runs: Runs) -> None:
    engine.faults = {"BatchUpdateBlobs": [(grpc.StatusCode.RESOURCE_EXHAUSTED, "no space left")] * 100}

    result = await executor.run(runs.shell("true"))

    assert "no space left" in result.lost


async def test_blobs_that_the_engine_does_not_take_at_once_are_sent_again(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs
) -> None:
    engine.blob_faults = [(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy")] * 2

    result = await executor.run(runs.shell("true"))

    assert (result.exit_code, result.lost, engine.uploads) == (0, "", OWN_BLOBS)


async def test_a_blob_that_the_engine_refuses_loses_the_run(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs
) -> None:
    task = runs.folder / "task"
    task.write_bytes(bytes(4_000_000))
    engine.blob_faults = [(grpc.StatusCode.INVALID_ARGUMENT, "no such size")]
    small = await executor.run(runs.shell("true"))
    engine.faults = {"Write": [(grpc.StatusCode.PERMISSION_DENIED, "read only")]}
    large = await executor.run(runs.shell("true", task=task))

    assert "bytes: no such size" in small.lost
    assert f"the engine does not store the file {task}: read only" in large.lost
    assert not engine.operations


async def test_a_transfer_that_ends_too_early_is_continued(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs
) -> None:
    content = bytes(range(256)) * 1000
    digest = api.Digest(hash=hashlib.sha256(content).hexdigest(), size_bytes=len(content))

    def run(operation: FakeOperation) -> api.ExecuteResponse:
        engine.blobs[digest.hash] = content
        return api.ExecuteResponse(result=api.ActionResult(stdout_digest=digest))

    engine.run = run
    engine.ends_transfer_after = 100_000

    await executor.run(runs.shell("true"))

    assert runs.stdout.read_bytes() == content


def directory(engine: FakeEngine, digest: api.Digest) -> api.Directory:
    return api.Directory.FromString(engine.blobs[digest.hash])
