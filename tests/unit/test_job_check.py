"""The sub-command `check` of `databuild.job`, and jobs with it under test."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from databuild.job import CheckError, Found, Run, main
from databuild.orchestration.jobs.check_process import CheckAnswer, FoundFacts, parse_check_response
from databuild.testing import JobUnderTest


def run(run: Run) -> None:
    print(*run.args)


def check(refs: Sequence[str]) -> Iterator[str]:
    print("not part of the answer")
    yield from (ref for ref in refs if ref != "gone")


def call(*words: str, check: Callable[[Sequence[str]], Any] | None = check, config: Any = None) -> int | str | None:
    with pytest.raises(SystemExit) as stop:
        main(config, run, ["job", *words], check=check)
    return stop.value.code


@pytest.mark.parametrize("config", [None, list])
def test_a_job_prints_which_partitions_exist(capsys: pytest.CaptureFixture[str], config: Any) -> None:
    assert call("check", "ä", "gone", config=config) == 0
    out, err = capsys.readouterr()
    assert parse_check_response(out.encode(), ["ä", "gone"]) == CheckAnswer({"ä": FoundFacts()}, {})
    assert err == "not part of the answer\n"


def test_a_mapping_has_facts_and_faults(capsys: pytest.CaptureFixture[str]) -> None:
    answer = {"a": Found(size=3, version='"1"'), "b": None, "c": PermissionError("table c")}

    assert call("check", "a", "b", "c", "d", check=lambda _: answer) == 0
    assert json.loads(capsys.readouterr().out) == {
        "found": {"a": {"size_bytes": 3, "version": '"1"'}, "b": {}},
        "unreadable": {"c": "PermissionError: table c"},
    }


def test_nothing_that_exists_is_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("check", "gone") == 0
    assert json.loads(capsys.readouterr().out) == {"found": {}}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "gave None; it must return or yield the refs whose data exists"),
        ("a", "gave 'a'; it must"),
        (["b"], "answered about 'b', which was not asked for"),
        ({"a": True}, "gave True for 'a'; it must be a Found, an exception or None"),
    ],
)
def test_an_answer_that_is_not_valid_fails(capsys: pytest.CaptureFixture[str], answer: object, said: str) -> None:
    assert call("check", "a", check=lambda _: answer) == 1
    out, err = capsys.readouterr()
    assert (out, said in err) == ("", True)


def test_an_exception_fails_with_its_message_last(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(_: Sequence[str]) -> list[str]:
        raise ConnectionError("no database")

    assert call("check", "a", "b", check=broken) == 1
    err = capsys.readouterr().err
    assert err.startswith("job: check failed for 'a' and 1 more\n")
    assert err.endswith("ConnectionError: no database\n")


@pytest.mark.parametrize("make", [lambda: Found(size=-1), lambda: Found(size=True), lambda: Found(version=3)])  # type: ignore[arg-type]
def test_facts_are_checked(make: Callable[[], Found]) -> None:
    with pytest.raises(CheckError, match=r"size|version"):
        make()


def test_check_without_refs_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("check") == 2
    assert "check needs the refs" in capsys.readouterr().err


def test_a_job_without_a_check_has_no_such_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("check", "a", check=None, config=list) == 2
    assert "the commands are config, exec and worker\n" in capsys.readouterr().err
    assert call("--help", config=list) == 0
    assert "job check REF..." in capsys.readouterr().out


@pytest.mark.parametrize(("variable", "out"), [("b.1.1", "check a\n"), ("", '{"found": {"a": {}}}\n')])
def test_in_a_job_run_the_word_is_an_argument_of_a_declared_job(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, variable: str, out: str
) -> None:
    monkeypatch.setenv("DATABUILD_JOB_RUN_ID", variable)

    assert call("check", "a") == 0
    assert capsys.readouterr().out == out


def test_a_job_under_test_is_asked() -> None:
    assert JobUnderTest(run, check=check).check("a", "gone") == {"a": Found()}
    assert JobUnderTest(list, run, check=lambda refs: {refs[0]: Found(1, "2")}).check("a") == {"a": Found(1, "2")}
    with pytest.raises(CheckError, match="no check function"):
        JobUnderTest(run).check("a")
    with pytest.raises(CheckError, match="not asked for"):
        JobUnderTest(run, check=lambda _: ["b"]).check("a")
