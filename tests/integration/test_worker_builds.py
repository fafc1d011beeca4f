"""Builds whose jobs are served by workers: on the command line, by a service, and after the death of either."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.script_graph import ScriptGraph
from tests.support.waiting import wait_until


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[ScriptGraph]:
    graph = ScriptGraph(tmp_path, workers=True)
    yield graph
    graph.close()


def workers_of(graph: ScriptGraph) -> set[int]:
    """Returns the workers of a graph that are alive, with all of their processes."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            is_of_graph = entry.name.isdigit() and f"NUMBERS_FOLDER={graph.folder}".encode() in (
                entry / "environ"
            ).read_bytes().split(b"\0")
        except OSError:
            continue
        if is_of_graph:
            found.add(int(entry.name))
    return found


def watchdogs_of(pid: int) -> list[int]:
    """Returns the watchdogs of an orchestrator."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = (entry / "stat").read_text().rpartition(") ")[2].split()[1]
                if parent == str(pid) and b"databuild-watchdog" in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_a_build_shows_which_request_of_which_worker_served_a_job_run(graph: ScriptGraph) -> None:
    code, _, err = graph("build", "number/one", "number/two", "--jobs=1", "--build_request_id=b")
    _, status, _ = graph("status", "b")
    _, logs = graph.json("logs", "b")

    assert code == 0, err
    runs = logs["job_runs"]
    assert {run["worker_id"] for run in runs} == {runs[0]["worker_id"]} != {""}
    # The first request of the worker was that for the configurations.
    assert sorted(run["worker_request"] for run in runs) == [2, 3]
    assert f"request 2 of worker {runs[0]['worker_id']}" in graph("explain", "number/one")[1] + status
    assert not workers_of(graph)


def test_a_plan_leaves_no_worker(graph: ScriptGraph) -> None:
    code, out, _ = graph("plan", "sum/one_two")

    assert code == 0
    assert "number/one" in out
    assert not workers_of(graph)


def test_workers_of_a_killed_orchestrator_end(graph: ScriptGraph) -> None:
    process = graph.start("build", "number/hang-1")
    graph.wait_for("pid-hang-1")
    workers = workers_of(graph)

    process.kill()
    process.wait()

    assert len(workers) >= 2  # the worker, and the script that it has started
    wait_until(lambda: not workers_of(graph))


def test_the_next_build_ends_workers_that_a_watchdog_missed(graph: ScriptGraph) -> None:
    process = graph.start("build", "number/hang-1", "--build_request_id=a")
    graph.wait_for("pid-hang-1")
    watchdogs = watchdogs_of(process.pid)
    for watchdog in watchdogs:
        os.kill(watchdog, signal.SIGSTOP)
    process.kill()
    process.wait()
    left = workers_of(graph)
    (graph.folder / "go-hang-1").touch()

    code, _, err = graph("build", "number/two")

    assert left
    assert code == 0, err
    assert not left & workers_of(graph)
    for watchdog in watchdogs:
        os.kill(watchdog, signal.SIGKILL)


def test_a_service_keeps_workers_between_builds(graph: ScriptGraph) -> None:
    service = graph.serve("--jobs=1", "--worker_idle_seconds=1000")
    for number in ("one", "two"):
        service.wait_for(service.build(f"number/{number}"), "COMPLETED")
    builds = [build["build_request_id"] for build in service.get("/builds")["builds"]]
    runs = [run for build in builds for run in service.get(f"/builds/{build}/job_runs")["job_runs"]]

    _, page = service.ask("GET", f"/builds/{builds[0]}")

    assert "request 4 of worker" in page  # after two configurations and the run of the first build
    assert len({run["worker_id"] for run in runs}) == 1
    assert len({run["worker_request"] for run in runs}) == 2
    assert workers_of(graph)
    assert service.end()[0] == 0
    assert not workers_of(graph)


def test_a_service_ends_workers_that_are_idle(graph: ScriptGraph) -> None:
    service = graph.serve("--jobs=1", "--worker_idle_seconds=0.1")
    service.wait_for(service.build("number/one"), "COMPLETED")

    wait_until(lambda: not workers_of(graph))


def test_workers_of_a_killed_service_end(graph: ScriptGraph) -> None:
    service = graph.serve("--jobs=1")
    service.wait_for(service.build("number/one"), "COMPLETED")
    had = workers_of(graph)

    service.end(signal.SIGKILL)

    assert had
    wait_until(lambda: not workers_of(graph))
