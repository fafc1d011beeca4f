"""databuild.testing: the comparison of runs in a worker with a run in a process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from databuild.job import Config, Run
from databuild.testing import JobUnderTest, WorkerDifferenceError

_seen: list[str] = []


def config(refs: Sequence[str]) -> list[Config]:
    return [Config(outputs=[ref], args=[ref]) for ref in refs]


def good(run: Run) -> None:
    path = Path("out", "count")
    path.parent.mkdir()
    path.write_text(Path("input").read_text() + run.env.get("EXTRA", ""))
    run.finished(run.output.ref, path=str(path.absolute()))


def remembering(run: Run) -> None:
    _seen.append("x")
    Path("out").write_text("".join(_seen))
    run.metric("seen", len(_seen))
    if len(_seen) > 1:
        Path("more").touch()
        raise SystemExit(7)


def crashing(run: Run) -> None:
    import os

    _seen.append("x")
    if len(_seen) > 1:
        os._exit(9)


def with_arguments(run: Run) -> None:
    Path("out").write_text(" ".join(run.args))


def test_a_job_without_state_can_have_workers(tmp_path: Path) -> None:
    def prepare(folder: Path) -> None:
        (folder / "input").write_text("7")

    job = JobUnderTest(good, patterns=["a/{x}"])

    job.check_worker(folder=tmp_path, outputs=["a/1"], inputs=["b/1"], env={"EXTRA": "!"}, prepare=prepare)

    assert (tmp_path / "out" / "count").read_text() == "7!"
    assert not list(tmp_path.parent.glob(".*.worker"))


def test_a_job_with_config_gets_its_arguments(tmp_path: Path) -> None:
    JobUnderTest(config, with_arguments).check_worker(["a", "b c"], folder=tmp_path)

    assert (tmp_path / "out").read_text() == "a b c"


def test_a_job_that_remembers_is_told_by_all_that_differs(tmp_path: Path) -> None:
    with pytest.raises(WorkerDifferenceError) as error:
        JobUnderTest(remembering).check_worker(folder=tmp_path)

    told = "\n".join(error.value.differences)
    assert "first run" not in told
    assert "ended with exit code 7, and one in a process with 0" in told
    assert '"seen", "value": 2' in told
    assert "left another out" in told
    assert "more is left by the second run in the same worker alone" in told


def test_a_worker_that_dies_has_its_exit_code(tmp_path: Path) -> None:
    with pytest.raises(WorkerDifferenceError, match="ended with exit code 9, and one in a process with 0"):
        JobUnderTest(crashing).check_worker(folder=tmp_path)


def test_a_function_that_cannot_be_imported_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="cannot be imported; define it at the top level"):
        JobUnderTest(lambda run: time.sleep(0)).check_worker(folder=tmp_path)
