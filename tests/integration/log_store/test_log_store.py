"""Builds whose logs are in a store, and readers on other machines."""

from __future__ import annotations

import base64
import re
import signal
import sqlite3
from pathlib import Path

import pytest

from tests.integration.log_store.conftest import Store
from tests.support.script_graph import ScriptGraph
from tests.support.waiting import wait_until


def text_of(graph: ScriptGraph, *args: str) -> str:
    """Returns the text of logs, without the ids of builds."""
    code, out, err = graph("logs", *args)
    assert (code, err) == (0, "")
    return re.sub(r"\d{8}T\d{6}Z-[0-9a-z]+", "BUILD", out)


def unstored(graph: ScriptGraph) -> list[str]:
    """Returns the log files that are waiting to be stored."""
    folder = graph.folder / ".databuild/numbers/graph/logs/.unstored"
    return sorted(path.name for path in folder.rglob("*") if path.is_file()) if folder.exists() else []


def test_every_machine_reads_the_same_text_as_from_a_state_directory(
    graph: ScriptGraph, store: Store, elsewhere: tuple[str, ...]
) -> None:
    assert graph("build")[0] == 0
    expected = text_of(graph)
    code, _, err = graph("build", "--force", "number/a", "number/b", "sum/a_b", f"--log_store={store.uri}")

    assert (code, "log" in err) == (0, False)
    assert text_of(graph) == text_of(graph, *elsewhere) == expected
    assert "making a\n" in expected
    # One piece for each stream that is not empty, and nothing is left here.
    build = graph.json("status")[1]["build_request_id"]
    assert [name.rpartition(".")[0] for name in store.files()] == [
        f"{build}/1.1/stderr",
        f"{build}/1.1/stdout",
        f"{build}/2.1/stderr",
        f"{build}/2.1/stdout",
        f"{build}/3.1/stdout",
    ]
    assert unstored(graph) == []


@pytest.mark.parametrize("reader", ["command line", "service"])
def test_the_log_of_a_running_job_is_followed_from_another_machine(
    graph: ScriptGraph, store: Store, elsewhere: tuple[str, ...], reader: str
) -> None:
    if reader == "service":
        service = graph.serve(*elsewhere, **store.environ)
        elsewhere = (f"--server={service.addresses['grpc']}",)
    (graph.folder / "wait-a").touch()
    build = graph.start("build", "number/a", f"--log_store={store.uri}", **store.environ)
    graph.wait_for("waiting-a")
    wait_until(lambda: "making a" in graph("logs", *elsewhere)[1])
    following = graph.start("logs", "--follow", *elsewhere, **store.environ)
    (graph.folder / "go-a").touch()

    out, err = following.communicate(timeout=30)
    assert ("making a\n" in out, "attempt 1\n" in out, err) == (True, True, "")
    assert build.wait(timeout=30) == 0


def test_a_failure_shows_the_end_of_the_log_and_its_place(graph: ScriptGraph, store: Store) -> None:
    (graph.folder / "fail-a").touch()

    code, out, _ = graph("build", "number/a", f"--log_store={store.uri}")

    build = graph.json("status")[1]["build_request_id"]
    assert code == 1
    assert f"the end of its standard error, {store.uri}/{build}/1.1/stderr.000000000000-" in out
    assert "cannot make a\n" in out


def test_a_service_stores_and_reads_logs(graph: ScriptGraph, store: Store, elsewhere: tuple[str, ...]) -> None:
    graph.write_catalog(extensions={"s3": {}}, log_store=store.uri)
    service = graph.serve(**store.environ)
    build = service.build("number/a")
    service.wait_for(build, "COMPLETED")
    other = graph.serve(*elsewhere, **store.environ)

    run = service.get(f"/job_runs/{build}.1.1")
    assert (run["log_store"], run["stdout_bytes"], run["status"]) == (store.uri, "9", "JOB_STATUS_COMPLETED")
    for one in (service, other):
        chunk = one.get(f"/job_runs/{build}.1.1/log?stream=stdout")
        assert (base64.b64decode(chunk["data"]), chunk["ended"], chunk["total_bytes"]) == (b"making a\n", True, "9")
        assert chunk["path"].startswith(f"{store.uri}/{build}/1.1/stdout")
    texts = [text_of(graph, build, *flags) for flags in (elsewhere, (f"--server={other.addresses['grpc']}",))]
    assert texts[0] == texts[1] == text_of(graph, build)
    assert "making a\n" in texts[0]
    assert service.ask("POST", "/api/v1/builds", {"options": {"log_store": "s3://other"}})[0] == 400
    assert service.end()[0] == other.end()[0] == 0


def test_pruning_removes_the_logs_of_pruned_builds_and_nothing_else(graph: ScriptGraph, store: Store) -> None:
    graph("build", f"--log_store={store.uri}")
    graph("build", "number/x", f"--log_store={store.uri}")
    first, second = (build["build_request_id"] for build in reversed(graph.json("builds")[1]["builds"]))
    foreign = f"{store.uri}/of-another-event-log"
    graph.write_catalog(extensions={"s3": {}}, log_store=store.uri)
    if store.server is None:
        Path(foreign).mkdir()
        (Path(foreign) / "1").write_text("x")

    tried = graph.json("prune", "--keep=1", "--dry_run")[1]
    done = graph.json("prune", "--keep=1")[1]

    assert (tried["log_builds"], tried["log_bytes"]) == (done["log_builds"], done["log_bytes"])
    assert done["log_bytes"] > 0
    assert {name.partition("/")[0] for name in store.files()} - {"of-another-event-log"} == {second}
    assert graph("prune", "--logs_older_than=0s")[0] == 0
    assert {name.partition("/")[0] for name in store.files()} <= {"of-another-event-log"}
    assert "9 bytes of" in graph("logs", second)[2]
    assert first in graph("logs", first)[2]


def test_the_next_process_stores_what_a_killed_one_has_left(
    graph: ScriptGraph, store: Store, elsewhere: tuple[str, ...]
) -> None:
    (graph.folder / "wait-a").touch()
    build = graph.start("build", "number/a", f"--log_store={store.uri}", **store.environ)
    wait_until(lambda: len(unstored(graph)) == 2 and "RUNNING" in graph("events", "latest", *elsewhere)[1])
    build.send_signal(signal.SIGKILL)
    build.wait()
    killed = graph.json("status", *elsewhere)[1]["build_request_id"]

    assert graph("build", "number/b")[0] == 0

    assert unstored(graph) == []
    assert "making a\n" in text_of(graph, killed, *elsewhere)


def test_credentials_are_in_no_file(graph: ScriptGraph, s3: Store) -> None:
    assert graph("build", f"--log_store={s3.uri}")[0] == 0
    code, _, err = graph("build", "--log_store=s3://key:secret-of-the-test@bucket/logs")

    assert (code, "secret-of-the-test" in err) == (2, False)
    state = graph.folder / ".databuild"
    sqlite3.connect(state / "numbers/graph/events.db").execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
    assert all(b"secret-of-the-test" not in path.read_bytes() for path in state.rglob("*") if path.is_file())


def test_a_graph_without_the_kind_of_store_is_told_the_attribute(graph: ScriptGraph) -> None:
    graph.write_catalog(extensions={})

    code, _, err = graph("build", "--log_store=s3://bucket/logs")

    assert (code, "add storage = ['s3'] to its databuild_graph" in err) == (2, True)
