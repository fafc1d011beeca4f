"""The graph of these tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.script_graph import ScriptGraph


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptGraph]:
    monkeypatch.chdir(tmp_path)
    graph = ScriptGraph(tmp_path, default_partitions=("sum/ab_c",))
    yield graph
    graph.close()
