"""The guarantees that all exporters share: nothing is lost, a message that is sent again is the same, builds go on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checked_receivers import EXTENSIONS, CheckedReceiver
from tests.support.script_graph import ScriptGraph
from tests.support.waiting import wait_until

BUILDS = ("first", "second", "third")


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[ScriptGraph]:
    graph = ScriptGraph(tmp_path)
    graph.write_catalog(extensions=EXTENSIONS)
    yield graph
    graph.close()


def build_all(graph: ScriptGraph, receiver: CheckedReceiver) -> None:
    for build in BUILDS:
        flags = [f"--build_request_id={build}", "--exporter_failure=fail", "--exporter_seconds=60", *receiver.flags]
        code, _, err = graph.run("build", f"number/{build}", *flags, **receiver.environ)
        assert code == 0, err
    assert set(receiver.ended()) == set(BUILDS)


def test_builds_are_sent_again_beside_a_service_with_the_same_exporter(
    graph: ScriptGraph, any_receiver: CheckedReceiver
) -> None:
    build_all(graph, any_receiver)
    sent = any_receiver.messages()
    any_receiver.clear()
    served = graph.serve("--exporter_seconds=60", *any_receiver.flags, **any_receiver.environ)
    running = served.build("number/wait-x", build_request_id="running")
    graph.wait_for("waiting-wait-x")
    code, _, err = graph.run("export", "--since=first", *any_receiver.flags, **any_receiver.environ)
    assert code == 0, err
    wait_until(lambda: set(any_receiver.ended()) == set(BUILDS))
    (graph.folder / "go-wait-x").touch()
    served.wait_for(running, "COMPLETED")
    assert served.end()[0] == 0
    assert set(any_receiver.ended()) == {*BUILDS, "running"}
    assert sent.items() <= any_receiver.messages().items()


def test_two_processes_that_send_again_at_once_lose_nothing(graph: ScriptGraph, any_receiver: CheckedReceiver) -> None:
    build_all(graph, any_receiver)
    sent, totals = any_receiver.messages(), any_receiver.totals()
    any_receiver.clear()
    any_receiver.hold()
    exports = [
        graph.start("export", "--since=first", "--exporter_seconds=30", *any_receiver.flags, **any_receiver.environ)
        for _ in range(2)
    ]
    any_receiver.recover()
    for process in exports:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    # Each of the two moves the cursor back, perhaps after the other one has sent.
    assert (any_receiver.messages(), any_receiver.totals()) == (sent, totals)
    assert any_receiver.repeated() <= 2 * len(sent)


def test_a_failure_to_send_decides_the_exit_code_only_if_a_flag_says_so(
    graph: ScriptGraph, any_receiver: CheckedReceiver
) -> None:
    strict = ("--exporter_failure=fail",)
    environ = any_receiver.environ
    flags = ["--force", *any_receiver.flags, "--exporter_seconds=0.1"]
    for fail in (any_receiver.leave, any_receiver.fill):
        fail()
        code, out, err = graph.run("build", *flags, **environ)
        assert (code, "COMPLETED" in out, "not all events were sent to" in err) == (0, True, True)
        code, out, _ = graph.run("build", *flags, *strict, **environ)
        assert (code, "COMPLETED" in out) == (3, True)
        any_receiver.recover()
    # The rest is sent, so this build succeeds.
    flags = ["--force", *any_receiver.flags, "--exporter_seconds=60"]
    code, _, err = graph.run("build", *flags, *strict, **environ)
    assert code == 0, err
    assert (len(any_receiver.ended()), any_receiver.repeated()) == (5, 0)
    any_receiver.refuse()
    code, _, err = graph.run("build", *flags, **environ)
    # Some receivers get more than one request.
    refused = rf"refused (a request, which is|\d requests, which are) left out: {re.escape(any_receiver.refusal)}"
    assert (code, len(re.findall(refused, err))) == (0, 1)
    assert graph.run("build", *flags, *strict, **environ)[0] == 3
    any_receiver.recover()
    assert graph.run("build", "--force", *any_receiver.flags, *strict, **environ)[0] == 0
    assert len(any_receiver.ended()) == 6


def test_a_receiver_that_answers_nothing_does_not_hold_a_build(
    graph: ScriptGraph, any_receiver: CheckedReceiver
) -> None:
    any_receiver.hold()
    flags = ["--build_request_id=b", "--exporter_seconds=0.1", *any_receiver.flags]
    code, out, err = graph.run("build", *flags, **any_receiver.environ)
    # The process has ended, and nothing was answered.
    assert (code, "COMPLETED" in out, "not all events were sent to" in err) == (0, True, True)
    assert any_receiver.ended() == {}
    any_receiver.recover()
    assert graph.run("export", *any_receiver.flags, **any_receiver.environ)[0] == 0
    assert set(any_receiver.ended()) == {"b"}
