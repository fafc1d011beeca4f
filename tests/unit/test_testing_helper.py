"""databuild.testing: a job without a graph."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from databuild.job import Config, ConfigError, Run
from databuild.testing import JobUnderTest


def config(refs: Sequence[str]) -> list[Config]:
    return [Config(outputs=[ref], args=[ref], env={"WORD": "hello"}) for ref in refs]


def run(run: Run) -> None:
    Path("out").write_text(run.env["WORD"])
    run.metric("words", 1)
    run.finished(run.args[0], rows=1)


def test_a_run_is_in_its_folder_and_reports(tmp_path: Path) -> None:
    result = JobUnderTest(config, run).execute_for("a/x", folder=tmp_path)

    assert (tmp_path / "out").read_text() == "hello"
    assert (result.exit_code, result.error, result.finished) == (0, None, ["a/x"])
    assert result.metadata("a/x") == {"rows": 1}
    assert result.of("metric") == [{"name": "words", "value": 1, "unit": ""}]
    with pytest.raises(KeyError):
        result.metadata("a/y")


def test_two_answers_are_one_too_many() -> None:
    numbers = itertools.count()

    with pytest.raises(ConfigError, match="different answers"):
        JobUnderTest(lambda refs: [Config(outputs=refs, args=[str(next(numbers))])], run).configure("a/x")


def test_a_run_that_raises_is_a_result(tmp_path: Path) -> None:
    def stop(run: Run) -> NoReturn:
        raise SystemExit("no data")

    result = JobUnderTest(config, stop).execute(folder=tmp_path)

    assert result.exit_code == 1
    assert isinstance(result.error, SystemExit)


def test_refs_of_two_configurations_are_not_one_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="2 configurations"):
        JobUnderTest(config, run).execute_for("a/x", "a/y", folder=tmp_path)
