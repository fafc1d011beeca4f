"""A graph as Bazel builds it, on real engines: its programs are shipped with their runfiles."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.engines.casd import Casd
from tests.engines.cluster import Cluster

GRAPH = Path("tests/end_to_end/engines/graph")


@pytest.fixture(scope="module")
def engines() -> Iterator[Mapping[str, str]]:
    cluster, casd = Cluster(), Casd()
    yield {"dask": cluster.uri, "reapi": casd.uri, "local": "local"}
    casd.close()
    cluster.close()


def run(folder: Path, *arguments: str) -> Any:
    command = [str(GRAPH.absolute()), *arguments, f"--state_dir={folder}", "--output=json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.parametrize("engine", ["dask", "reapi", "local"])
def test_a_graph_is_built_on_an_engine(engines: Mapping[str, str], engine: str, tmp_path: Path) -> None:
    run(tmp_path, "build", "letters/1..3", f"--executor={engines[engine]}")

    found = run(tmp_path, "explain", "letters/3")
    assert found["record"]["metadata"] == {"letters": 5.0}
    (job_run,) = found["history"]
    assert job_run["executor"] == ("" if engine == "local" else engines[engine])
    logs = run(tmp_path, "logs")["job_runs"]
    assert {log["stdout"].strip() for log in logs if "words" in log["job_label"]} == {"x", "xx", "xxx"}
