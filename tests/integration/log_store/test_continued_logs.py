"""Logs of a build on an engine whose orchestrator is killed between two pieces, and that another machine continues."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.engines.cluster import Cluster
from tests.integration.log_store.conftest import Store
from tests.support.script_graph import ScriptGraph
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        yield running


def test_another_machine_goes_on_with_the_pieces(
    graph: ScriptGraph, store: Store, cluster: Cluster, elsewhere: tuple[str, ...]
) -> None:
    graph.write_catalog(extensions={"dask": {}, "s3": {}}, log_store=store.uri)
    number = graph.folder / "number"
    number.write_text(number.read_text().replace("mkdir -p data", "echo after the kill; mkdir -p data"))
    (graph.folder / "wait-a").touch()
    executor = f"--executor={cluster.uri}"
    build = graph.start("build", "number/a", "--build_request_id=first", executor, **store.environ)
    wait_until(lambda: [name for name in store.files() if "stdout" in name])
    build.send_signal(signal.SIGKILL)
    build.wait()

    other = graph.start("build", "number/b", executor, *elsewhere, **store.environ)
    wait_until(lambda: "number/b" in graph("partitions", *elsewhere)[1])
    (graph.folder / "go-a").touch()
    _, err = other.communicate(timeout=60)

    assert other.returncode == 0, err
    assert "continuing build first" in err
    wait_until(lambda: graph.json("status", "first")[1]["status"] == "COMPLETED")
    _, out, err = graph("logs", "first.1.1", *elsewhere)
    assert out.count("making a\n") == out.count("after the kill\n") == 1
    assert err == ""
    assert len([name for name in store.files() if name.startswith("first/1.1/stdout")]) == 2
