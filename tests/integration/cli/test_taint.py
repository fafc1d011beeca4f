"""The command `taint`."""

from __future__ import annotations

from tests.support.script_graph import ScriptGraph


def test_a_tainted_partition_is_built_again_and_the_mark_can_be_taken_away(graph: ScriptGraph) -> None:
    graph("build")
    assert graph("taint", "number/c", "--reason=wrong")[0] == 0
    assert "tainted" in graph("plan", "number/c")[1]
    assert graph("taint", "--untaint", "number/c")[0] == 0
    assert "nothing to do" in graph("plan", "number/c")[1]
    graph("taint", "number/c", "--reason=wrong")

    _, result = graph.json("build", "number/c")

    assert result["built"] == ["number/c"]


def test_everything_downstream_is_tainted_too(graph: ScriptGraph) -> None:
    graph("build", "sum/ab_c", "sum/c_d", "number/e")

    code, result = graph.json("taint", "--downstream", "number/c", "--reason=wrong")

    assert (code, result["partitions"], result["author"]) == (0, ["number/c", "sum/ab_c", "sum/c_d"], "ann")
    assert graph.json("build", "sum/ab_c", "sum/c_d")[1]["built"] == ["number/c", "sum/ab_c", "sum/c_d"]
    assert graph("taint", "--downstream", "--untaint", "number/c")[1] == "removed the taint of 3 partitions\n"


def test_unknown_partitions_cannot_be_tainted(graph: ScriptGraph) -> None:
    assert graph("taint", "number/x")[0] == 2


def test_more_partitions_than_one_event_has_are_tainted(graph: ScriptGraph) -> None:
    refs = [f"number/{number}" for number in range(10_001)]
    graph("partitions", "adopt", *refs, "--reason=there")

    code, result = graph.json("taint", *refs, "--reason=wrong")

    assert (code, len(result["partitions"])) == (0, 10_001)
    assert graph.json("partitions", "--limit=1")[1]["counts"] == {"AVAILABLE": 10_001, "TAINTED": 10_001}
    assert graph("taint", "--untaint", *refs)[0] == 0
    assert graph.json("partitions", "--limit=1")[1]["counts"] == {"AVAILABLE": 10_001}
    assert graph("events", "verify")[0] == 0
