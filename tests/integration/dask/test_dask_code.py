"""Code that gets to workers of Dask."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from databuild.executors.code_files import code_files
from databuild.executors.dask.code_tree import archive, fingerprint, unpack
from databuild.executors.executor import Code, ProcessResult
from tests.engines.cluster import Cluster
from tests.integration.dask.conftest import Open
from tests.support.executors import Runs
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHERE = '#!/bin/sh\ncat "$RUNFILES_DIR/_main/data"; echo "$0 $RUNFILES_DIR"\n'


@pytest.fixture
def hidden(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], Code]:
    """Returns a function that makes code at a path that means something else to each process."""

    def make(files: dict[str, str]) -> Code:
        code = runs.code(files)
        monkeypatch.chdir(runs.folder)
        here = "/proc/self/cwd"
        root, listed = (path.replace(str(runs.folder), here) for path in (code.root, code.files))
        return Code(root=root, files=listed, digest=code.digest)

    return make


Hidden = Callable[[dict[str, str]], Code]


async def test_code_at_a_shared_path_is_used_where_it_is(cluster: Cluster, opened: Open, runs: Runs) -> None:
    executor = await opened(cluster)
    code = runs.code({"job": WHERE, "data": "content\n"})
    program = f"{code.root}/_main/job"

    result = await executor.run(runs.spec(program, code=code, stdout="", env={"RUNFILES_DIR": code.root}))

    assert result.stdout.decode() == f"content\n{program} {code.root}\n"


async def test_code_that_a_worker_does_not_have_is_sent_once(
    own_cluster: Cluster, opened: Open, runs: Runs, hidden: Hidden
) -> None:
    executor = await opened(own_cluster)
    code = hidden({"job": WHERE, "data": "content\n"})
    spec = [runs.spec(f"{code.root}/_main/job", code=code, stdout="") for _ in range(20)]

    results = await asyncio.gather(*map(executor.run, spec))

    places = {result.stdout.decode().split()[1] for result in results}
    assert {result.stdout.decode().split()[0] for result in results} == {"content"}
    assert len(places) == len({result.machine for result in results}) == 2
    assert all(str(own_cluster.folder) in place for place in places)


async def test_a_hundred_megabytes_arrive(own_cluster: Cluster, opened: Open, runs: Runs, hidden: Hidden) -> None:
    executor = await opened(own_cluster)
    code = hidden({"job": '#!/bin/sh\ncd "$RUNFILES_DIR/_main"; cat data-* | cksum\n', "data-0": ""})
    data = os.urandom(1 << 20)
    names = [f"data-{number}" for number in range(1, 101)]
    for name in names:
        (Path(code.root) / "_main" / name).write_bytes(data)
    Path(code.files).write_text("\n".join(["_main", "job", "data-0", *names]))

    results = await asyncio.gather(
        *(executor.run(runs.spec(f"{code.root}/_main/job", code=code, stdout="")) for _ in range(4))
    )

    assert {result.stdout.split()[1] for result in results} == {b"104857600"}
    assert len({result.stdout for result in results}) == 1


async def test_code_that_cannot_be_read_is_told(cluster: Cluster, opened: Open, runs: Runs) -> None:
    executor = await opened(cluster)
    code = runs.code({"job": WHERE, "data": "content\n"})
    (Path(code.root) / "_main" / "data").unlink()

    result = await executor.run(runs.spec(f"{code.root}/_main/job", code=code))

    assert result.start_fault
    assert "a file of the run cannot be read" in result.start_fault.message


async def test_a_run_that_waits_for_its_code_can_be_cancelled(
    own_cluster: Cluster, opened: Open, runs: Runs, hidden: Hidden
) -> None:
    first = await opened(own_cluster)
    handles: list[str] = []
    code = hidden({"job": WHERE, "data": "content\n"})
    spec = runs.spec(f"{code.root}/_main/job", code=code, stdout="")
    waiting = asyncio.create_task(first.run(spec, None, lambda placement: handles.append(placement.handle)))
    await until(lambda: handles)
    await first.close()
    assert (await waiting).lost
    second = await opened(own_cluster)
    running = asyncio.create_task(second.resume(handles[0], spec))
    await asyncio.sleep(0)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert (await second.run(runs.shell("exit 5"))).exit_code == 5


async def test_code_that_does_not_fit_on_the_disk_is_told(opened: Open, runs: Runs, hidden: Hidden) -> None:
    with Cluster(workers=[]) as cluster:
        cluster.start_worker(disk="2m")
        executor = await opened(cluster)
        code = hidden({"job": WHERE, "data": "x" * 3_000_000})

        result: ProcessResult = await executor.run(runs.spec(f"{code.root}/_main/job", code=code))

        assert result.start_fault
        assert "No space left on device" in result.start_fault.message
        assert (await executor.run(runs.shell("exit 5"))).exit_code == 5


async def test_an_archive_has_the_files_with_their_modes(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    names = {"a b/größer": "x", "job": "#!/bin/sh\n", "empty": "", "n" * 200: "long name", "block": "x" * 512}
    code = runs.code(names)
    parts = list(archive(code))
    path = tmp_path / "archive"
    path.write_bytes(b"".join(parts))

    with pytest.raises(ValueError, match="its hash is wrong"):
        unpack(str(path), "0" * 64, str(tmp_path / "tree"))
    unpack(str(path), sha256_of(path), str(tmp_path / "tree"))

    tree = tmp_path / "tree" / "program.runfiles" / "_main"
    assert {str(file.relative_to(tree)): file.read_text() for file in tree.rglob("*") if file.is_file()} == names
    assert os.access(tree / "job", os.X_OK)
    assert not (tree / "empty").stat().st_mode & 0o100


async def test_a_fingerprint_changes_with_each_file(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    code = runs.code({"job": "#!/bin/sh\n", "data": "content"})
    before = fingerprint(code)
    sources = [Path(file.source) for file in code_files(code)]

    assert fingerprint(code) == before
    for source in sources:
        source.write_bytes(source.read_bytes())  # the same content, another time
        assert fingerprint(code) != before
        before = fingerprint(code)


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
