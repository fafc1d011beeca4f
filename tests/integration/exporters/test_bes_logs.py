"""The URIs of logs that a Build Event Service gets open what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.engines.s3 import S3Server
from tests.support.bes_server import BesServer
from tests.support.script_graph import ScriptGraph

EXPECTED = {
    ("stdout", b"making ab\n"),
    ("stderr", b"//numbers:number, attempt 1\n"),
    ("stdout", b"making fail-x\n"),
    ("stderr", b"//numbers:number, attempt 1\ncannot make fail-x\n"),
}


@pytest.fixture
def server() -> Iterator[BesServer]:
    server = BesServer()
    yield server
    server.stop()
    assert not server.faults


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[ScriptGraph]:
    # A URI escapes what a path may have.
    folder = tmp_path / "with spaces & ü"
    folder.mkdir()
    graph = ScriptGraph(folder)
    graph.write_catalog(extensions={"bes": {}, "s3": {}})
    yield graph
    graph.close()


def opened(server: BesServer, read: Callable[[str], bytes]) -> set[tuple[str, bytes]]:
    """Returns the names and the contents of all logs, whose lengths have to be right."""
    found = set()
    stream = server.only_stream()
    failed = [file for event in stream.rules.of("test_summary") for file in event.test_summary.failed]
    for event in stream.rules.of("test_result"):
        for file in event.test_result.test_action_output:
            content = read(file.uri)
            assert file.length == len(content)
            found.add((file.name, content))
    assert {(file.name, read(file.uri)) for file in failed} <= found
    assert len(failed) == 2
    return found


def build(graph: ScriptGraph, server: BesServer, *flags: str, **environ: str) -> None:
    refs = ("number/ab", "number/fail-x", "--keep_going")
    code, _, err = graph.run("build", *refs, "--exporter_failure=fail", f"--exporter={server.uri}", *flags, **environ)
    assert code == 1, err


def read_file(uri: str) -> bytes:
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc) == ("file", "")
    return Path(unquote(parts.path)).read_bytes()


@pytest.mark.parametrize("store", ["", "shared", "file"])
def test_files_of_this_machine_and_of_a_folder(graph: ScriptGraph, server: BesServer, store: str) -> None:
    folder = graph.folder / "shared logs"
    flags = {"": [], "shared": [f"--log_store={folder}"], "file": [f"--log_store={folder.as_uri()}"]}
    build(graph, server, *flags[store])

    assert opened(server, read_file) == EXPECTED


def test_logs_of_an_environment(graph: ScriptGraph, server: BesServer) -> None:
    build(graph, server, "--environment=pr-1")

    assert opened(server, read_file) == EXPECTED


def test_objects(graph: ScriptGraph, server: BesServer) -> None:
    with S3Server() as s3:
        build(graph, server, "--log_store=s3://bucket/logs", **s3.environ)

        def read_object(uri: str) -> bytes:
            assert uri.startswith("s3://bucket/logs/")
            return s3.content(uri.removeprefix("s3://bucket/"))

        assert opened(server, read_object) == EXPECTED
