"""Real processes on this machine: exit codes, process groups and files."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from databuild.executors.executor import ProcessSpec
from databuild.executors.local import LocalExecutor
from tests.support.present import present
from tests.support.waiting import until
from tools.python import child


@pytest.fixture
def executor() -> LocalExecutor:
    return LocalExecutor(base_env={"PATH": os.environ["PATH"], "BASE": "base"}, grace_seconds=5)


def spec(tmp_path: Path, *argv: str, **settings: Any) -> ProcessSpec:
    values = {
        "argv": argv,
        "env": {},
        "cwd": str(Path.cwd()),
        "stdout": str(tmp_path / "out"),
        "stderr": str(tmp_path / "err"),
        "report": str(tmp_path / "report"),
    }
    return ProcessSpec(**{**values, **settings})


def shell(tmp_path: Path, script: str, **settings: Any) -> ProcessSpec:
    return spec(tmp_path, "/bin/sh", "-c", script, **settings)


async def words_of(path: Path) -> list[str]:
    """Waits until a process has written a line, and returns its words."""
    await until(lambda: path.exists() and path.read_text().endswith("\n"))
    return path.read_text().split()


def is_gone(pid: int | str) -> bool:
    try:
        return Path(f"/proc/{int(pid)}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def watchdog_of(mark: str) -> int:
    """Returns the watchdog that kills the processes with an environment variable."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            arguments = path.read_text().split("\0")
            if "databuild-watchdog" in arguments and mark in arguments:
                return int(path.parent.name)
    raise AssertionError(mark)


async def test_output_environment_and_exit_code_arrive(executor: LocalExecutor, tmp_path: Path) -> None:
    result = await executor.run(shell(tmp_path, "echo $BASE $OWN; echo oops >&2; exit 7", env={"OWN": "own"}))

    assert result.exit_code == 7
    assert (tmp_path / "out").read_text() == "base own\n"
    assert (tmp_path / "err").read_text() == "oops\n"
    assert result.duration_seconds > 0
    assert result.peak_memory_bytes > 0


async def test_a_signal_is_reported_as_its_negative_number(executor: LocalExecutor, tmp_path: Path) -> None:
    assert (await executor.run(shell(tmp_path, "kill -9 $$"))).exit_code == -9


async def test_a_process_may_run_in_another_directory(executor: LocalExecutor, tmp_path: Path) -> None:
    await executor.run(shell(tmp_path, "pwd", cwd=str(tmp_path)))

    assert (tmp_path / "out").read_text().strip() == str(tmp_path)


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_missing_program_is_an_outcome(executor: LocalExecutor, tmp_path: Path, elsewhere: bool) -> None:
    settings = {"cwd": str(tmp_path)} if elsewhere else {}

    result = await executor.run(spec(tmp_path, "/no/such/program", **settings))

    assert present(result.start_fault).message == "/no/such/program does not exist; build the graph again with Bazel"


