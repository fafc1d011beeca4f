"""databuild.testing: a job without a graph."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from databuild.graph.field_types import FIELD_TYPES
from databuild.job import Config, ConfigError, Run, TaskDescriptionError
from databuild.testing import GivenInput, JobUnderTest


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


PATTERNS = ["month/{month:month}", "day/{date:date}", "{name}/x-{n:int}", "{kind:/[a-z]+/}"]


def report(run: Run) -> None:
    """A run function without a config, which writes the description of its partitions."""
    lines = [f"{run.output.ref} {run.output.fields.month}"]
    lines += [f"{one.fields.date:%d.%m.} {one.metadata.get('path')} {one.kind} {one.available}" for one in run.inputs]
    Path("report").write_text("\n".join(lines))


def test_a_run_gets_the_outputs_and_inputs_of_the_test(tmp_path: Path) -> None:
    inputs: list[str | GivenInput] = [
        GivenInput(ref="day/2013-01-01", metadata={"path": "/data/1"}),
        "day/2013-01-02",
        GivenInput(ref="day/2013-01-03", kind="QUERY", available=False),
    ]
    job = JobUnderTest(report, patterns=PATTERNS)
    result = job.execute(folder=tmp_path, outputs=["month/2013-01"], inputs=inputs)

    assert result.error is None
    assert (tmp_path / "report").read_text().splitlines() == [
        "month/2013-01 2013-01-01",
        "01.01. /data/1 MATERIALIZE True",
        "02.01. None MATERIALIZE True",
        "03.01. None QUERY False",
    ]


def test_a_configured_run_gets_the_inputs_of_its_configuration(tmp_path: Path) -> None:
    def config(refs: Sequence[str]) -> list[Config]:
        return [Config(outputs=refs, materialize=["day/2013-01-01"], query=["day/2013-01-02"])]

    job = JobUnderTest(config, report, patterns=PATTERNS)
    given = GivenInput(ref="day/2013-01-01", metadata={"path": "/data/1"})
    result = job.execute_for("month/2013-01", folder=tmp_path, inputs=[given])

    assert result.error is None
    assert (tmp_path / "report").read_text().splitlines()[1:] == [
        "01.01. /data/1 MATERIALIZE True",
        "02.01. None QUERY True",
    ]
    with pytest.raises(ConfigError, match="'day/2013-02-01' is not an input of"):
        job.execute_for("month/2013-01", folder=tmp_path, inputs=[GivenInput(ref="day/2013-02-01")])


def test_a_run_without_outputs_has_no_task_description(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABUILD_TASK", "/from/a/build")
    result = JobUnderTest(report).execute(folder=tmp_path)

    assert isinstance(result.error, TaskDescriptionError)
    assert "pass outputs and inputs to databuild.testing.JobUnderTest" in str(result.error)


@pytest.mark.parametrize(
    ("ref", "fields"),
    [
        ("a.b/x--7", {"name": "a.b", "n": -7}),
        ("abc", {"kind": "abc"}),
        ("month/2013-01", {"month": dt.date(2013, 1, 1)}),
        ("1/2", {}),
    ],
)
def test_patterns_give_fields_to_refs(tmp_path: Path, ref: str, fields: dict[str, object]) -> None:
    seen: list[object] = []
    JobUnderTest(lambda run: seen.append(dict(run.output.fields)), patterns=PATTERNS).execute(
        folder=tmp_path, outputs=[ref]
    )

    assert seen == [fields]


def test_each_type_of_a_pattern_has_the_values_that_builds_give_it(tmp_path: Path) -> None:
    for kind, field_type in FIELD_TYPES.items():
        seen: list[object] = []
        job = JobUnderTest(lambda run, seen=seen: seen.append(run.output.field_texts), patterns=[f"a/{{x:{kind}}}"])
        job.execute(folder=tmp_path, outputs=[f"a/{field_type.example}"])

        assert seen == [{"x": field_type.example}]


def test_mistakes_in_a_test_are_explained(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has the type 'dat'; types are date, hour"):
        JobUnderTest(report, patterns=["a/{x:dat}"]).execute(folder=tmp_path, outputs=["a/1"])
    with pytest.raises(ConfigError, match="no config function"):
        JobUnderTest(report).configure("a/1")
    with pytest.raises(TypeError, match="two functions, config and run, or the run function alone"):
        JobUnderTest()
