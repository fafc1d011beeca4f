"""Stores that fail: at the start, in the middle, for good. No build fails or waits long, and no log is lost."""

from __future__ import annotations

import socket

import pytest

from tests.integration.log_store.conftest import Store
from tests.support.script_graph import ScriptGraph
from tests.support.waiting import wait_until


@pytest.mark.parametrize("status", [403, 503, 507])
def test_a_store_that_refuses_leaves_the_logs_here_until_it_works_again(
    graph: ScriptGraph, s3: Store, elsewhere: tuple[str, ...], status: int
) -> None:
    assert s3.server is not None
    s3.server.answer_writes_with(status)

    code, _, err = graph.run("build", "number/a", f"--log_store={s3.uri}", **s3.environ)

    assert (code, f"the logs of 1 job run are not in {s3.uri} yet: " in err) == (0, True), err
    assert "making a\n" in graph("logs")[1]
    assert f"not in {s3.uri} yet" in graph("events", "--output=json")[1]
    _, out, err = graph("logs", *elsewhere)
    assert ("making a" in out, f"9 bytes of {s3.uri}/" in err) == (False, True)

    s3.server.answer_writes_with(200)
    assert graph.run("build", "number/b", **s3.environ)[0] == 0
    build = graph.json("builds")[1]["builds"][1]["build_request_id"]
    assert "making a\n" in graph("logs", build, *elsewhere)[1]


def test_a_store_that_fails_for_a_while_gets_the_rest(
    graph: ScriptGraph, s3: Store, elsewhere: tuple[str, ...]
) -> None:
    assert s3.server is not None
    (graph.folder / "wait-a").touch()
    build = graph.start("build", "number/a", f"--log_store={s3.uri}", **s3.environ)
    wait_until(lambda: len(s3.files()) == 2)
    s3.server.answer_writes_with(403)
    (graph.folder / "wait-b").touch()
    other = graph.start("build", "number/b", f"--log_store={s3.uri}", **s3.environ)
    graph.wait_for("waiting-b")
    wait_until(lambda: "making b" in graph("logs", _build_of(graph, "number/b"))[1])
    s3.server.answer_writes_with(200)
    (graph.folder / "go-a").touch()
    (graph.folder / "go-b").touch()

    assert [process.communicate(timeout=60)[1].count("not in s3://") for process in (build, other)] == [0, 0]
    assert "making b\n" in graph("logs", _build_of(graph, "number/b"), *elsewhere)[1]


def test_a_store_that_is_not_there_is_a_warning(graph: ScriptGraph, s3: Store) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        environ = {**s3.environ, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{closed.getsockname()[1]}"}
        code, _, err = graph.run("build", "number/a", f"--log_store={s3.uri}", **environ)

    assert (code, f"not in {s3.uri} yet: " in err) == (0, True), err
    assert "making a\n" in graph("logs")[1]


def test_a_folder_that_cannot_be_written_is_a_warning(graph: ScriptGraph) -> None:
    (graph.folder / "file").touch()

    code, _, err = graph("build", "number/a", f"--log_store={graph.folder}/file")

    assert (code, "Not a directory" in err) == (0, True), err
    assert "making a\n" in graph("logs")[1]


def test_a_store_that_cannot_be_read_is_an_error_with_its_reason(graph: ScriptGraph, s3: Store) -> None:
    assert graph("build", "number/a", f"--log_store={s3.uri}")[0] == 0
    environ = {**s3.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}

    code, _, err = graph.run("logs", **environ)

    assert (code, f"{s3.uri}/" in err, "cannot be used" in err) == (3, True, True), (code, err)


def _build_of(graph: ScriptGraph, ref: str) -> str:
    builds = graph.json("builds")[1]["builds"]
    found: str = next(build["build_request_id"] for build in builds if ref in build["requested"])
    return found
