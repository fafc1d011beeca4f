"""Publication of files by job runs that may have been overtaken."""

from __future__ import annotations

import contextlib
import multiprocessing
from pathlib import Path

import pytest

from databuild.job import OvertakenError, Run


def run_with(token: int) -> Run:
    return Run((), {"DATABUILD_FENCING_TOKEN": str(token)} if token else {})


def publish(folder: Path, token: int, text: str) -> None:
    source = folder / f"run-{token}" / "data"
    source.parent.mkdir(exist_ok=True)
    source.write_text(text)
    run_with(token).publish(source, folder / "published/data")


def test_a_file_is_moved_to_its_place(tmp_path: Path) -> None:
    publish(tmp_path, 5, "five")

    assert (tmp_path / "published/data").read_text() == "five"
    assert not (tmp_path / "run-5/data").exists()


def test_a_newer_run_replaces_the_file_and_an_older_one_does_not(tmp_path: Path) -> None:
    publish(tmp_path, 5, "five")
    publish(tmp_path, 12, "twelve")

    with pytest.raises(OvertakenError, match=r"published by a newer run \(fencing token 12, this run has 7\)"):
        publish(tmp_path, 7, "seven")

    assert (tmp_path / "published/data").read_text() == "twelve"
    assert (tmp_path / "run-7/data").read_text() == "seven"


def test_a_run_may_publish_again(tmp_path: Path) -> None:
    publish(tmp_path, 5, "first")
    publish(tmp_path, 5, "second")

    assert (tmp_path / "published/data").read_text() == "second"


def test_a_run_without_a_build_has_no_token_and_is_never_refused(tmp_path: Path) -> None:
    publish(tmp_path, 5, "five")
    publish(tmp_path, 0, "by hand")

    assert (tmp_path / "published/data").read_text() == "by hand"
    with pytest.raises(OvertakenError):
        publish(tmp_path, 4, "four")


def test_a_file_on_another_file_system_is_moved_too(tmp_path: Path) -> None:
    elsewhere = Path("/dev/shm")
    source = elsewhere / f"databuild-{tmp_path.name}"
    source.write_text("data")
    assert source.stat().st_dev != tmp_path.stat().st_dev

    run_with(3).publish(source, tmp_path / "published")

    assert (tmp_path / "published").read_text() == "data"
    assert not source.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"published", ".published.token"}


def _publish_some(folder: str, tokens: range) -> None:
    for token in tokens:
        with contextlib.suppress(OvertakenError):
            publish(Path(folder), token, str(token))


def test_of_many_processes_the_newest_run_wins(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_publish_some, args=(str(tmp_path), range(n, 201, 4))) for n in range(1, 5)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    assert (tmp_path / "published/data").read_text() == "200"


def test_a_uri_is_never_taken_for_a_path(tmp_path: Path) -> None:
    source = tmp_path / "data"
    source.touch()

    with pytest.raises(ValueError, match=r"'gs://bucket/key' cannot be published to"):
        run_with(5).publish(source, "gs://bucket/key")

    assert source.exists()
