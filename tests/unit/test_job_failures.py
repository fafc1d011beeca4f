"""A job that fails shows its author's frames, and the message last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pytest

from databuild.job import Config, Run, main, writing

if TYPE_CHECKING:
    from databuild.job.program import ConfigFunction, RunFunction


def no_config(_refs: Sequence[str]) -> NoReturn:
    raise AssertionError


def no_run(_run: Run) -> NoReturn:
    raise AssertionError


def failed(
    *words: str,
    capsys: pytest.CaptureFixture[str],
    config: ConfigFunction = no_config,
    run: RunFunction = no_run,
) -> list[str]:
    """Runs a job that fails, and returns the lines of its standard error."""
    with pytest.raises(SystemExit) as stop:
        main(config, run, ["job.py", *words])
    lines = capsys.readouterr().err.splitlines()

    assert stop.value.code == 1
    return lines


def functions(lines: Iterable[str]) -> list[str]:
    """Returns the functions in frames, outermost first."""
    return [line.rpartition(" in ")[2] for line in lines if line.lstrip(" |").startswith('File "')]


BAD: Any = "bad"
"""An invalid severity."""


def read(path: str) -> object:
    raise FileNotFoundError(f"no file {path}")


def run_that_reads(run: Run) -> None:
    read(run.args[0])


def test_the_frames_are_the_authors_and_the_message_is_last(capsys: pytest.CaptureFixture[str]) -> None:
    lines = failed("exec", "a.parquet", run=run_that_reads, capsys=capsys)

    assert lines[:2] == ["job.py: exec failed", "Traceback (most recent call last):"]
    assert functions(lines) == ["run_that_reads", "read"]
    assert lines[-1] == "FileNotFoundError: no file a.parquet"


def test_advice_about_missing_arguments_comes_before_the_message(capsys: pytest.CaptureFixture[str]) -> None:
    lines = failed("exec", run=run_that_reads, capsys=capsys)

    assert lines[0] == "job.py: exec failed; exec has no arguments, and config prints those that it needs"
    assert lines[-1] == "IndexError: tuple index out of range"


def config_that_reads(refs: Sequence[str]) -> Iterator[Config]:
    for ref in refs:
        read(ref)
        yield Config(outputs=[ref])


def test_a_config_function_fails_alike(capsys: pytest.CaptureFixture[str]) -> None:
    lines = failed("config", "a/x", "a/y", config=config_that_reads, capsys=capsys)

    assert lines[0] == "job.py: config failed for 'a/x' and 1 more"
    assert functions(lines) == ["config_that_reads", "read"]
    assert lines[-1] == "FileNotFoundError: no file a/x"


def test_errors_of_databuild_show_where_it_was_called(capsys: pytest.CaptureFixture[str]) -> None:
    def run_that_checks(run: Run) -> None:
        run.check("rows", True, severity=BAD)

    lines = failed("exec", "x", run=run_that_checks, capsys=capsys)

    assert functions(lines) == ["run_that_checks"]
    assert lines[-1].startswith("ValueError: severity is 'bad'")


def test_frames_of_databuild_between_those_of_the_author_are_hidden(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_that_writes(run: Run) -> None:
        with writing(tmp_path / "file") as temporary:
            (tmp_path / "file" / "full").mkdir(parents=True)
            Path(temporary).touch()

    lines = failed("exec", "x", run=run_that_writes, capsys=capsys)

    assert functions(lines) == ["run_that_writes"]
    assert lines[-1].startswith("IsADirectoryError: ")


def test_without_a_frame_of_the_author_there_is_the_message(capsys: pytest.CaptureFixture[str]) -> None:
    def config_without_refs() -> list[Config]:
        return []

    lines = failed("config", "a/x", config=cast("ConfigFunction", config_without_refs), capsys=capsys)

    assert len(lines) == 2
    assert lines[1].startswith("TypeError: ")


def test_causes_and_contexts_are_shown_with_the_authors_frames(capsys: pytest.CaptureFixture[str]) -> None:
    def run_with_a_cause(run: Run) -> None:
        try:
            run.check("rows", True, severity=BAD)
        except ValueError as error:
            raise RuntimeError("cannot check") from error

    def run_with_a_context(run: Run) -> None:
        try:
            run_with_a_cause(run)
        except RuntimeError:
            raise LookupError("cannot tell")  # noqa: B904

    lines = failed("exec", "x", run=run_with_a_context, capsys=capsys)
    text = "\n".join(lines)

    assert functions(lines) == ["run_with_a_cause", "run_with_a_context", "run_with_a_cause", "run_with_a_context"]
    assert "The above exception was the direct cause of the following exception:" in text
    assert "During handling of the above exception, another exception occurred:" in text
    assert lines[-1] == "LookupError: cannot tell"


def test_groups_of_exceptions_are_shown_with_the_authors_frames(capsys: pytest.CaptureFixture[str]) -> None:
    def caught(call: Callable[..., object], *arguments: object, **more: object) -> Exception:
        try:
            call(*arguments, **more)
        except Exception as error:
            return error
        raise AssertionError(call)

    def run_with_a_group(run: Run) -> None:
        checked = caught(run.check, "rows", True, severity=BAD)
        raise ExceptionGroup("two parts", [checked, caught(read, "b")])

    lines = failed("exec", "x", run=run_with_a_group, capsys=capsys)

    assert functions(lines) == ["run_with_a_group", "caught", "caught", "read"]
    assert any("ValueError: severity is 'bad'" in line for line in lines)
    assert any("FileNotFoundError: no file b" in line for line in lines)


def test_a_message_of_many_lines_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    def run_that_explains(run: Run) -> NoReturn:
        raise ValueError("first\nlast")

    assert failed("exec", "x", run=run_that_explains, capsys=capsys)[-2:] == ["ValueError: first", "last"]


def test_the_full_traceback_is_there_for_who_asks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABUILD_FULL_TRACEBACK", "1")
    lines = failed("exec", "a.parquet", run=run_that_reads, capsys=capsys)

    assert functions(lines) == ["execute", "run_that_reads", "read"]


def test_a_run_that_exits_with_a_message_says_just_that(capsys: pytest.CaptureFixture[str]) -> None:
    def run_that_exits(run: Run) -> NoReturn:
        raise SystemExit("no flights in 2014")

    with pytest.raises(SystemExit) as stop:
        main(no_config, run_that_exits, ["job.py", "exec"])

    assert stop.value.code == "no flights in 2014"
    assert capsys.readouterr().err == ""
