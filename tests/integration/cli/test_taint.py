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


def test_unknown_partitions_cannot_be_tainted(graph: ScriptGraph) -> None:
    assert graph("taint", "number/x")[0] == 2
