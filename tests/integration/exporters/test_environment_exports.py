"""Builds in environments are sent as those of the base are, with the name of their environment."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checked_receivers import EXTENSIONS, CheckedReceiver
from tests.support.script_graph import ScriptGraph, ServedGraph
from tests.support.waiting import wait_until

PR = {"Databuild-Environment": "pr-1"}


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[ScriptGraph]:
    graph = ScriptGraph(tmp_path)
    graph.write_catalog(extensions=EXTENSIONS)
    yield graph
    graph.close()


def build_in(served: ServedGraph, environment: str, build: str, partition: str) -> None:
    body = {"partitions": [partition], "build_request_id": build}
    status, answer = served.ask("POST", "/api/v1/builds", body, **{"Databuild-Environment": environment})
    assert status == 200, answer


def test_a_build_of_the_command_line(graph: ScriptGraph, any_receiver: CheckedReceiver) -> None:
    flags = [*any_receiver.flags, "--exporter_failure=fail", "--exporter_seconds=60"]
    assert graph.run("build", "--build_request_id=base", *flags, **any_receiver.environ)[0] == 0
    assert not any("pr-1" in label for counts in any_receiver.totals().values() for label in counts)
    flags.append("--environment=pr-1")
    code, _, err = graph.run("build", "--build_request_id=own", "--force", *flags, **any_receiver.environ)
    assert code == 0, err
    assert any_receiver.ended() == {"base": "", "own": "pr-1"}
    # An environment has totals of its own, so they need a label of their own.
    assert all("pr-1" in label for counts in any_receiver.totals().values() for label in counts)


def test_export_sends_the_rest_of_the_environment_that_it_names(
    graph: ScriptGraph, any_receiver: CheckedReceiver
) -> None:
    any_receiver.leave()
    flags = [*any_receiver.flags, "--environment=pr-1", "--build_request_id=own", "--exporter_seconds=0.1"]
    code, _, err = graph.run("build", *flags, **any_receiver.environ)
    assert (code, "not all events were sent" in err) == (0, True)
    any_receiver.recover()
    assert graph.run("export", *any_receiver.flags, **any_receiver.environ)[0] == 0
    assert any_receiver.ended() == {}
    assert graph.run("export", "--environment=pr-1", *any_receiver.flags, **any_receiver.environ)[0] == 0
    assert any_receiver.ended() == {"own": "pr-1"}
    sent = any_receiver.messages()
    again = ["--environment=pr-1", "--since=own"]
    assert graph.run("export", *again, *any_receiver.flags, **any_receiver.environ)[0] == 0
    assert (any_receiver.messages(), any_receiver.repeated()) == (sent, len(sent))


def test_a_service_sends_builds_of_environments_that_are_made_while_it_runs(
    graph: ScriptGraph, any_receiver: CheckedReceiver
) -> None:
    served = graph.serve("--exporter_seconds=60", *any_receiver.flags, **any_receiver.environ)
    build_in(served, "pr-1", "first", "number/a")
    build_in(served, "pr-2", "second", "number/b")
    build_in(served, "", "base", "number/c")
    expected = {"first": "pr-1", "second": "pr-2", "base": ""}
    wait_until(lambda: any_receiver.ended() == expected)
    build_in(served, "pr-1", "last", "number/d")
    wait_until(lambda: served.ask("GET", "/api/v1/builds/last", **PR)[1]["status"] == "BUILD_STATUS_COMPLETED")
    code, err = served.end()
    assert (code, "events were sent" in err) == (0, False)
    assert any_receiver.ended() == {**expected, "last": "pr-1"}
    assert any_receiver.repeated() == 0


def test_a_service_sends_the_rest_of_all_environments_when_it_starts(
    graph: ScriptGraph, any_receiver: CheckedReceiver
) -> None:
    any_receiver.leave()
    served = graph.serve("--exporter_seconds=0.1", *any_receiver.flags, **any_receiver.environ)
    expected = {}
    for environment in ("pr-1", "pr-2"):
        build_in(served, environment, environment, "number/a")
        path = f"/api/v1/builds/{environment}"
        header = {"Databuild-Environment": environment}
        wait_until(lambda p=path, h=header: served.ask("GET", p, **h)[1]["status"] == "BUILD_STATUS_COMPLETED")  # type: ignore[misc]
        expected[environment] = environment
    _, err = served.end()
    assert err.count("environment pr-1: not all events were sent") == 1
    any_receiver.recover()
    served = graph.serve(*any_receiver.flags, **any_receiver.environ)
    wait_until(lambda: any_receiver.ended() == expected)
    assert served.end()[0] == 0
    assert any_receiver.repeated() == 0


def test_a_service_that_was_killed_in_an_environment_loses_nothing(
    graph: ScriptGraph, any_receiver: CheckedReceiver
) -> None:
    served = graph.serve("--jobs=1", *any_receiver.flags, **any_receiver.environ)
    build_in(served, "pr-1", "killed", "number/hang-x")
    graph.wait_for("pid-hang-x")
    served.process.send_signal(signal.SIGKILL)
    served.process.communicate()
    served = graph.serve("--jobs=1", *any_receiver.flags, **any_receiver.environ)
    wait_until(lambda: any_receiver.ended() == {"killed": "pr-1"})
    build_in(served, "pr-1", "next", "number/a")
    wait_until(lambda: any_receiver.ended() == {"killed": "pr-1", "next": "pr-1"})
    assert served.end()[0] == 0


def test_what_is_left_is_sent_before_an_environment_is_removed(
    graph: ScriptGraph, any_receiver: CheckedReceiver
) -> None:
    any_receiver.hold()
    served = graph.serve("--exporter_seconds=60", *any_receiver.flags, **any_receiver.environ)
    build_in(served, "pr-1", "first", "number/a")
    wait_until(lambda: served.ask("GET", "/api/v1/builds/first", **PR)[1]["status"] == "BUILD_STATUS_COMPLETED")
    any_receiver.recover()
    assert served.ask("POST", "/api/v1/environments/pr-1/removal")[0] == 200
    assert any_receiver.ended() == {"first": "pr-1"}
    build_in(served, "pr-1", "second", "number/a")
    wait_until(lambda: any_receiver.ended() == {"first": "pr-1", "second": "pr-1"})
    assert served.end()[0] == 0
