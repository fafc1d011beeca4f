"""The command `partitions verify`, on the state directory and with a service."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from databuild.client import DatabuildClient
from databuild.errors import InvalidRequestError
from databuild.v1 import service_pb2 as sv
from databuild.v1.service_pb2_grpc import DataBuildServiceStub
from tests.support.script_graph import NUMBER, ScriptGraph


@pytest.fixture
def graph(graph: ScriptGraph) -> ScriptGraph:
    """Returns a graph whose numbers report the places and sizes of their files; two sums are built."""
    report = r"\"metadata\": {\"length\": ${#name}}"
    place = (
        r"\"location\": {\"uri\": \"file://$PWD/data/number-$name\", \"size_bytes\": $(stat -c %s data/number-$name)}"
    )
    (graph.folder / "number").write_text(NUMBER.replace(report, f"{report}, {place}"))
    graph("build", "sum/a_bb", "sum/bb_ccc")
    return graph


def data(graph: ScriptGraph, name: str) -> Path:
    return graph.folder / "data" / f"number-{name}"


def test_a_lost_file_is_noticed_and_made_again(graph: ScriptGraph) -> None:
    data(graph, "bb").unlink()

    code, out, _ = graph("partitions", "verify")

    assert code == 1
    assert out == (
        f"missing     number/bb  {data(graph, 'bb').as_uri()}\n"
        "looked at 3 partitions: 1 missing; 2 partitions without a place to look at; the next build that needs it "
        "rebuilds it\n"
    )
    assert [one["ref"] for one in graph.json("partitions", "--status=MISSING")[1]["partitions"]] == ["number/bb"]
    assert "missing  number/bb" in graph("events", "--all")[1]
    assert "would make it (lost)" in graph("explain", "number/bb")[1]
    code, out, _ = graph("build", "sum/a_bb", "sum/bb_ccc")
    assert code == 0
    assert data(graph, "bb").exists()
    assert graph("partitions", "verify")[:2] == (
        0,
        "looked at 3 partitions: all as recorded; 2 partitions without a place to look at\n",
    )
    assert graph("events", "verify")[0] == 0


def test_a_dry_run_records_nothing(graph: ScriptGraph) -> None:
    data(graph, "bb").unlink()

    code, result = graph.json("partitions", "verify", "--dry_run")

    assert (code, result["checked"], result["not_looked_at"]) == (1, 3, 2)
    assert [(one["ref"], one["kind"]) for one in result["findings"]] == [("number/bb", "missing")]
    assert graph.json("partitions")[1]["counts"] == {"AVAILABLE": 5}


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["number/a"], ["number/a"]),
        (["number/{name}"], ["number/a", "number/bb", "number/ccc"]),
        (["number/{name:/b+/}", "number/ccc"], ["number/bb", "number/ccc"]),
        (["sum/{names}"], []),
        (["--after=number/a"], ["number/bb", "number/ccc"]),
    ],
)
def test_refs_and_patterns_select(graph: ScriptGraph, names: list[str], found: list[str]) -> None:
    for name in ("a", "bb", "ccc"):
        data(graph, name).unlink()

    _, result = graph.json("partitions", "verify", *names)

    assert [one["ref"] for one in result["findings"]] == found
    assert graph.json("partitions")[1]["counts"].get("MISSING", 0) == len(found)


def test_a_pattern_that_is_not_valid_is_an_error(graph: ScriptGraph) -> None:
    assert graph("partitions", "verify", "number/{name")[0] == 2
    assert graph("partitions", "verify", "renamed/a")[1].startswith(
        "looked at nothing: no records of available partitions match renamed/a; "
    )


@pytest.mark.parametrize(
    ("policy", "reason"), [("report", "up to date"), ("rebuild", "tainted"), ("adopt", "up to date")]
)
def test_changed_data_is_handled_as_the_user_says(graph: ScriptGraph, policy: str, reason: str) -> None:
    data(graph, "bb").write_text("123456\n")

    code, result = graph.json("partitions", "verify", f"--changed={policy}", "--author=ann")

    (finding,) = result["findings"]
    assert (finding["ref"], finding["kind"], finding["detail"]) == ("number/bb", "changed", "2 bytes are now 7")
    assert code == (0 if policy == "adopt" else 1)
    assert f"({reason}" in graph("explain", "number/bb")[1]
    record = graph.json("explain", "number/bb")[1]["record"]
    assert record["metadata"] == {"length": 2}
    assert (record["adoption"] is not None) == (policy == "adopt")
    assert graph("partitions", "verify", "number/bb")[0] == (0 if policy == "adopt" else 1)
    downstream = graph("explain", "sum/a_bb")[1]
    assert ("input changed: number/bb" in downstream) == (policy != "report")


def test_a_service_verifies_and_records_the_author(graph: ScriptGraph) -> None:
    served = graph.serve()
    data(graph, "bb").unlink()
    data(graph, "a").write_text("changed\n")
    with DatabuildClient(served.addresses["grpc"], author="ann") as client:
        found = client.verify_partitions(["number/{name}"], changed="rebuild")
        again = client.verify_partitions(["number/bb", "number/ccc"], dry_run=True)
        record = client.partition("number/a").record
        with pytest.raises(InvalidRequestError, match="changed is 'hide'"):
            client.verify_partitions(changed="hide")

    assert [(one.ref, one.kind) for one in found.findings] == [("number/a", "changed"), ("number/bb", "missing")]
    assert (found.checked, again.checked, again.findings) == (3, 1, ())
    assert record is not None
    assert record.taint_reason == "ann: changed in its store: 2 bytes are now 8"
    assert "missing  number/bb  noticed for ann" in graph("events", "--all")[1]
    code, out, _ = graph("partitions", "verify", f"--server={served.addresses['grpc']}")
    assert (code, "changed     number/a" in out) == (1, True)


@pytest.mark.parametrize("http", [False, True])
def test_callers_of_a_service_confirm_the_loss_of_a_folder(graph: ScriptGraph, http: bool) -> None:
    graph("build", *(f"number/n{number}" for number in range(10)))
    (graph.folder / "data").rename(graph.folder / "elsewhere")
    served = graph.serve()

    def verify(*, confirm_losses: bool) -> set[str]:
        if http:
            status, answer = served.ask("POST", "/api/v1/partition_verifications", {"confirm_losses": confirm_losses})
            assert status == 200, answer
            return {one["kind"] for one in answer["findings"]}
        with grpc.insecure_channel(served.addresses["grpc"]) as channel:
            request = sv.VerifyPartitionsRequest(confirm_losses=confirm_losses)
            found = DataBuildServiceStub(channel).VerifyPartitions(request).findings
        return {f"KIND_{sv.StoreFinding.Kind.Name(one.kind).removeprefix('KIND_')}" for one in found}

    assert verify(confirm_losses=False) == {"KIND_UNREADABLE"}
    assert "MISSING" not in graph.json("partitions")[1]["counts"]
    assert verify(confirm_losses=True) == {"KIND_MISSING"}
    assert graph.json("partitions")[1]["counts"]["MISSING"] == 13


def test_data_without_recorded_facts_is_counted(graph: ScriptGraph) -> None:
    report = '\\"size_bytes\\": $(stat -c %s data/number-$name)'
    script = (graph.folder / "number").read_text()
    (graph.folder / "number").write_text(script.replace(f", {report}", ""))
    graph("build", "number/n1", "number/n2")
    data(graph, "n1").write_text("other\n")
    data(graph, "n2").unlink()

    code, out, _ = graph("partitions", "verify", "number/{name}")

    assert code == 1
    assert out.splitlines()[-1].startswith(
        "looked at 5 partitions: 1 missing; 1 partition only for existence; the next"
    )
    assert graph.json("partitions", "verify")[1]["without_facts"] == 1
    with DatabuildClient(graph.serve().addresses["grpc"]) as client:
        assert client.verify_partitions(["number/{name}"]).without_facts == 1
