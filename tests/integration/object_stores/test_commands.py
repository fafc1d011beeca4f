"""Commands about data in S3, on the state directory and with a service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.object_stores.conftest import Bucket
from tests.support.script_graph import NUMBER, ScriptGraph

_REPORT = r"\"metadata\": {\"length\": ${#name}}"


@pytest.fixture
def graph(tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptGraph]:
    """Returns a graph whose numbers report objects, which the test writes."""
    monkeypatch.chdir(tmp_path)
    graph = ScriptGraph(tmp_path)
    folder = "${DATABUILD_ENVIRONMENT:+.environments/$DATABUILD_ENVIRONMENT/}"
    version = '$(cat "version-$name" 2>/dev/null || true)'
    location = rf"\"location\": {{\"uri\": \"{bucket.uri}/{folder}$name\", \"version\": \"{version}\"}}"
    (tmp_path / "number").write_text(NUMBER.replace(_REPORT, f"{_REPORT}, {location}"))
    graph.write_catalog(extensions={"s3": {}})
    yield graph
    graph.close()


def flags_of(graph: ScriptGraph, bucket: Bucket, kind: str) -> tuple[str, ...]:
    """Returns the flags that name a service; none for the state directory."""
    if kind == "here":
        return ()
    return (f"--server={graph.serve(**bucket.server.environ).addresses['grpc']}",)


@pytest.mark.parametrize("kind", ["here", "service"])
def test_an_environment_is_removed_with_its_objects(graph: ScriptGraph, bucket: Bucket, kind: str) -> None:
    for name in (".environments/pr-1/a", ".environments/pr-1/b", "a", ".environments/pr-2/a"):
        bucket.put(name)
    flags = flags_of(graph, bucket, kind)
    graph("build", "number/a", "number/b", "--environment=pr-1", *flags)
    assert graph("environments", "promote", "pr-1", "number/b", *flags)[0] == 0

    code, removed = graph.json("environments", "remove", "pr-1", "--delete_data", *flags)

    assert (code, removed["deleted"]) == (0, [f"{bucket.uri}/.environments/pr-1/a"])
    assert list(removed["kept"]) == [f"{bucket.uri}/.environments/pr-1/b"]
    assert bucket.names() == [".environments/pr-1/b", ".environments/pr-2/a", "a"]


@pytest.mark.parametrize("kind", ["here", "service"])
def test_lost_and_deleted_objects_are_noticed(graph: ScriptGraph, bucket: Bucket, kind: str) -> None:
    for name in ("a", "b", "c"):
        (graph.folder / f"version-{name}").write_text(bucket.put(name))
    flags = flags_of(graph, bucket, kind)
    graph("build", "number/a", "number/b", "number/c", *flags)
    bucket.server.remove(f"{bucket.prefix}a")
    code, result = graph.json("partitions", "verify", *flags)
    assert (code, result["checked"]) == (1, 3)
    assert [(one["ref"], one["kind"]) for one in result["findings"]] == [("number/a", "missing")]

    code, out, _ = graph("partitions", "delete", "number/b", "--reason=old", "--yes", *flags)

    assert (code, out) == (0, "deleted the data of 1 partition, 4 B\n")
    assert bucket.names() == ["c"]
    assert graph.json("partitions", *flags)[1]["counts"] == {"AVAILABLE": 1, "DELETED": 1, "MISSING": 1}
    assert graph("events", "verify")[0] == 0
