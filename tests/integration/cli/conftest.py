"""The graph that the commands of these tests are about."""

from pathlib import Path

import pytest

from tests.support.script_graph import ScriptGraph


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    graph = ScriptGraph(tmp_path, default_partitions=("sum/ab_c",))
    yield graph
    graph.close()
