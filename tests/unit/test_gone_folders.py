"""A whole folder that is gone is no loss of its data, as if its disk were not mounted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from databuild.orchestration.stores.gone_folders import gone_folders


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        (tmp_path / "disk" / "data" / name).mkdir(parents=True)
        (tmp_path / "disk" / "data" / name / "file").touch()
    return tmp_path


def gone(root: Path, *names: str) -> dict[str, list[str]]:
    found = gone_folders((name, f"{root}/disk/data/{name}") for name in names)
    return {folder.removeprefix(str(root)): list(refs) for folder, refs in found.items()}


def test_a_folder_with_other_files_is_not_gone(root: Path) -> None:
    assert gone(root, "a", "b") == {}


def test_a_folder_that_was_removed_is_gone(root: Path) -> None:
    shutil.rmtree(root / "disk" / "data" / "a")

    assert gone(root, "a", "b") == {"/disk/data/a": ["a"]}


def test_the_outermost_folder_is_gone(root: Path) -> None:
    shutil.move(root / "disk" / "data", root / "elsewhere")
    (root / "disk" / "other").touch()

    assert gone(root, "a", "b") == {"/disk/data": ["a", "b"]}


def test_the_empty_place_of_a_disk_is_gone(root: Path) -> None:
    shutil.rmtree(root / "disk" / "data")

    assert gone(root, "a", "b") == {"/disk": ["a", "b"]}
