"""Runs the session of the README's first graph, with the files that the README shows."""

import ast
import hashlib
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.script_graph import ScriptGraph

README = Path("README.md").read_text(encoding="utf-8")
SECTION = README[README.index("## A first graph of your own") : README.index("## Documentation")]
FILES = dict(re.findall(r"`(hello/[\w.]+)`:\n\n```\w+\n(.*?)```", SECTION, re.DOTALL))
(SESSION,) = re.findall(r"```console\n(.*?)```", SECTION, re.DOTALL)
GRAPH = "./bazelw run //hello:graph -- "
IDS = re.compile(r"\d{8}T\d{6}Z-\w{6}|[\d.]+ s$")


def declared_jobs(folder: Path) -> Iterator[dict[str, Any]]:
    """Returns the jobs of the BUILD file as the catalog has them."""
    calls = [node for node in ast.walk(ast.parse(FILES["hello/BUILD.bazel"])) if isinstance(node, ast.Call)]
    for call in calls:
        attributes = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
        if ast.unparse(call.func) == "databuild_job":
            name, program = attributes.pop("name"), f"hello/{attributes.pop('binary')}"
            digest = folder / f"{name}.digest"
            digest.write_text(hashlib.sha256((folder / program).read_bytes()).hexdigest())
            job = {"label": f"//hello:{name}", "executable": program, "code_digest_file": digest.name}
            yield {**job, "outputs": attributes.pop("outputs"), "declaration": attributes}


def ran(graph: ScriptGraph, command: str) -> str:
    """Returns what a line of the session prints."""
    if not command.startswith(GRAPH):
        return subprocess.run(
            ["sh", "-c", command], cwd=graph.folder, check=True, capture_output=True, text=True
        ).stdout
    # Bazel builds the graph again before each command.
    graph.jobs = list(declared_jobs(graph.folder))
    graph.write_catalog()
    out: str
    code, out, err = graph(*shlex.split(command.removeprefix(GRAPH)))
    assert code == 0, err
    return out


def test_the_session_of_the_first_graph_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    graph = ScriptGraph(tmp_path)
    (tmp_path / "hello").mkdir()
    for path, text in FILES.items():
        (tmp_path / path).write_text(text)
    commands = re.split(r"^\$ ", SESSION, flags=re.MULTILINE)[1:]

    assert len(commands) > 5
    for text in commands:
        command, *expected = text.splitlines()
        printed = [IDS.sub("ID", line) for line in ran(graph, command).splitlines()]
        assert [line for line in expected if IDS.sub("ID", line) not in printed] == [], printed
