"""Builds of the command line and of services notify receivers, and never wait long for them."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.receiver import Receiver
from tests.support.script_graph import ScriptGraph
from tests.support.waiting import wait_until


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def kinds(receiver: Receiver) -> list[str]:
    return [json.loads(body)["type"] for _, body in receiver.requests]


def subjects(receiver: Receiver) -> list[str]:
    return [json.loads(body)["subject"] for _, body in receiver.requests]


def test_a_build_notifies_of_its_end(graph: ScriptGraph, receiver: Receiver) -> None:
    flags = [f"--notify={receiver.url}", "--notify_on=end"]
    code, _, err = graph.run("build", "number/one", *flags, DATABUILD_NOTIFY_SECRET="key")
    assert (code, "sent" in err) == (0, False)
    assert graph("build", "number/fail-x", *flags)[0] == 1
    assert kinds(receiver) == ["databuild.build.completed", "databuild.build.failed"]
    (headers, body), (unsigned, _) = receiver.requests
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    signature = b64encode(hmac.new(b"key", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{signature}"
    assert "webhook-signature" not in unsigned


def test_the_graph_may_name_the_receiver_and_the_occasions(graph: ScriptGraph, receiver: Receiver) -> None:
    graph.write_catalog(notify=[receiver.url], notify_on=["end"])
    graph("build", "number/one")
    graph("build", "number/fail-x", "--notify_on=check")
    assert kinds(receiver) == ["databuild.build.completed"]


def test_a_receiver_that_is_away_changes_nothing_and_gets_everything_later(
    graph: ScriptGraph, receiver: Receiver
) -> None:
    flags = [f"--notify={receiver.url}", "--exporter_seconds=0.1"]
    receiver.answers = [503] * 100
    code, out, err = graph("build", "number/fail-x", *flags)
    assert code == 1
    assert "FAILED" in out
    assert "not all events were sent to http://127.0.0.1#" in err
    assert "status 503 Service Unavailable" in err
    assert "secret" not in err
    assert graph("build", "number/one", *flags, "--exporter_failure=fail")[0] == 3
    receiver.answers = []
    assert graph("build", "number/two", f"--notify={receiver.url}", "--exporter_failure=fail")[0] == 0
    last = {body for _, body in receiver.requests[-1:]}
    assert len({body for _, body in receiver.requests}) == 1
    assert [json.loads(body)["type"] for body in last] == ["databuild.build.failed"]


def test_a_killed_build_is_notified_by_the_build_that_ends_it(graph: ScriptGraph, receiver: Receiver) -> None:
    flags = [f"--notify={receiver.url}", "--notify_on=failure"]
    with graph.start("build", "number/hang-x", "--build_request_id=killed", *flags) as process:
        graph.wait_for("pid-hang-x")
        process.send_signal(signal.SIGKILL)
    assert graph("build", "number/one", *flags)[0] == 0
    assert [json.loads(body)["subject"] for _, body in receiver.requests] == ["killed"]


def test_a_service_notifies_of_its_builds(graph: ScriptGraph, receiver: Receiver) -> None:
    served = graph.serve(f"--notify={receiver.url}", "--notify_on=end")
    build = served.build("number/one")
    wait_until(lambda: bool(receiver.requests))
    last = served.build("number/two")
    served.wait_for(last, "COMPLETED")
    served.end()
    assert [json.loads(body)["subject"] for _, body in receiver.requests] == [build, last]


def test_a_service_notifies_of_a_build_that_waits_in_its_queue(graph: ScriptGraph, receiver: Receiver) -> None:
    flags = [f"--notify={receiver.url}", "--notify_on=wait", "--notify_wait_seconds=0.3"]
    served = graph.serve("--max_builds=1", *flags)
    running = served.build("number/wait-x")
    graph.wait_for("waiting-wait-x")
    waiting = served.build("number/two")
    # On a slow machine, the other build may wait as well.
    wait_until(lambda: waiting in subjects(receiver))
    (graph.folder / "go-wait-x").touch()
    served.wait_for(running, "COMPLETED")
    served.wait_for(waiting, "COMPLETED")
    served.end()
    _, body = receiver.requests[subjects(receiver).index(waiting)]
    assert json.loads(body)["data"]["message"] == "nothing has happened in the build for 0.3 s: it is in the queue"


def test_a_build_notifies_that_it_waits_for_another_one(graph: ScriptGraph, receiver: Receiver) -> None:
    flags = [f"--notify={receiver.url}", "--notify_on=wait", "--notify_wait_seconds=0.3"]
    with graph.start("build", "number/wait-x") as first:
        graph.wait_for("waiting-wait-x")
        with graph.start("build", "sum/wait-x", "--build_request_id=second", *flags) as second:
            wait_until(lambda: "second" in subjects(receiver))
            (graph.folder / "go-wait-x").touch()
            assert (first.wait(), second.wait()) == (0, 0)


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--notify=ftp://host/", "the address of notifications must be http://HOST/PATH"),
        ("--notify_on=always", "--notify_on=always is none of end, failure, first_failure, check, wait"),
        ("--notify_wait_seconds=0", "--notify_wait_seconds=0 must be greater than 0"),
        ("--notify_template=nowhere.json", "the template of --notify_template cannot be read"),
        ("--notify_template=bad.json", "the template of notifications is not JSON"),
    ],
)
def test_a_mistake_is_refused_before_the_build(graph: ScriptGraph, tmp_path: Path, flag: str, said: str) -> None:
    (tmp_path / "bad.json").write_text("{")
    code, out, err = graph("build", "number/one", "--notify=http://127.0.0.1:9/", flag)
    assert (code, out) == (2, "")
    assert said in err
    assert graph("builds")[1] == "no builds\n"
