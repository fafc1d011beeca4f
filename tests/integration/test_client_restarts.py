"""The client watches builds of services that are killed, or end, and start again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from databuild.client import DatabuildClient, Success
from databuild.model.results import Failed
from databuild.v1 import events_pb2 as ev
from databuild.v1.events_pb2 import BuildEvent
from tests.support.script_graph import ScriptGraph


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[ScriptGraph]:
    graph = ScriptGraph(tmp_path)
    yield graph
    graph.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def test_watching_survives_a_service_that_is_killed_while_another_builds(graph: ScriptGraph) -> None:
    port = free_port()
    builder = graph.serve()
    watched = graph.serve(f"--grpc_port={port}")
    with DatabuildClient(builder.addresses["grpc"]) as direct, DatabuildClient(f"127.0.0.1:{port}") as client:
        build = direct.submit(["number/wait-1", "number/two"], jobs=1).build.build_request_id
        graph.wait_for("pid-wait-1")
        watching = client.watch(build)
        seen = [next(watching) for _ in range(4)]
        watched.process.kill()
        watched.process.wait()
        graph.serve(f"--grpc_port={port}")
        (graph.folder / "go-wait-1").touch()
        seen += watching

        assert seen[-1].build_request.status == ev.BUILD_STATUS_COMPLETED
        assert seen == direct.events(build)


def test_a_build_whose_service_is_killed_has_its_end_when_another_starts(graph: ScriptGraph) -> None:
    port = free_port()
    first = graph.serve(f"--grpc_port={port}")
    with DatabuildClient(f"127.0.0.1:{port}") as client:
        build = client.create_orchestrator(["number/wait-1"])
        seen = []

        def kill_once(event: BuildEvent) -> None:
            seen.append(event.sequence)
            if event.job.status == ev.JOB_STATUS_RUNNING:
                first.process.kill()
                first.process.wait()
                graph.serve(f"--grpc_port={port}")

        result = client.execute_build(build, on_event=kill_once)

        assert isinstance(result, Failed)
        assert result.category == 3, "infrastructure"
        assert seen == list(range(1, len(seen) + 1))
        (graph.folder / "go-wait-1").touch()
        assert client.wait(client.retry(build.build_request_id).build.build_request_id) == Success(jobs_completed=1)


def test_watching_survives_a_service_that_ends_in_order(graph: ScriptGraph) -> None:
    port = free_port()
    builder = graph.serve()
    watched = graph.serve(f"--grpc_port={port}")
    with DatabuildClient(builder.addresses["grpc"]) as direct, DatabuildClient(f"127.0.0.1:{port}") as client:
        build = direct.submit(["number/wait-1"]).build.build_request_id
        graph.wait_for("pid-wait-1")
        watching = client.watch(build)
        seen = [next(watching)]
        assert watched.end()[0] == 0
        graph.serve(f"--grpc_port={port}")
        (graph.folder / "go-wait-1").touch()
        seen += watching

        assert seen == direct.events(build)
