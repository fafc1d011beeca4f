"""Jobs get the user's environment, however the command line was started."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from databuild.cli.backend.job_environment import SET_FOR_US, bazel_invocation_id, job_environment


def environment(environ: Mapping[str, str], tmp_path: Path, **user_env: str) -> dict[str, str]:
    here = str(tmp_path)
    return job_environment(environ, user_env, runfiles="/g.runfiles", workspace="/w", cwd=here)


def test_variables_of_the_user_are_unchanged(tmp_path: Path) -> None:
    environ = {"PATH": "/bin", "LANG": "C", "PYTHONHASHSEED": "1", "DATABUILD_TOKEN": "t", "EMPTY": ""}

    assert environment(environ, tmp_path).items() >= environ.items()


@pytest.mark.parametrize("name", SET_FOR_US)
def test_variables_set_for_the_command_line_are_as_the_user_had_them(name: str, tmp_path: Path) -> None:
    assert name not in environment({name: "ours"}, tmp_path)
    assert environment({name: "ours:theirs"}, tmp_path, **{name: "theirs"})[name] == "theirs"
    assert environment({name: "ours"}, tmp_path, **{name: ""})[name] == ""


@pytest.mark.parametrize(
    "name", ["BUILD_EXECROOT", "BUILD_ID", "BAZEL_PYTHONPATH", "DATABUILD_SCRATCH", "DATABUILD_TOKENS"]
)
def test_variables_for_the_command_line_alone_are_removed(name: str, tmp_path: Path) -> None:
    assert name not in environment({name: "x"}, tmp_path)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("4bf92f35-77b3-4da6-a3ce-929d0e0e4736", "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"),
        ("42", ""),  # a build of Jenkins
        ("", ""),
    ],
)
def test_bazel_may_tell_the_id_of_its_invocation(value: str, expected: str) -> None:
    assert bazel_invocation_id({"BUILD_ID": value}) == expected
    assert bazel_invocation_id({}) == ""


def test_runfiles_are_those_that_jobs_lie_in(tmp_path: Path) -> None:
    others = dict.fromkeys(("RUNFILES_DIR", "RUNFILES_MANIFEST_FILE", "JAVA_RUNFILES", "PYTHON_RUNFILES"), "/other")
    runfiles = {name: value for name, value in environment(others, tmp_path).items() if "RUNFILES" in name}

    assert runfiles == {"RUNFILES_DIR": "/g.runfiles"}


def test_folders_are_the_same_with_and_without_bazel_run(tmp_path: Path) -> None:
    here = str(tmp_path)
    started_by_bazel = {"BUILD_WORKING_DIRECTORY": here, "BUILD_WORKSPACE_DIRECTORY": "/w", "PWD": "/g.runfiles/_main"}
    started_directly = {"PWD": here}

    assert environment(started_by_bazel, tmp_path) == environment(started_directly, tmp_path)


def test_the_name_that_the_user_knows_a_folder_by_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    link = str(tmp_path / "link")

    assert environment({"PWD": link}, tmp_path / "real")["PWD"] == link
    assert environment({"PWD": "gone"}, tmp_path / "real")["PWD"] == str(tmp_path / "real")


def test_the_launcher_passes_just_these_variables() -> None:
    launcher = Path(__file__).parents[2] / "rules" / "private" / "launcher.sh.tpl"
    passed = [word for word in launcher.read_text().split() if word.startswith("${") and "--user_env=" in word]

    assert sorted(passed) == sorted(f'${{{name}+"--user_env={name}=${name}"}}' for name in SET_FOR_US)
