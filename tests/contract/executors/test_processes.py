"""The surroundings of a process and its result, on every executor."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from databuild.executors.registry import ExecutorOptions
from tests.support.executors import ExecutorCase, Runs

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_exit_code_and_output_arrive(case: ExecutorCase, runs: Runs) -> None:
    executor = await case.open(ExecutorOptions())

    result = await executor.run(runs.shell("echo out; echo err >&2; exit 7"))

    assert result.exit_code == 7
    assert result.duration_seconds > 0
    assert (result.timed_out, result.lost, result.refused, result.start_fault) == (False, "", "", None)
    assert runs.stdout.read_text() == "out\n"
    assert runs.stderr.read_text() == "err\n"


async def test_output_without_a_file_is_in_the_result(case: ExecutorCase, runs: Runs) -> None:
    executor = await case.open(ExecutorOptions())

    result = await executor.run(runs.shell("echo out; echo err >&2", stdout="", stderr=""))

    assert (result.stdout, result.stderr) == (b"out\n", b"err\n")


async def test_a_silent_process_leaves_no_file(case: ExecutorCase, runs: Runs) -> None:
    executor = await case.open(ExecutorOptions())

    await executor.run(runs.shell("true"))

    assert list(runs.folder.iterdir()) == []


async def test_arguments_arrive_unchanged(case: ExecutorCase, runs: Runs) -> None:
    executor = await case.open(ExecutorOptions())
    arguments = ["", "a b", "it's", '"$HOME"', "two\nlines", "-n", "größer", "*", "\\"]

    await executor.run(runs.shell("printf '%s|' \"$@\"", *arguments))

    assert runs.stdout.read_text() == "|".join([*arguments, ""])


async def test_the_environment_is_that_of_the_spec(
    case: ExecutorCase, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = await case.open(ExecutorOptions())
    monkeypatch.setenv("OF_THIS_PROCESS", "secret")

    await executor.run(
        runs.shell('echo "$A|$B|$EMPTY|${OF_THIS_PROCESS-unset}"; ls /', env={"A": "größer", "B": "x y"})
    )

    first, *root = runs.stdout.read_text().splitlines()
    assert first == "größer|x y||unset"
    assert "bin" in root  # programs are found, though the spec names no PATH


async def test_a_path_of_the_spec_is_used(case: ExecutorCase, runs: Runs) -> None:
    executor = await case.open(ExecutorOptions())

    await executor.run(runs.shell('echo "$PATH"', env={"PATH": "/bin:/here"}))

    assert runs.stdout.read_text() == "/bin:/here\n"


async def test_output_need_not_be_text(case: ExecutorCase, runs: Runs) -> None:
    executor = await case.open(ExecutorOptions())

    await executor.run(runs.shell(r"printf '\377\000\r\nx'"))

    assert runs.stdout.read_bytes() == b"\xff\x00\r\nx"


async def test_large_output_arrives_whole(case: ExecutorCase, runs: Runs) -> None:
    executor = await case.open(ExecutorOptions())

    await executor.run(runs.shell("yes 0123456789abcde | head -c 20000000"))

    data = runs.stdout.read_bytes()
    assert len(data) == 20_000_000
    assert data == (b"0123456789abcde\n" * 1_250_000)


async def test_output_over_the_limit_keeps_its_beginning_and_its_end(case: ExecutorCase, runs: Runs) -> None:
    executor = await case.open(ExecutorOptions(log_limit_bytes=1000))

    await executor.run(runs.shell("head -c 99992 /dev/zero | tr '\\0' x; echo the end"))

    text = runs.stdout.read_text()
    assert text == "x" * 750 + "\n[databuild: 99000 bytes were cut here: the log is over its limit of 1000 bytes]\n" + (
        "x" * 242 + "the end\n"
    )


async def test_a_log_that_cannot_be_written_is_no_fault_of_the_process(case: ExecutorCase, runs: Runs) -> None:
    executor = await case.open(ExecutorOptions())

    result = await executor.run(runs.shell("echo lost; echo kept >&2", stdout="/no/such/folder/out"))

    assert result.exit_code == 0
    assert runs.stderr.read_text() == "kept\n"


async def test_a_signal_is_told_by_its_number(case: ExecutorCase, runs: Runs) -> None:
    executor = await case.open(ExecutorOptions())

    result = await executor.run(runs.shell("kill -9 $$"))

    assert result.exit_code in {-9, 128 + 9}  # engines tell it as shells do


async def test_a_missing_program_is_an_outcome_that_names_it(case: ExecutorCase, runs: Runs) -> None:
    executor = await case.open(ExecutorOptions())

    result = await executor.run(runs.spec("/no/such/program", stdout="", stderr=""))

    told = result.start_fault.message if result.start_fault else result.stderr.decode()
    assert result.exit_code != 0
    assert "/no/such/program" in told


async def test_every_line_of_the_report_arrives_also_a_last_one_without_a_newline(
    case: ExecutorCase, runs: Runs
) -> None:
    executor = await case.open(ExecutorOptions())
    lines: list[bytes] = []
    script = 'for i in $(seq 1000); do echo "line $i" >> "$DATABUILD_REPORT"; done; printf last >> "$DATABUILD_REPORT"'

    await executor.run(runs.reporting(script), lines.append)

    assert lines == [f"line {i}".encode() for i in range(1, 1001)] + [b"last"]


async def test_a_report_arrives_from_a_process_that_fails_in_another_directory(case: ExecutorCase, runs: Runs) -> None:
    executor = await case.open(ExecutorOptions())
    lines: list[bytes] = []

    result = await executor.run(runs.reporting('cd /; echo line >> "$DATABUILD_REPORT"; exit 3'), lines.append)

    assert (result.exit_code, lines) == (3, [b"line"])


async def test_a_process_without_a_report_reports_nothing(case: ExecutorCase, runs: Runs) -> None:
    executor = await case.open(ExecutorOptions())
    lines: list[bytes] = []

    result = await executor.run(runs.reporting("true"), lines.append)

    assert (result.exit_code, lines) == (0, [])


@pytest.mark.parametrize("count", [1, 500_000])
async def test_a_task_description_arrives_from_memory_or_from_a_file(
    case: ExecutorCase, runs: Runs, count: int
) -> None:
    executor = await case.open(ExecutorOptions())
    file = runs.folder / "task"
    file.write_bytes(b"0123456789" * count)
    task = file if count > 1 else file.read_bytes()

    await executor.run(runs.shell('sha256sum < "$DATABUILD_TASK"', task=task, env={"DATABUILD_TASK": str(file)}))

    assert runs.stdout.read_text().split()[0] == hashlib.sha256(file.read_bytes()).hexdigest()


async def test_a_program_runs_with_its_runfiles(case: ExecutorCase, runs: Runs) -> None:
    executor = await case.open(ExecutorOptions())
    program = '#!/bin/sh\ncat "$RUNFILES_DIR/_main/data/a file" "${0%/*}/../data/b"; echo "$1"; exit 4\n'
    code = runs.code({"jobs/program": program, "data/a file": "of the runfiles\n", "data/b": "beside it\n"})
    spec = runs.spec(f"{code.root}/_main/jobs/program", "arg", code=code, env={"RUNFILES_DIR": code.root})

    first = await executor.run(spec)
    again = await executor.run(spec._replace(run_id="again", stdout=""))

    assert first.exit_code == 4
    assert runs.stdout.read_text() == "of the runfiles\nbeside it\narg\n"
    assert (again.exit_code, again.stdout) == (4, b"of the runfiles\nbeside it\narg\n")


async def test_the_same_process_runs_again(case: ExecutorCase, runs: Runs) -> None:
    executor = await case.open(ExecutorOptions())
    spec = runs.shell("date +%N; exit 1", stdout="")

    first = await executor.run(spec)
    second = await executor.run(spec)

    assert first.stdout != second.stdout


async def test_forty_runs_at_once_keep_their_results_apart(case: ExecutorCase, runs: Runs) -> None:
    executor = await case.open(ExecutorOptions())

    async def run(number: int) -> tuple[int, bytes, list[bytes]]:
        lines: list[bytes] = []
        script = f'echo out {number}; echo {number} >> "$DATABUILD_REPORT"; exit {number}'
        report = str(runs.folder / f"report-{number}")
        spec = runs.shell(script, stdout="", report=report, env={"DATABUILD_REPORT": report})
        result = await executor.run(spec, lines.append)
        return result.exit_code, result.stdout, lines

    results = await asyncio.gather(*map(run, range(40)))

    assert results == [(i, f"out {i}\n".encode(), [str(i).encode()]) for i in range(40)]


async def test_an_argument_that_no_kernel_takes_is_a_fault_of_the_command(case: ExecutorCase) -> None:
    executor = await case.open(ExecutorOptions())

    assert "argument 1 has 200,001 bytes" in executor.command_fault(["/bin/true", "x" * 200_000], {})
    assert executor.command_fault(["/bin/true", "x"], {"A": "b"}) == ""
