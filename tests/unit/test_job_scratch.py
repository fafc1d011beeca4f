"""Paths of jobs in a reproduction: `databuild.job` writes below the scratch folder, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from databuild.job import Run, content_digest, writing
from databuild.job.scratch import SCRATCH_VARIABLE


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of the tree; `data/x` of the test's folder has the text `real`."""
    root = tmp_path / "scratch/root"
    root.mkdir(parents=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x").write_text("real")
    monkeypatch.setenv(SCRATCH_VARIABLE, str(root))
    monkeypatch.chdir(root)
    return root


def write(path: Path | str, text: str) -> None:
    with writing(path) as temporary:
        Path(temporary).write_text(text)


def location_of(run: Run, uri: str) -> dict[str, object]:
    run.finished("a", uri=uri)
    line = Path(run.env["DATABUILD_REPORT"]).read_text().splitlines()[-1]
    location: dict[str, object] = json.loads(line)["partition"]["location"]
    return location


def test_an_absolute_path_is_written_in_the_tree(root: Path, tmp_path: Path) -> None:
    write(tmp_path / "data/x", "again")

    assert (tmp_path / "data/x").read_text() == "real"
    assert Path(f"{root}{tmp_path}/data/x").read_text() == "again"


@pytest.mark.parametrize("is_absolute", [True, False])
def test_a_path_in_the_tree_stays_as_it_is(root: Path, *, is_absolute: bool) -> None:
    write(root / "data/x" if is_absolute else "data/x", "again")

    assert [path.relative_to(root) for path in root.rglob("x")] == [Path("data/x")]


def test_digests_and_reports_are_of_the_written_file(root: Path, tmp_path: Path) -> None:
    run = Run([], {"DATABUILD_REPORT": str(tmp_path / "report")})
    real = content_digest(tmp_path / "data/x")
    assert location_of(run, f"{tmp_path}/data/x")["uri"] == (tmp_path / "data/x").as_uri()

    write(tmp_path / "data/x", "again")

    assert content_digest(tmp_path / "data/x") != real
    location = location_of(run, f"{tmp_path}/data/x")
    assert location["uri"] == Path(f"{root}{tmp_path}/data/x").as_uri()
    assert location["size_bytes"] == len("again")


@pytest.mark.parametrize("data_root", ["/data", "s3://bucket/data"])
def test_the_place_of_an_output_is_in_the_tree(root: Path, tmp_path: Path, data_root: str) -> None:
    (tmp_path / "task").write_text('{"outputs": [{"ref": "a/1"}], "inputs": []}')
    run = Run([], {"DATABUILD_TASK": str(tmp_path / "task"), "DATABUILD_DATA_ROOT": data_root})

    assert run.location("a/1") == ("s3://bucket/data/a/1" if "://" in data_root else f"{root}/data/a/1")


@pytest.mark.parametrize("place", ["s3://bucket/a/b", "/data/b"])
def test_published_files_and_objects_are_files_of_the_tree(root: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "made").write_text("again")

    Run([], {}).publish(tmp_path / "made", place)

    expected = root / (".objects/s3/bucket/a/b" if "://" in place else "data/b")
    assert expected.read_text() == "again"


def test_without_a_reproduction_paths_are_those_of_this_machine(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SCRATCH_VARIABLE)

    write(tmp_path / "data/x", "new")

    assert (tmp_path / "data/x").read_text() == "new"
    assert list(root.iterdir()) == []
