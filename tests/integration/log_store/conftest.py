"""A graph whose logs are in a store: a folder, or S3."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.engines.s3 import S3Server
from tests.support.script_graph import ScriptGraph


@dataclass(frozen=True)
class Store:
    """A place for logs.

    Attributes:
        uri: Its URI.
        environ: The variables with which processes find it.
        server: Its server; None for a folder.
    """

    uri: str
    environ: Mapping[str, str] = field(default_factory=dict)
    server: S3Server | None = None

    def files(self) -> list[str]:
        """Returns the names of all files in the store, relative to its URI."""
        if self.server is not None:
            prefix = f"{self.uri.removeprefix('s3://bucket/')}/"
            return [key.removeprefix(prefix) for key in self.server.keys(prefix)]
        root = Path(self.uri)
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.fixture(scope="session")
def server() -> Iterator[S3Server]:
    with S3Server() as running, pytest.MonkeyPatch.context() as environment:
        for name, value in running.environ.items():
            environment.setenv(name, value)
        yield running


@pytest.fixture
def s3(server: S3Server) -> Iterator[Store]:
    yield Store(f"s3://bucket/{uuid.uuid4()}", server.environ, server)
    server.answer_writes_with(200)


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return Store(f"{tmp_path}/shared")
    s3: Store = request.getfixturevalue("s3")
    return s3


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[ScriptGraph]:
    (tmp_path / "workspace").mkdir()
    graph = ScriptGraph(tmp_path / "workspace", default_partitions=("sum/a_b",))
    graph.write_catalog(extensions={"s3": {}})
    yield graph
    graph.close()


@pytest.fixture
def elsewhere(graph: ScriptGraph) -> tuple[str, ...]:
    """Returns the flags of another machine: the same event log, and another state directory."""
    event_log = f"{graph.folder}/.databuild/numbers/graph/events.db"
    return (f"--state_dir={graph.folder}/elsewhere", f"--event_log=sqlite:{event_log}")
