"""Objects that are lost or changed in S3 are found by a verification and by builds."""

from __future__ import annotations

import pytest

from databuild.storage.storage import Storage
from databuild.storage.storages import Storages
from tests.integration.log_store.conftest import Store
from tests.support.script_graph import NUMBER, ScriptGraph

NAMES = [f"n{number:02}" for number in range(20)]


def reports(graph: ScriptGraph, place: str) -> None:
    """Makes the numbers of a graph report objects as their places."""
    length = r"\"metadata\": {\"length\": ${#name}}"
    location = rf"\"location\": {{\"uri\": \"{place}/number-$name\", \"size_bytes\": 1}}"
    (graph.folder / "number").write_text(NUMBER.replace(length, f"{length}, {location}"))


@pytest.fixture
def storage(graph: ScriptGraph, s3: Store) -> Storage:
    """Returns the storage of a graph whose numbers are objects, all of which are built."""
    reports(graph, s3.uri)
    graph("build", *(f"number/{name}" for name in NAMES))
    storage = Storages({"s3": ()}).for_uri(s3.uri)
    for name in NAMES:
        storage.write(f"{s3.uri}/number-{name}", b"1")
    return storage


def test_a_verification_finds_lost_and_changed_objects(graph: ScriptGraph, s3: Store, storage: Storage) -> None:
    assert graph("partitions", "verify")[:2] == (0, "looked at 20 partitions: all as recorded\n")
    storage.remove_below(s3.uri)
    for name in NAMES[2:]:
        storage.write(f"{s3.uri}/number-{name}", b"1")
    storage.write(f"{s3.uri}/number-{NAMES[1]}", b"123")

    code, found = graph.json("partitions", "verify")

    assert code == 1
    assert [(one["ref"], one["kind"], one["detail"]) for one in found["findings"]] == [
        ("number/n00", "missing", ""),
        ("number/n01", "changed", "1 bytes are now 3"),
    ]
    assert "would make it (lost)" in graph("explain", "number/n00")[1]


def test_a_build_makes_a_lost_object_again(graph: ScriptGraph, s3: Store, storage: Storage) -> None:
    storage.remove_below(s3.uri)
    storage.write(f"{s3.uri}/number-n02", b"1")

    code, out, _ = graph("build", "sum/n01_n02")

    assert code == 0
    assert "built 2 partitions in 2 job runs: number/n01, sum/n01_n02\n" in out


@pytest.mark.usefixtures("storage")
def test_a_graph_without_the_extension_looks_at_no_object(graph: ScriptGraph) -> None:
    graph.write_catalog(extensions={})

    code, out, err = graph("partitions", "verify")

    assert code == 0
    assert "looked at nothing" in out or "20 partitions without a place to look at" in out
    assert "add storage = ['s3'] to its databuild_graph" in err


def test_a_bucket_that_does_not_exist_is_no_loss(graph: ScriptGraph, s3: Store) -> None:
    reports(graph, s3.uri.replace("s3://bucket/", "s3://no-such-bucket/"))
    graph("build", *(f"number/{name}" for name in NAMES))

    code, found = graph.json("partitions", "verify")

    assert code == 1
    assert {(one["kind"], one["detail"]) for one in found["findings"]} == {
        ("unreadable", "the bucket s3://no-such-bucket/ does not exist")
    }
    assert graph("build", "sum/n01_n02")[0] == 0


@pytest.mark.usefixtures("storage")
def test_objects_without_recorded_facts_are_counted(graph: ScriptGraph, s3: Store, storage: Storage) -> None:
    script = (graph.folder / "number").read_text()
    (graph.folder / "number").write_text(script.replace(r", \"size_bytes\": 1", ""))
    graph("build", "number/plain", "number/n00", "--force")
    storage.write(f"{s3.uri}/number-plain", b"12")
    storage.write(f"{s3.uri}/number-n00", b"1")

    code, out, _ = graph("partitions", "verify")

    assert (code, out) == (0, "looked at 21 partitions: all as recorded; 2 partitions only for existence\n")


def test_a_run_whose_input_object_is_lost_is_not_run_again(graph: ScriptGraph, s3: Store, storage: Storage) -> None:
    graph("build", "sum/n01_n02")
    (run,) = (one["job_run_id"] for one in graph.json("logs", "latest")[1]["job_runs"])
    storage.remove(f"{s3.uri}/number-n01")

    code, result = graph.json("reproduce", run, "--run")

    assert (code, result["refusals"]) == (
        2,
        [f"the data of the input 'number/n01' at {s3.uri}/number-n01 is missing"],
    )
