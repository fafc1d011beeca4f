"""The archive of a release is reproducible, and the files about releases name what exists.

No test builds with the archive, which takes minutes: `release.sh` does.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

SCRIPT: Final = Path("tools/release/release.sh").absolute()
WORKFLOWS: Final = sorted(Path(".github/workflows").glob("*.yml"))
ARCHIVE: Final = {"RELEASE_STEPS": "archive"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "MODULE.bazel").write_text('"""A module."""\n\nmodule(name = "databuild")\n\nbazel_dep(name = "a")\n')
    (folder / "program").write_text("#!/bin/sh\n")
    (folder / "program").chmod(0o755)
    git(folder, "init", "--quiet")
    commit(folder, "one")
    return folder


def git(folder: Path, *arguments: str, **environ: str) -> str:
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder.parent),
        **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "ann"),
        "GIT_COMMITTER_DATE": "@1795000000 +0000",
    }
    return subprocess.check_output(["git", *arguments], cwd=folder, env=variables | environ, text=True)


def commit(folder: Path, message: str) -> None:
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", message)


def release(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), **ARCHIVE}
    return subprocess.run(
        [str(SCRIPT), *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )


def test_an_archive_has_the_files_of_a_commit_and_the_version(repository: Path, tmp_path: Path) -> None:
    (repository / "program").write_text("changed, and not committed")
    (repository / "stray").touch()
    ended = release(repository, "1.2.3-rc1", "../dist")

    assert ended.returncode == 0, ended.stderr
    with tarfile.open(tmp_path / "dist" / "databuild-1.2.3-rc1.tar.gz") as archive:
        files = {member.name.removeprefix("databuild-1.2.3-rc1/"): member for member in archive if member.isfile()}
        texts = {name: archive.extractfile(member) for name, member in files.items()}
        contents = {name: file.read().decode() for name, file in texts.items() if file is not None}
    module = (repository / "MODULE.bazel").read_text()
    assert contents == {
        "MODULE.bazel": module.replace('name = "databuild"', 'name = "databuild", version = "1.2.3-rc1"'),
        "program": "#!/bin/sh\n",
    }
    assert files["program"].mode == 0o755
    assert {(member.mtime, member.uid, member.uname) for member in files.values()} == {(1795000000, 0, "root")}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dist", "repository"]


def test_the_same_commit_makes_the_same_archive_and_leaves_the_repository_as_it_is(
    repository: Path, tmp_path: Path
) -> None:
    before = git(repository, "count-objects", "-v"), git(repository, "status", "--porcelain")
    release(repository, "1.2.3", "../one")
    first = git(repository, "rev-parse", "HEAD").strip()
    (repository / "more").touch()
    commit(repository, "two")
    release(repository, "1.2.3", "../two", first)
    release(repository, "1.2.3", "../three")

    one, two, three = ((tmp_path / name / "databuild-1.2.3.tar.gz").read_bytes() for name in ("one", "two", "three"))
    assert one == two
    assert gzip.decompress(one) != gzip.decompress(three)
    git(repository, "reset", "--quiet", "--hard", first)
    git(repository, "reflog", "expire", "--expire=now", "--all")
    git(repository, "prune", "--expire=now")
    assert (git(repository, "count-objects", "-v"), git(repository, "status", "--porcelain")) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["1.2.3"], "usage: release.sh VERSION FOLDER [COMMIT]"),
        (["v1.2.3", "../dist"], "The version is 'v1.2.3', but must be such as 1.2.3 or 1.2.3-rc1."),
        (["1.2", "../dist"], "The version is '1.2'"),
    ],
)
def test_mistakes_are_refused(repository: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    ended = release(repository, *arguments)

    assert ended.returncode == 2
    assert said in ended.stderr
    assert not (tmp_path / "dist").exists()


def test_a_module_without_its_line_is_refused(repository: Path) -> None:
    (repository / "MODULE.bazel").write_text('module(name = "databuild", version = "1")\n')
    commit(repository, "two")
    ended = release(repository, "1.2.3", "../dist")

    assert ended.returncode == 1
    assert "MODULE.bazel has no line" in ended.stderr


def test_the_module_of_the_project_can_be_released() -> None:
    assert 'module(name = "databuild")' in Path("MODULE.bazel").read_text().splitlines()


def test_the_registry_gets_the_archives_that_the_script_makes() -> None:
    source = json.loads(Path(".bcr/source.template.json").read_text())
    assert source["strip_prefix"] == "databuild-{VERSION}"
    assert source["url"].endswith("/{TAG}/databuild-{VERSION}.tar.gz")
    assert source["docs_url"].endswith("/{TAG}/databuild-{VERSION}.docs.tar.gz")
    metadata = json.loads(Path(".bcr/metadata.template.json").read_text())
    assert set(metadata) == {"homepage", "maintainers", "repository", "versions", "yanked_versions"}
    assert (metadata["versions"], metadata["yanked_versions"]) == ([], {})


def test_the_registry_and_the_workflow_use_the_same_versions_of_bazel() -> None:
    module = yaml.safe_load(Path(".bcr/presubmit.yml").read_text())["bcr_test_module"]
    assert module["module_path"] == "e2e/smoke"
    assert module["matrix"]["bazel"] == ["7.x", "8.x", "9.x"]
    [task] = module["tasks"].values()
    assert task["test_targets"] == ["//..."]
    assert {task[name] for name in ("bazel", "platform")} == {"${{ bazel }}", "${{ platform }}"}
    workflow = yaml.safe_load(Path(".github/workflows/ci.yml").read_text())
    assert workflow["jobs"]["checks"]["strategy"]["matrix"]["bazel"] == module["matrix"]["bazel"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_calls_scripts_that_exist_and_asks_for_few_permissions(path: Path) -> None:
    workflow: dict[Any, Any] = yaml.safe_load(path.read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    commands = [step["run"] for step in steps if "run" in step]

    assert ".ci/run" in commands
    for command in commands:
        for script in re.findall(r"(?:^|\s)((?:\.ci|tools)/\S+)", command):
            assert os.access(script, os.X_OK), script
        # An expression in a script would be run as code.
        assert "${{" not in command
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in steps if "uses" in step)
    assert workflow["permissions"] == {"contents": "write" if path.stem == "release" else "read"}


def test_the_hooks_run_linters_of_the_environment() -> None:
    [repo] = yaml.safe_load(Path(".pre-commit-config.yaml").read_text())["repos"]
    assert repo["repo"] == "local"
    *of_python, buildifier = repo["hooks"]
    assert all(hook["entry"].startswith(".venv/bin/python -m ") for hook in of_python)
    [version] = re.findall(r'_VERSION = "(.*)"', Path("tools/lint/buildifier.bzl").read_text())
    assert buildifier["additional_dependencies"] == [f"@bazel/buildifier@{version}"]
    files = ["BUILD.bazel", "a/BUILD", "MODULE.bazel", "rules/defs.bzl", "a/build.py", "REPO.bazel.md"]
    assert [name for name in files if re.search(buildifier["files"], name)] == files[:4]
