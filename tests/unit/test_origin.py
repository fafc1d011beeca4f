"""The commit and the repository of a workspace, from the files of Git."""

from __future__ import annotations

from pathlib import Path

import pytest

from databuild.cli.backend.origin import commit_in, git_folder, repository_in

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def repository(folder: Path, head: str, **refs: str) -> None:
    """Writes the files of a repository: its HEAD, and commits of branches."""
    heads = folder / ".git/refs/heads"
    heads.mkdir(parents=True)
    (folder / ".git/HEAD").write_text(f"{head}\n")
    for name, commit in refs.items():
        (heads / name).write_text(f"{commit}\n")


def commit_of(folder: str) -> str:
    return commit_in(git_folder(folder))


def test_a_branch_that_is_checked_out_has_its_commit(tmp_path: Path) -> None:
    repository(tmp_path, "ref: refs/heads/main", main=COMMIT, other="f" * 40)

    assert commit_of(str(tmp_path)) == COMMIT


@pytest.mark.parametrize("commit", [COMMIT, "a" * 64])
def test_a_commit_may_be_checked_out_without_a_branch(tmp_path: Path, commit: str) -> None:
    repository(tmp_path, commit)

    assert commit_of(str(tmp_path)) == commit


def test_a_workspace_may_be_below_the_repository(tmp_path: Path) -> None:
    repository(tmp_path, COMMIT)
    (tmp_path / "data/graphs").mkdir(parents=True)

    assert commit_of(f"{tmp_path}/data/graphs") == COMMIT


def test_packed_branches_are_found(tmp_path: Path) -> None:
    repository(tmp_path, "ref: refs/heads/main")
    lines = ["# pack-refs with: peeled", f"{'f' * 40} refs/heads/mainly", f"{COMMIT} refs/heads/main"]
    (tmp_path / ".git/packed-refs").write_text("\n".join(lines))

    assert commit_of(str(tmp_path)) == COMMIT


def test_a_further_worktree_has_its_own_commit(tmp_path: Path) -> None:
    repository(tmp_path / "first", "ref: refs/heads/main", main="f" * 40, topic=COMMIT)
    own = tmp_path / "first/.git/worktrees/second"
    own.mkdir(parents=True)
    (own / "HEAD").write_text("ref: refs/heads/topic\n")
    (own / "commondir").write_text("../..\n")
    (tmp_path / "second").mkdir()
    (tmp_path / "second/.git").write_text(f"gitdir: {own}\n")

    assert commit_of(f"{tmp_path}/second") == COMMIT
    (tmp_path / "second/.git").write_text("gitdir: ../first/.git/worktrees/second\n")
    assert commit_of(f"{tmp_path}/second") == COMMIT


@pytest.mark.parametrize("head", ["ref: refs/heads/unborn", "ref: refs/heads/.invalid", "no hash", "", "A" * 40])
def test_what_is_no_commit_is_unknown(tmp_path: Path, head: str) -> None:
    repository(tmp_path, head)

    assert commit_of(str(tmp_path)) == ""


def test_a_repository_that_cannot_be_read_has_no_commit(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()

    assert commit_of(str(tmp_path)) == ""


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("https://host/team/graphs.git", "https://host/team/graphs.git"),
        ("https://ann:token@host/team/graphs.git", "https://host/team/graphs.git"),
        ("git@host:team/graphs.git", "ssh://git@host/team/graphs.git"),
        ("host:/team/graphs.git", "ssh://host/team/graphs.git"),
        ("ssh://git:secret@host:22/team/graphs.git", "ssh://git@host:22/team/graphs.git"),
        ("ssh://host/graphs.git", "ssh://host/graphs.git"),
        ("/srv/git/graphs.git", ""),
        ("../a:b/graphs.git", ""),
        ("file:///srv/git/graphs.git", ""),
        ("", ""),
    ],
)
def test_the_repository_is_the_remote_without_credentials(tmp_path: Path, address: str, url: str) -> None:
    repository(tmp_path, COMMIT)
    config = f'[remote "fork"]\n\turl = https://elsewhere\n[remote "origin"]\n\turl = {address}\n\tfetch = +refs/*\n'
    (tmp_path / ".git/config").write_text(config)

    assert repository_in(git_folder(str(tmp_path))) == url


def test_a_worktree_has_the_repository_of_the_main_one(tmp_path: Path) -> None:
    repository(tmp_path / "first", COMMIT)
    (tmp_path / "first/.git/config").write_text('[remote "origin"]\nurl=https://host/graphs\n')
    own = tmp_path / "first/.git/worktrees/second"
    own.mkdir(parents=True)
    (own / "commondir").write_text("../..\n")
    (tmp_path / "second").mkdir()
    (tmp_path / "second/.git").write_text(f"gitdir: {own}\n")

    assert repository_in(git_folder(f"{tmp_path}/second")) == "https://host/graphs"


def test_without_git_commit_and_repository_are_unknown() -> None:
    assert (commit_in(""), repository_in("")) == ("", "")
