"""The template for GitLab CI: its scripts, run in a shell, and the note on a merge request."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias
from xml.etree import ElementTree as ET

import pytest
import yaml

from tests.support.code_host import CodeHost
from tests.support.script_graph import ScriptGraph

HEADER, JOBS = yaml.safe_load_all(Path("integrations/gitlab/databuild.gitlab-ci.yml").read_text())
NOTE: Final = Path("integrations/gitlab/note.py").absolute()

RunJob: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]


def filled(value: Any, inputs: dict[str, str]) -> Any:
    if isinstance(value, str):
        return re.sub(r"\$\[\[ inputs\.(\w+) \]\]", lambda found: inputs[found[1]], value)
    return [filled(item, inputs) for item in value]


@pytest.fixture
def run_job(graph: ScriptGraph, host: CodeHost) -> RunJob:
    """Runs the script of a job, as GitLab's runner does: all lines in one shell, which stops at an error."""
    # Bazel runs the program for the note as well. It starts in another folder.
    bazel = graph.folder / "bazel"
    note = f'if [[ $2 == @* ]]; then shift 3; cd /; exec "{sys.executable}" -I "{NOTE}" "$@"; fi\n'
    bazel.write_text(bazel.read_text().replace("printf", note + "printf", 1))

    def run_job(name: str, *, environ: dict[str, str] | None = None, **inputs: str) -> subprocess.CompletedProcess[str]:
        known = {key: declared.get("default", "") for key, declared in HEADER["spec"]["inputs"].items()}
        known |= {"graph": "//numbers:graph", "bazel": "./bazel", **inputs}
        variables = {key: filled(value, known) for key, value in JOBS[name]["variables"].items()}
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", "\n".join(filled(JOBS[name]["script"], known))],
            cwd=graph.folder,
            env={**graph.environ, "CI_API_V4_URL": host.url, "CI_PROJECT_ID": "3", **variables, **(environ or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )

    return run_job


def test_the_build_leaves_a_junit_report_however_it_ends(run_job: RunJob, graph: ScriptGraph) -> None:
    ended = run_job("databuild-build", partitions="number/a number/fail-x", build_flags="--keep_going --jobs=1")

    assert ended.returncode == 1, ended.stdout
    artifacts = JOBS["databuild-build"]["artifacts"]
    assert artifacts["when"] == "always"
    suites = ET.parse(graph.folder / artifacts["reports"]["junit"]).getroot()
    assert (suites.get("failures"), suites.get("name")) == ("1", "//numbers:graph")
    for path in artifacts["paths"]:
        assert sorted(file.name for file in (graph.folder / path).iterdir()) == [
            "junit.xml",
            "report.html",
            "report.md",
        ]
    assert run_job("databuild-build").returncode == 0


def test_patterns_of_the_shell_in_partitions_are_not_expanded(run_job: RunJob, graph: ScriptGraph) -> None:
    (graph.folder / "number").rename(graph.folder / "number_program")
    (graph.folder / "number").mkdir()
    (graph.folder / "number" / "abc").touch()
    ended = run_job("databuild-build", partitions="number/a*")

    assert "number/abc" not in ended.stdout + (graph.folder / "bazel_arguments").read_text()


def test_a_merge_request_gets_a_note_that_is_updated(run_job: RunJob, graph: ScriptGraph, host: CodeHost) -> None:
    host.user = "project_3_bot"
    host.add("mallory", "<!-- databuild plan of //numbers:graph -->")
    environ = {"DATABUILD_GITLAB_TOKEN": "the-token", "CI_MERGE_REQUEST_IID": "7"}
    graph("build")
    (graph.folder / "number.digest").write_text("number-2\n")
    ended = run_job("databuild-plan", environ=environ)

    assert ended.returncode == 0, ended.stdout
    note = host.comments[1]
    assert "this change makes 3 partitions stale" in note["body"]
    (graph.folder / "number.digest").write_text("number-1\n")
    for _ in range(2):
        assert run_job("databuild-plan", environ=environ).returncode == 0
    assert host.requests.count("PUT /projects/3/merge_requests/7/notes/101") == 1
    assert len(host.comments) == 2
    assert "makes no partition stale" in note["body"]


@pytest.mark.parametrize(
    ("environ", "code", "said"),
    [
        ({}, 0, "no note is written without DATABUILD_GITLAB_TOKEN"),
        ({"DATABUILD_GITLAB_TOKEN": "the-token"}, 0, "no note is written without DATABUILD_GITLAB_TOKEN and a merge"),
        ({"DATABUILD_GITLAB_TOKEN": "bad", "CI_MERGE_REQUEST_IID": "7"}, 1, "GET /user: status 401"),
        ({"DATABUILD_GITLAB_TOKEN": "x", "CI_MERGE_REQUEST_IID": "7", "CI_API_V4_URL": "file:///"}, 1, "must begin"),
    ],
)
def test_a_note_that_cannot_be_written_is_printed(
    run_job: RunJob, host: CodeHost, environ: dict[str, str], code: int, said: str
) -> None:
    ended = run_job("databuild-plan", environ=environ)

    assert ended.returncode == code, ended.stdout
    assert said in ended.stdout
    assert "### DataBuild: this change makes no partition stale" in ended.stdout
    assert host.comments == []


def test_a_plan_that_fails_ends_the_job(run_job: RunJob, host: CodeHost) -> None:
    assert run_job("databuild-plan", partitions="nothing/like/this").returncode == 2
    assert host.requests == []


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["nowhere.json"]])
def test_the_program_for_the_note_refuses_mistakes(tmp_path: Path, arguments: list[str]) -> None:
    command = [sys.executable, "-I", str(NOTE), *arguments]
    ended = subprocess.run(
        command, cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 2
    assert "usage: note.py PLAN_JSON" in ended.stderr or "nowhere.json cannot be read" in ended.stderr


def test_every_input_is_used_and_only_those() -> None:
    text = json.dumps(JOBS)
    assert set(re.findall(r"inputs\.(\w+)", text)) == set(HEADER["spec"]["inputs"])
    assert all(
        {"description"} <= set(declared) <= {"description", "default"} for declared in HEADER["spec"]["inputs"].values()
    )
