"""Starts wait while descriptors, processes or memory are exhausted, and failed starts are explained."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from databuild.executors.descriptor_limit import DescriptorLimit
from databuild.executors.executor import Capacity, ProcessResult, ProcessSpec
from databuild.executors.local import STARTER_VARIABLE, LocalExecutor
from databuild.executors.process_group import groups_with_variables
from tests.support.present import present
from tests.support.waiting import until

MANY = Capacity(1000, "nothing")


@pytest.fixture
def files_left() -> Iterator[Callable[[int], int]]:
    """Returns a function that limits the number of further files that this process can open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    fillers: list[int] = []

    def limit(left: int) -> int:
        highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
        while (descriptor := os.open(os.devnull, os.O_RDONLY)) <= highest:
            fillers.append(descriptor)
        os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptor + left, hard))
        return descriptor + left

    yield limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for descriptor in fillers:
        os.close(descriptor)


def shell(script: str, tmp_path: Path, **settings: Any) -> ProcessSpec:
    values = {"argv": ("/bin/sh", "-c", script), "env": {}, "cwd": str(tmp_path), **settings}
    return ProcessSpec(**values)


async def run_together(
    executor: LocalExecutor, folder: Path, count: int, together: int, command: str = ":"
) -> list[ProcessResult]:
    """Runs a command a number of times; no run ends before a number of them run concurrently."""
    (folder / "running").mkdir()
    script = f"touch running/$$; while [ ! -e go ]; do sleep 0.02; done; {command}; rm running/$$"
    spec = shell(script, folder, env={"PATH": os.environ["PATH"]})
    runs = asyncio.gather(*(executor.run(spec) for _ in range(count)))
    await until(lambda: len(list((folder / "running").iterdir())) >= together)
    (folder / "go").touch()
    return await runs


async def test_the_limit_of_open_files_is_raised_when_needed_and_jobs_keep_the_old_one(
    files_left: Callable[[int], int], tmp_path: Path
) -> None:
    executor = LocalExecutor(base_env={}, capacity=MANY)
    soft = files_left(40)
    executor = LocalExecutor(base_env={}, capacity=MANY)

    results = await run_together(executor, tmp_path, 60, 60, "ulimit -S -n")

    assert [result.start_fault for result in results] == [None] * 60
    assert {result.stdout for result in results} == {b"%d\n" % soft}
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > soft


async def test_a_start_waits_for_files_that_our_own_processes_have_open(
    files_left: Callable[[int], int], tmp_path: Path
) -> None:
    files_left(40)
    limit = DescriptorLimit(highest=0)
    executor = LocalExecutor(base_env={}, capacity=MANY, descriptor_limit=limit, start_seconds=0.0)

    # Each has three open files here, so about twelve fit, and the others wait.
    results = await run_together(executor, tmp_path, 30, 8)

    assert [result.exit_code for result in results] == [0] * 30
    assert limit.raised_from is None


async def test_a_start_that_waited_in_vain_names_the_limit(files_left: Callable[[int], int], tmp_path: Path) -> None:
    executor = LocalExecutor(base_env={}, descriptor_limit=DescriptorLimit(highest=0), start_seconds=0.02)
    files_left(1)

    result = await executor.run(shell("true", tmp_path))

    assert present(result.start_fault).message.startswith(
        "Too many open files: /bin/sh; this process is at its limit of"
    )
    assert not present(result.start_fault).users_fault


async def test_a_process_without_a_pidfd_is_killed(files_left: Callable[[int], int], tmp_path: Path) -> None:
    executor = LocalExecutor(base_env={}, descriptor_limit=DescriptorLimit(highest=0), start_seconds=0.0)
    files_left(4)  # enough for its pipes, but not for its pidfd

    result = await executor.run(shell("sleep 1000", tmp_path, env={"DATABUILD_TEST": str(tmp_path)}))

    assert "Too many open files" in present(result.start_fault).message
    await until(lambda: not groups_with_variables(f"DATABUILD_TEST={tmp_path}".encode()))


async def test_no_more_processes_run_at_once_than_fit(tmp_path: Path) -> None:
    executor = LocalExecutor(base_env={}, capacity=Capacity(2, "a test"))

    results = await run_together(executor, tmp_path, 8, 2, "ls running | wc -l")

    assert {result.exit_code for result in results} == {0}
    assert max(int(result.stdout) for result in results) == 2