async def test_a_timeout_ends_the_whole_group(executor: LocalExecutor, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 1000 & echo $$ $! >{pids}; wait"

    result = await executor.run(shell(tmp_path, script, timeout_seconds=0.3))

    assert result.timed_out
    assert result.exit_code == -15
    assert all(is_gone(pid) for pid in pids.read_text().split())


async def test_cancelling_gives_time_to_end_and_leaves_nothing_behind(executor: LocalExecutor, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    ready = tmp_path / "ready"
    child = f"trap 'sleep 0.1; echo cleaned >{tmp_path}/cleaned; exit 0' TERM; echo trapped >{ready}; sleep 1000 & wait"
    script = f'sh -c "{child}" & echo $$ $! >{pids}; wait'
    running = asyncio.create_task(executor.run(shell(tmp_path, script)))
    group = await words_of(pids)
    await words_of(ready)

    running.cancel()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert all(is_gone(pid) for pid in group)
    assert (tmp_path / "cleaned").read_text() == "cleaned\n"


async def test_a_process_that_ignores_term_is_killed(executor: LocalExecutor, tmp_path: Path) -> None:
    executor.grace_seconds = 0.2
    pids = tmp_path / "pids"
    script = f"trap '' TERM; echo $$ >{pids}; while :; do sleep 0.05; done"
    running = asyncio.create_task(executor.run(shell(tmp_path, script)))
    (pid,) = await words_of(pids)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert is_gone(pid)


async def test_children_of_a_process_are_killed_when_it_ends(executor: LocalExecutor, tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    result = await executor.run(shell(tmp_path, f"sleep 1000 & echo $! >{pids}"))

    assert result.exit_code == 0
    (pid,) = pids.read_text().split()
    await until(lambda: is_gone(pid))


async def test_report_lines_arrive_while_the_process_runs_and_the_last_without_a_newline(
    executor: LocalExecutor, tmp_path: Path
) -> None:
    lines = []
    heard = asyncio.Event()

    def on_report(line: bytes) -> None:
        lines.append(line)
        heard.set()

    wait = f"while [ ! -e {tmp_path}/go ]; do sleep 0.02; done"
    script = f"echo one >>{tmp_path}/report; {wait}; printf two >>{tmp_path}/report"
    running = asyncio.create_task(executor.run(shell(tmp_path, script), on_report))
    await heard.wait()
    early = list(lines)
    (tmp_path / "go").touch()
    await running

    assert early == [b"one"]
    assert lines == [b"one", b"two"]


async def test_a_log_over_its_limit_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    executor = LocalExecutor(base_env={}, log_limit_bytes=1000)

    await executor.run(spec(tmp_path, sys.executable, "-I", "-c", "print('x' * 99988 + 'the end')"))

    text = (tmp_path / "out").read_text()
    assert text == "x" * 750 + "\n[databuild: 98996 bytes were cut here: the log is over its limit of 1000 bytes]\n" + (
        "x" * 242 + "the end\n"
    )


async def test_output_without_a_file_is_in_the_result_cut_to_its_end(tmp_path: Path) -> None:
    executor = LocalExecutor(base_env={}, log_limit_bytes=1000)
    code = "import sys; print('short'); sys.stderr.write('x' * 100000 + 'end')"

    result = await executor.run(spec(tmp_path, sys.executable, "-I", "-c", code, stdout="", stderr=""))

    assert result.stdout == b"short\n"
    assert result.stderr == b"x" * 997 + b"end"


async def test_a_silent_process_leaves_no_file(executor: LocalExecutor, tmp_path: Path) -> None:
    await executor.run(shell(tmp_path, "true"))

    assert list(tmp_path.iterdir()) == []


async def test_a_log_that_cannot_be_written_does_not_stop_the_process(executor: LocalExecutor, tmp_path: Path) -> None:
    result = await executor.run(shell(tmp_path, "echo heard; echo done >&2", stdout="/no/such/folder/out"))

    assert result.exit_code == 0
    assert (tmp_path / "err").read_text() == "done\n"


async def test_output_can_be_read_while_the_process_runs(executor: LocalExecutor, tmp_path: Path) -> None:
    wait = f"while [ ! -e {tmp_path}/go ]; do sleep 0.02; done"
    running = asyncio.create_task(executor.run(shell(tmp_path, f"echo early; {wait}; echo late")))
    early = await words_of(tmp_path / "out")
    (tmp_path / "go").touch()
    await running

    assert early == ["early"]
    assert (tmp_path / "out").read_text() == "early\nlate\n"


async def test_a_child_that_escapes_the_group_and_keeps_writing_does_not_delay_the_result(
    executor: LocalExecutor, tmp_path: Path
) -> None:
    escaped = f"import os,time; os.setsid(); open('{tmp_path}/pid','w').write(str(os.getpid())+chr(10))"
    code = f"{escaped}\nwhile True: print('x' * 1000, flush=True)"
    script = f'{sys.executable} -I -c "$CODE" & while [ ! -e {tmp_path}/pid ]; do sleep 0.02; done'

    result = await executor.run(shell(tmp_path, script, env={"CODE": code}))

    assert result.exit_code == 0
    (pid,) = await words_of(tmp_path / "pid")
    await until(lambda: is_gone(pid))  # its pipe is closed


async def test_a_process_gets_no_input_and_default_signals(executor: LocalExecutor, tmp_path: Path) -> None:
    code = "import signal,sys; print(repr(sys.stdin.read()), signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)"

    await executor.run(spec(tmp_path, sys.executable, "-I", "-c", code))

    assert (tmp_path / "out").read_text() == "'' True\n"


@pytest.mark.parametrize("killed", [True, False])
async def test_a_watchdog_kills_only_the_orphans_of_a_killed_process(tmp_path: Path, killed: bool) -> None:
    mark = f"DATABUILD_TEST={tmp_path}"
    script = (
        "import os, subprocess, sys, time\n"
        "from databuild.executors.watchdog import watchdog\n"
        f"env = {{**os.environ, 'DATABUILD_TEST': {str(tmp_path)!r}}}\n"
        f"with watchdog({mark!r}):\n"
        "    child = subprocess.Popen(['sleep', '1000'], env=env, process_group=0, stdout=subprocess.DEVNULL)\n"
        "    other = subprocess.Popen(['sleep', '1000'], process_group=0, stdout=subprocess.DEVNULL)\n"
        "    print(child.pid, other.pid, flush=True)\n"
        f"    time.sleep({1000 if killed else 0})\n"
    )
    process = await asyncio.create_subprocess_exec(*child.command("-c", script), stdout=asyncio.subprocess.PIPE)
    pids = (await present(process.stdout).readline()).split()
    ended, other = (int(pid) for pid in pids)
    try:
        if killed:
            process.kill()
        await process.wait()
        if killed:
            await until(lambda: is_gone(ended))

        assert is_gone(ended) == killed
        assert not is_gone(other)
    finally:
        for pid in (ended, other):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


async def test_a_watchdog_spares_processes_of_an_engine_while_they_start_others(tmp_path: Path) -> None:
    mark = f"DATABUILD_TEST={tmp_path}"
    # A process that is just starting or ending has no environment, so that two looks at it may differ.
    loop = "while :; do /bin/true; done"
    script = (
        "import subprocess, time\n"
        "from databuild.executors.watchdog import watchdog\n"
        f"env = {{'DATABUILD_TEST': {str(tmp_path)!r}, 'DATABUILD_EXECUTOR': 'dask://host'}}\n"
        f"with watchdog({mark!r}):\n"
        f"    options = {{'env': env, 'process_group': 0, 'stdout': subprocess.DEVNULL}}\n"
        f"    start = lambda: subprocess.Popen(['sh', '-c', {loop!r}], **options)\n"
        "    jobs = [start() for _ in range(8)]\n"
        "    print(*(job.pid for job in jobs), flush=True)\n"
        "    time.sleep(1000)\n"
    )
    process = await asyncio.create_subprocess_exec(*child.command("-c", script), stdout=asyncio.subprocess.PIPE)
    jobs = [int(pid) for pid in (await present(process.stdout).readline()).split()]
    watchdog = watchdog_of(mark)
    try:
        process.kill()
        await until(lambda: is_gone(watchdog))

        assert [job for job in jobs if is_gone(job)] == []
    finally:
        for job in jobs:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(job, signal.SIGKILL)
        await process.wait()


async def test_orphans_of_a_dead_build_are_killed(executor: LocalExecutor, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    env = {**os.environ, "DATABUILD_BUILD_REQUEST_ID": f"dead-{tmp_path.name}-{os.getpid()}"}
    left = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", f"sleep 1000 & echo $$ $! >{pids}; wait", env=env, process_group=0
    )
    group = await words_of(pids)

    await executor.kill_orphans(env["DATABUILD_BUILD_REQUEST_ID"], "")

    assert await left.wait() == -signal.SIGKILL
    assert all(is_gone(pid) for pid in group)


async def test_processes_of_a_living_build_with_the_same_id_are_spared(tmp_path: Path) -> None:
    build = f"same-{tmp_path.name}-{os.getpid()}"
    executors = [LocalExecutor(base_env={"PATH": os.environ["PATH"]}, process=f"m/{name}") for name in ("dead", "live")]
    runs = [
        asyncio.create_task(
            one.run(shell(tmp_path, f"echo $$ >{tmp_path}/{n}; sleep 1000", env={"DATABUILD_BUILD_REQUEST_ID": build}))
        )
        for n, one in enumerate(executors)
    ]
    (_, (live,)) = [await words_of(tmp_path / str(n)) for n in range(2)]

    await executors[1].kill_orphans(build, "m/dead")

    assert (await runs[0]).exit_code == -signal.SIGKILL
    assert not is_gone(live)
    await executors[1].kill_orphans(build, "m/live")
    assert (await runs[1]).exit_code == -signal.SIGKILL


async def test_many_short_processes_at_once_end_without_an_event_of_one_reaching_another(
    executor: LocalExecutor, tmp_path: Path
) -> None:
    faults = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    numbers = iter(range(600))

    async def place() -> list[int]:
        return [(await executor.run(spec(tmp_path, "/bin/true"))).exit_code for _ in numbers]

    ended = await asyncio.gather(place(), place(), place())

    assert [code for codes in ended for code in codes] == [0] * 600
    assert faults == []


async def test_a_report_path_that_is_a_fifo_does_not_block(executor: LocalExecutor, tmp_path: Path) -> None:
    for made in ("mkfifo", "mkdir"):
        result = await executor.run(
            shell(tmp_path, f"rm -rf {tmp_path}/report; {made} {tmp_path}/report"), lambda _: None
        )

        assert result.exit_code == 0
