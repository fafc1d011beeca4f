"""Tests of pytest under Bazel: exit codes, filter, shards and report."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Protocol

import pytest

from tools.python import child

MAIN = Path(__file__).with_name("pytest_main.py")


class Run(Protocol):
    """Runs the texts of test files, and returns the exit code and the output."""

    def __call__(self, *texts: str, **environment: str) -> tuple[int, str]: ...


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Returns a function that runs the texts of test files, and returns the exit code and the output."""
    (tmp_path / "pyproject.toml").write_text("[tool.pytest]\n")

    def run(*texts: str, **environment: str) -> tuple[int, str]:
        test_files = [tmp_path / f"test_{number}.py" for number in range(len(texts))]
        for test_file, text in zip(test_files, texts, strict=True):
            test_file.write_text(text)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("TEST", "XML"))}
        done = subprocess.run(
            child.command(str(MAIN), *map(str, test_files)),
            cwd=tmp_path,
            env=inherited | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return run


TWO_TESTS = "def test_one(): pass\n\ndef test_two(): pass\n"


def test_a_failing_test_fails(run: Run) -> None:
    code, output = run("def test_it(): assert 1 == 2\n")

    assert code == 1
    assert "assert 1 == 2" in output


def test_a_callback_that_raises_fails_the_test(run: Run) -> None:
    code, output = run(
        "import asyncio\n\nasync def main():\n    asyncio.get_running_loop().call_soon(lambda: 1 / 0)\n"
        "    await asyncio.sleep(0)\n\ndef test_it(): asyncio.run(main())\n\ndef test_other(): pass\n"
    )

    assert code == 1
    assert "ZeroDivisionError" in output
    assert "1 failed, 1 passed" in output


def test_a_file_without_tests_fails(run: Run) -> None:
    code, _ = run("")

    assert code == 5


def test_a_filter_selects_and_may_leave_nothing(run: Run) -> None:
    assert "1 passed, 1 deselected" in run(TWO_TESTS, TESTBRIDGE_TEST_ONLY="one")[1]
    assert run(TWO_TESTS, TESTBRIDGE_TEST_ONLY="three")[0] == 0


def test_shards_share_the_tests(run: Run, tmp_path: Path) -> None:
    for shard in "0", "1":
        status_file = tmp_path / f"status{shard}"
        code, output = run(
            TWO_TESTS, TEST_TOTAL_SHARDS="2", TEST_SHARD_INDEX=shard, TEST_SHARD_STATUS_FILE=str(status_file)
        )

        assert code == 0
        assert "1 passed" in output
        assert status_file.exists()


def test_shards_share_files_if_there_are_enough(run: Run) -> None:
    one_test = "def test_three(): pass\n"

    outputs = [run(TWO_TESTS, one_test, TEST_TOTAL_SHARDS="2", TEST_SHARD_INDEX=shard)[1] for shard in ("0", "1")]

    assert "2 passed" in outputs[0]
    assert "1 passed" in outputs[1]


def test_plugins_that_tests_do_not_use_are_not_loaded(run: Run) -> None:
    text = (
        "def test_it(pytestconfig):\n"
        "    plugins = pytestconfig.pluginmanager\n"
        "    assert plugins.hasplugin('pytest_asyncio.plugin')\n"
        "    assert not plugins.list_plugin_distinfo()\n"
    )

    code, output = run(text)

    assert code == 0, output


def test_the_report_is_written_where_bazel_looks(run: Run, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"

    run(TWO_TESTS, XML_OUTPUT_FILE=str(report))

    assert 'tests="2"' in report.read_text()


async def test_coroutines_run_without_a_mark() -> None:
    await asyncio.sleep(0)