def program(path: Path, text: bytes, mode: int = 0o755) -> str:
    path.write_bytes(text)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("raised", [False, True])
@pytest.mark.parametrize(
    ("text", "mode", "said", "users_fault"),
    [
        (None, 0o755, "{} does not exist; build the graph again with Bazel", False),
        (b"#!/no/such/shell -e\n", 0o755, "{} needs the interpreter /no/such/shell, which does not exist", True),
        (b"#!/bin/sh\n", 0o644, "{} is not executable; run `chmod +x`", True),
        (b"echo hello\n", 0o755, "{} has no #! line and is not a binary", True),
        (b"", 0o755, "{} is empty", True),
    ],
)
async def test_a_failed_start_is_explained(
    tmp_path: Path,
    files_left: Callable[[int], int],
    raised: bool,
    text: bytes | None,
    mode: int,
    said: str,
    users_fault: bool,
) -> None:
    limit = DescriptorLimit()
    if raised:
        files_left(100)
        limit = DescriptorLimit()
        limit.raise_limit()
    executor = LocalExecutor(base_env={}, descriptor_limit=limit)
    path = tmp_path / "program"
    if text is not None:
        program(path, text, mode)

    result = await executor.run(ProcessSpec(argv=(str(path),), env={}, cwd=str(tmp_path)))

    assert present(result.start_fault).message.startswith(said.format(path))
    assert present(result.start_fault).users_fault == users_fault


async def test_a_directory_is_not_a_program(tmp_path: Path) -> None:
    result = await LocalExecutor(base_env={}).run(ProcessSpec(argv=(str(tmp_path),), env={}, cwd=str(tmp_path)))

    assert present(result.start_fault).message == f"{tmp_path} is a directory; name a program"


async def test_a_missing_working_directory_is_not_the_fault_of_the_job(tmp_path: Path) -> None:
    result = await LocalExecutor(base_env={}).run(shell("true", tmp_path / "gone"))

    assert present(result.start_fault).message == f"its working directory {tmp_path}/gone does not exist"
    assert not present(result.start_fault).users_fault


@pytest.mark.parametrize(
    ("argv", "env", "said"),
    [
        (("x" * 131_072,), {}, "argument 1 has 131,073 bytes, and the kernel takes at most 131,072 in one string"),
        ((), {"INPUTS": "x" * 131_066}, "the variable INPUTS has 131,074 bytes, and the kernel takes at most"),
        (("x" * 100_000,) * 100, {}, "its arguments and environment have 10,00"),
    ],
)
async def test_a_command_that_is_too_large_is_refused_before_its_start(
    tmp_path: Path, argv: tuple[str, ...], env: dict[str, str], said: str
) -> None:
    executor = LocalExecutor(base_env={"A": "1"})
    argv = ("/bin/true", *argv)

    known = executor.command_fault(argv, env)
    result = await executor.run(ProcessSpec(argv=argv, env=env, cwd=str(tmp_path)))

    assert known.startswith(said)
    assert known.endswith("Write long lists into a file, and pass its path")
    assert (present(result.start_fault).message, present(result.start_fault).users_fault) == (known, True)


async def test_the_largest_command_that_the_kernel_takes_is_not_refused(tmp_path: Path) -> None:
    executor = LocalExecutor(base_env={}, process="p")
    size = min(os.sysconf("SC_ARG_MAX"), 6 * 1024 * 1024) - len(f"{STARTER_VARIABLE}=p\0") - 8
    one = 100_000
    argv = ["/bin/true"]
    left = size - 2 * len("/bin/true\0") - 8
    while left > one + 9 + 100:
        argv.append("x" * one)
        left -= one + 9
    argv.append("x" * (left - 9))

    result = await executor.run(ProcessSpec(argv=argv, env={}, cwd=str(tmp_path)))
    more = await executor.run(ProcessSpec(argv=(*argv[:-1], argv[-1] + "x"), env={}, cwd=str(tmp_path)))

    assert executor.command_fault(argv, {}) == ""
    assert result.exit_code == 0
    assert executor.command_fault((*argv[:-1], argv[-1] + "x"), {}) != ""
    assert more.start_fault is not None
