"""The command `serve`: what it shares with other commands, its shutdown, and its restart."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.postgresql.server import Server
from tests.support.script_graph import PROGRAM, ScriptGraph, ServedGraph, is_running
from tests.support.waiting import wait_until


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[ScriptGraph]:
    graph = ScriptGraph(tmp_path)
    yield graph
    graph.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


def test_the_service_and_the_command_line_show_builds_of_each_other(graph: ScriptGraph) -> None:
    service = graph.serve()
    by_service = service.build("number/one")
    service.wait_for(by_service, "COMPLETED")
    _, out, _ = graph.run("build", "number/two", "--output=json")
    by_command_line = json.loads(out)["build_request_id"]

    assert "COMPLETED" in graph.run("status", by_service)[1]
    listed = [build["build_request_id"] for build in service.get("/builds")["builds"]]
    assert listed == [by_command_line, by_service]
    code, out, _ = graph.run("events", "diff", by_service, by_service)
    assert (code, "are equal" in out) == (0, True)
    assert "making one" in graph.run("logs", by_service)[1]
    assert service.end()[0] == 0


def test_garbage_of_builds_is_collected(graph: ScriptGraph) -> None:
    """Objects that are frozen are never collected. A command may freeze those of its plan, a service may not."""
    count = "import atexit, gc, sys\nfreeze, frozen = gc.freeze, []\ngc.freeze = lambda: frozen.append(freeze())\n"
    program = f'{count}atexit.register(lambda: print(f"frozen: {{len(frozen)}}", file=sys.stderr))\n{PROGRAM}'
    service = ServedGraph(graph.start("serve", "--port=0", "--grpc_port=0", "--output=json", program=program))
    for partition in ("number/one", "number/two"):
        service.wait_for(service.build(partition), "COMPLETED")

    _, err = service.end()

    assert "frozen: 1\n" in err


def test_the_events_of_service_and_command_line_are_equal(graph: ScriptGraph) -> None:
    service = graph.serve("--jobs=3", "--state_dir=one")
    code, _, err = graph.run("build", "number/fail-1", "number/b", "--jobs=3", "--keep_going", "--state_dir=two")
    build = service.build("number/fail-1", "number/b", options={"keep_going": True})
    service.wait_for(build, "FAILED")
    service.end()

    assert code == 1, err
    lists = [graph.run("events", "latest", f"--state_dir={folder}", "--output=json")[1] for folder in ("one", "two")]
    kinds = [sorted(_masked(json.loads(line)) for line in text.splitlines()) for text in lists]
    assert kinds[0] == kinds[1]


def _masked(event: Any) -> str:
    """Returns the facts of an event, without ids, times and measurements."""
    kind = next(kind for kind in ("build_request", "partition", "job", "job_graph") if kind in event)
    body = event[kind]
    kept = {key: body[key] for key in ("status", "ref", "reason", "task_id", "options", "requested") if key in body}
    return json.dumps([kind, kept, body.get("failure", {}).get("category")])


def test_the_command_line_cancels_what_the_service_runs(graph: ScriptGraph) -> None:
    service = graph.serve()
    build = service.build("number/hang-1")
    pid = graph.wait_for("pid-hang-1")

    code, _, err = graph.run("cancel", build)

    assert code == 0, err
    service.wait_for(build, "CANCELLED")
    assert not is_running(pid)
    assert service.get(f"/builds/{build}")["failure"]["message"] == "the build was cancelled by ann"


def test_on_a_signal_it_takes_no_new_builds_and_lets_the_others_end(graph: ScriptGraph) -> None:
    service = graph.serve("--drain_seconds=60")
    build = service.build("number/wait-1")
    graph.wait_for("pid-wait-1")

    service.process.send_signal(signal.SIGTERM)
    wait_until(lambda: service.ask("GET", "/healthz") == (503, "shutting down\n"))
    status, answer = service.ask("POST", "/api/v1/builds", {"partitions": ["number/two"]})
    shown = service.get(f"/builds/{build}")["status"]
    (graph.folder / "go-wait-1").touch()
    _, err = service.process.communicate(timeout=30)

    assert (status, answer["error"]["code"]) == (503, "SHUTTING_DOWN")
    assert shown == "BUILD_STATUS_EXECUTING"
    assert (service.process.returncode, "databuild: stopping" in err) == (0, True)
    assert json.loads(graph.run("status", build, "--output=json")[1])["status"] == "COMPLETED"


@pytest.mark.parametrize(("how", "status"), [("cancel", "CANCELLED"), ("leave", "EXECUTING")])
def test_builds_that_have_not_ended_by_then_are_cancelled_or_left(graph: ScriptGraph, how: str, status: str) -> None:
    service = graph.serve("--drain_seconds=0", f"--on_shutdown={how}")
    build = service.build("number/hang-1")
    pid = graph.wait_for("pid-hang-1")

    code, err = service.end()

    assert code == 0, err
    assert not is_running(pid)
    assert json.loads(graph.run("status", build, "--output=json")[1])["status"] == status


def test_a_second_signal_waits_no_longer(graph: ScriptGraph) -> None:
    service = graph.serve("--drain_seconds=600")
    build = service.build("number/hang-1")
    graph.wait_for("pid-hang-1")

    service.process.send_signal(signal.SIGINT)
    wait_until(lambda: service.ask("GET", "/healthz")[0] == 503)
    code, err = service.end(signal.SIGINT)

    assert (code, "databuild: stopping now" in err) == (0, True)
    assert json.loads(graph.run("status", build, "--output=json")[1])["status"] == "CANCELLED"


@pytest.mark.parametrize("how", ["kill", "leave"])
def test_a_restart_ends_what_ran_and_goes_on_with_what_waited(graph: ScriptGraph, how: str) -> None:
    left_and_restarted(graph, how)


@pytest.mark.parametrize("how", ["kill", "leave"])
def test_a_restart_over_postgresql_does_the_same(graph: ScriptGraph, how: str, server: Server) -> None:
    left_and_restarted(graph, how, f"--event_log={server.new_database()}")


def left_and_restarted(graph: ScriptGraph, how: str, *flags: str) -> None:
    service = graph.serve("--max_builds=1", "--drain_seconds=0", "--on_shutdown=leave", *flags)
    running = service.build("number/wait-1")
    waiting = [service.build(f"number/{name}", build_request_id=name, options={"jobs": 3}) for name in "zyx"]
    cancelled = service.build("number/never", build_request_id="cancelled")
    pid = graph.wait_for("pid-wait-1")
    service.end(signal.SIGKILL if how == "kill" else signal.SIGTERM)
    assert graph.run("cancel", cancelled, *flags)[0] == 0

    again = graph.serve("--max_builds=1", *flags)

    summary = again.get(f"/builds/{running}")
    assert summary["status"] == "BUILD_STATUS_FAILED"
    assert summary["failure"]["category"] == "FAILURE_CATEGORY_INFRASTRUCTURE"
    assert not is_running(pid)
    for build in waiting:
        again.wait_for(build, "COMPLETED")
    started = {build: again.get(f"/builds/{build}/job_runs")["job_runs"][0]["started_time"] for build in waiting}
    assert sorted(waiting, key=lambda build: started[build]) == waiting, "in their old order"
    assert again.get("/builds/x/events?page_size=1")["events"][0]["build_request"]["options"]["jobs"] == 3
    assert again.get(f"/builds/{cancelled}")["status"] == "BUILD_STATUS_CANCELLED"
    (graph.folder / "go-wait-1").touch()
    _, answer = again.ask("POST", f"/api/v1/builds/{running}/retry")
    again.wait_for(answer["build_request_id"], "COMPLETED")
    assert again.end()[0] == 0
    code, out, err = graph.run("events", "verify", *flags)
    assert code == 0, out + err


def test_flags_may_stand_in_a_file(graph: ScriptGraph) -> None:
    (graph.folder / "serve.flags").write_text("# How this machine serves.\n--max_builds=1\n--jobs=2\n")
    service = graph.serve("--flagfile=serve.flags")
    first = service.build("number/wait-1")
    graph.wait_for("pid-wait-1")

    second = service.build("number/two")

    assert service.get(f"/builds/{second}")["queue_position"] == 1
    options = service.get(f"/builds/{first}/events?page_size=1")["events"][0]["build_request"]["options"]
    assert options["jobs"] == 2
    (graph.folder / "go-wait-1").touch()
    service.wait_for(second, "COMPLETED")


def test_tokens_may_stand_in_the_environment_which_jobs_do_not_see(graph: ScriptGraph) -> None:
    token = "t" * 32
    (graph.folder / "number").write_text((graph.folder / "number").read_text() + 'env >"environment"\n')
    service = graph.serve(DATABUILD_TOKENS=f"ann write {token}")

    refused, _ = service.ask("GET", "/api/v1/builds")
    status, answer = service.ask("POST", "/api/v1/builds", Authorization=f"Bearer {token}")

    assert (refused, status) == (401, 200)
    wait_until(
        lambda: (
            service.ask("GET", f"/api/v1/builds/{answer['build_request_id']}", Authorization=f"Bearer {token}")[1][
                "status"
            ]
            == "BUILD_STATUS_COMPLETED"
        )
    )
    assert token not in (graph.folder / "environment").read_text()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--host=0.0.0.0",), "--token_file"),
        (("--tls_cert=x",), "--tls_key"),
        (("--token_file=nothing",), "nothing: No such file or directory"),
        (("--flagfile=nothing",), "nothing"),
        (("x",), "serve takes only flags, not 'x'"),
    ],
)
def test_wrong_flags_are_refused_before_anything_is_opened(graph: ScriptGraph, flags: tuple[str], said: str) -> None:
    code, out, err = graph.run("serve", *flags)

    assert (code, out) == (2, "")
    assert said in err
    assert not (graph.folder / ".databuild").exists()
