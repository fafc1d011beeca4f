"""The outputs and inputs that databuild.job gives a job, with typed fields."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from databuild.job import Input, Partition, Run, TaskDescriptionError, main
from databuild.job.task_description import read_task

TYPED: Mapping[str, tuple[str, object]] = {
    "date": ("2013-01-31", dt.date(2013, 1, 31)),
    "hour": ("2013-01-31T05", dt.datetime(2013, 1, 31, 5)),  # noqa: DTZ001
    "int": ("-7", -7),
    "minute": ("2013-01-31T05:07", dt.datetime(2013, 1, 31, 5, 7)),  # noqa: DTZ001
    "month": ("2013-01", dt.date(2013, 1, 1)),
    "quarter": ("2013-Q4", dt.date(2013, 10, 1)),
    "str": ("007", "007"),
    "week": ("2020-W53", dt.date(2020, 12, 28)),
    "year": ("0001", 1),
}


def partition(**fields: str) -> Partition:
    """Returns an output whose fields have their types as names."""
    return Partition({"ref": "a/x", "fields": fields, "field_types": {name: name for name in fields}})


def run_with(tmp_path: Path, **described: object) -> Run:
    path = tmp_path / "task.json"
    path.write_text(json.dumps(described))
    return Run([], {"DATABUILD_TASK": str(path), "DATABUILD_JOB_RUN_ID": "b.1.1"})


@pytest.mark.parametrize("kind", TYPED)
def test_a_field_has_the_value_that_its_type_stands_for(kind: str) -> None:
    text, value = TYPED[kind]
    made = partition(**{kind: text})

    assert made.fields[kind] == getattr(made.fields, kind) == value
    assert type(made.fields[kind]) is type(value)
    assert made.field_texts == {kind: text}


def test_every_type_of_the_graph_is_known() -> None:
    from databuild.graph.field_types import FIELD_TYPES

    assert set(TYPED) == set(FIELD_TYPES)


def test_fields_are_a_mapping() -> None:
    fields = partition(date="2013-01-31", int="3").fields

    assert dict(fields) == {"date": dt.date(2013, 1, 31), "int": 3}
    assert {**fields} == dict(fields.items())
    assert "month" not in fields
    assert repr(fields) == "Fields({'date': datetime.date(2013, 1, 31), 'int': 3})"


def test_an_unknown_field_is_an_error_that_names_the_fields() -> None:
    with pytest.raises(AttributeError, match="'a/x' has no field 'day'; its fields are date, int"):
        partition(date="2013-01-31", int="3").fields.day  # noqa: B018
    with pytest.raises(KeyError, match="'a/x' has no field 'day'; its fields are date, int"):
        partition(date="2013-01-31", int="3").fields["day"]
    with pytest.raises(AttributeError, match="no pattern of the graph matches it"):
        partition().fields.day  # noqa: B018


def test_an_unknown_entry_of_metadata_is_an_error_that_names_the_entries() -> None:
    given = Input({"ref": "a/x", "metadata": {"path": "/data", "rows": 1}})

    assert given.metadata["path"] == "/data"
    assert given.metadata.get("size") is None
    with pytest.raises(KeyError, match="'a/x' has no metadata 'size'; it has path, rows"):
        given.metadata["size"]
    with pytest.raises(KeyError, match="its producer has reported none"):
        partition().metadata["size"]


def test_a_run_has_its_partitions(tmp_path: Path) -> None:
    refs = ["daily/date=1", "daily/date=2", "daily_old/date=1", "hourly"]
    run = run_with(tmp_path, outputs=[{"ref": "month/1"}], inputs=[{"ref": ref, "kind": "MATERIALIZE"} for ref in refs])

    assert run.output.ref == "month/1"
    assert repr(run.output) == "Partition('month/1')"
    assert [one.ref for one in run.inputs] == refs
    assert [one.ref for one in run.inputs_of("daily")] == refs[:2]
    assert [one.ref for one in run.inputs_of("daily/date=1")] == refs[:1]
    assert [one.ref for one in run.inputs_of("hourly/")] == []
    assert [one.ref for one in run.inputs_of("hourly")] == ["hourly"]
    assert list(run.inputs_of("weekly")) == []


def test_a_run_with_several_outputs_has_not_one(tmp_path: Path) -> None:
    run = run_with(tmp_path, outputs=[{"ref": "a/1"}, {"ref": "a/2"}])

    assert len(run.outputs) == 2
    with pytest.raises(ValueError, match=r"the run has 2 outputs, not one; use run\.outputs"):
        run.output  # noqa: B018


def test_a_run_by_hand_has_no_partitions() -> None:
    with pytest.raises(TaskDescriptionError, match=r"DATABUILD_TASK is not set\. Build a partition of this job, or"):
        Run([], {}).outputs  # noqa: B018


def test_a_description_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    cut.write_text('{"outputs": [{"ref"')

    with pytest.raises(TaskDescriptionError, match=r"none: No such file or directory\. Its build has ended"):
        read_task({"DATABUILD_TASK": str(tmp_path / "none")})
    with pytest.raises(TaskDescriptionError, match="is not complete"):
        read_task({"DATABUILD_TASK": str(cut)})


def call(*words: str, run: Callable[[Run], Any]) -> object:
    with pytest.raises(SystemExit) as stop:
        main(run, argv=["job", *words])
    return stop.value.code


def test_one_function_is_a_program_without_commands() -> None:
    seen: list[object] = []

    assert call("config", "exec", "worker", run=lambda run: seen.append(run.args)) == 0
    assert call(run=lambda run: seen.append(run.args)) == 0
    assert seen == [("config", "exec", "worker"), ()]


def test_one_function_that_raises_fails_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("x", run=lambda run: run.output) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("job: the run failed\n")
    assert printed.splitlines()[-1].startswith(
        "databuild.job.task_description.TaskDescriptionError: outputs and inputs"
    )


def test_one_function_has_help_outside_of_builds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[object] = []

    assert call("--help", run=seen.append) == 0
    assert "declares its inputs" in capsys.readouterr().out
    monkeypatch.setenv("DATABUILD_JOB_RUN_ID", "b.1.1")
    assert call("--help", run=lambda run: seen.append(run.args)) == 0
    assert seen == [("--help",)]


def test_a_program_needs_a_function() -> None:
    with pytest.raises(TypeError, match=r"main\(run\) or main\(config, run\)"):
        main()
