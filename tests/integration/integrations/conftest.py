"""The graph of these tests, a program in the place of Bazel that runs it, and a code host."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.code_host import CodeHost
from tests.support.script_graph import ScriptGraph

BAZEL = """#!/bin/bash
printf '%s\\n' "$@" >bazel_arguments
env >bazel_environment
echo '::add-mask::of a job' >&2
while [[ $1 != -- ]]; do shift; done
shift
printf '::warning::not a line of its own' >&2
exec {command} "$@"
"""


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[ScriptGraph]:
    """A graph in the workspace, whose program `bazel` runs it as Bazel would."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    graph = ScriptGraph(folder, default_partitions=("sum/a_bb",))
    bazel = folder / "bazel"
    bazel.write_text(BAZEL.format(command=shlex.join(graph.command())))
    bazel.chmod(0o755)
    yield graph
    graph.close()


@pytest.fixture
def host() -> Iterator[CodeHost]:
    host = CodeHost()
    yield host
    host.close()
