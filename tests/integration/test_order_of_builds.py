"""Builds are in the order in which they were recorded on the command line, in services and in the dashboard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from databuild.client import DatabuildClient
from tests.support.script_graph import ScriptGraph, ServedGraph

NAMED = "zzz"
"""An id that sorts after all generated ones."""


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[ScriptGraph]:
    graph = ScriptGraph(tmp_path, default_partitions=("number/fail-1",))
    yield graph
    graph.close()


@pytest.fixture
def generated(graph: ScriptGraph) -> str:
    """Returns the generated id of a build that fails, after one with an id of its own that is completed."""
    assert graph("build", "number/one", f"--build_request_id={NAMED}")[0] == 0
    generated = graph.json("build")[1]["build_request_id"]
    assert generated < NAMED
    return str(generated)


@pytest.fixture
def served(graph: ScriptGraph) -> ServedGraph:
    return graph.serve()


def listed(graph: ScriptGraph, *flags: str) -> list[str]:
    return [build["build_request_id"] for build in graph.json("builds", *flags)[1]["builds"]]


@pytest.mark.parametrize("by_service", [False, True])
def test_commands_have_the_newest_build_first_and_use_it(graph: ScriptGraph, generated: str, by_service: bool) -> None:
    flags = (f"--server={graph.serve().addresses['grpc']}",) if by_service else ()

    assert listed(graph, *flags) == [generated, NAMED]
    assert listed(graph, "--limit=1", *flags) == [generated]
    assert listed(graph, f"--before={generated}", *flags) == [NAMED]
    assert listed(graph, "--before=latest", *flags) == [NAMED]
    assert listed(graph, f"--before={NAMED}", *flags) == []
    assert graph.json("status", *flags)[1]["build_request_id"] == generated
    assert graph("status", "latest", *flags)[1].split()[1] == generated
    assert graph("events", *flags)[1] == graph("events", generated, *flags)[1]
    assert "cannot make fail-1" in graph("logs", *flags)[1]
    again = graph.json("retry", *flags)[1]["build_request_id"]
    assert graph.json("status", *flags)[1]["retry_of_build_request_id"] == generated
    assert listed(graph, *flags) == [again, generated, NAMED]


def test_pruning_keeps_the_newest_builds(graph: ScriptGraph, generated: str) -> None:
    code, pruned = graph.json("prune", "--keep=1")

    assert code == 0
    assert pruned["builds"] == [NAMED]
    assert listed(graph) == [generated, NAMED]


def test_services_list_the_newest_build_first(generated: str, served: ServedGraph) -> None:
    first = served.get("/builds?page_size=1")
    second = served.get(f"/builds?page_size=1&page_token={first['next_page_token']}")
    status, unknown = served.ask("GET", "/api/v1/builds?page_token=of-another-log")

    assert [build["build_request_id"] for build in (*first["builds"], *second["builds"])] == [generated, NAMED]
    assert served.get("/builds/latest")["build_request_id"] == generated
    assert status == 404
    assert unknown["error"]["code"] == "BUILD_NOT_FOUND"
    assert "there is no build 'of-another-log'" in unknown["error"]["message"]


def test_clients_list_the_newest_build_first(generated: str, served: ServedGraph) -> None:
    with DatabuildClient(served.addresses["grpc"]) as client:
        assert [view.build.build_request_id for view in client.list_builds()] == [generated, NAMED]
        assert [view.build.build_request_id for view in client.list_builds(before=generated)] == [NAMED]
        assert client.get().build.build_request_id == generated


def test_the_dashboard_lists_the_newest_build_first(generated: str, served: ServedGraph) -> None:
    for path in ("/", "/builds"):
        page = served.ask("GET", path)[1]

        assert list(dict.fromkeys(re.findall(r'href="/builds/([\w-]+)"', page))) == [generated, NAMED]
