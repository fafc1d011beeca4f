"""The command `check`."""

from __future__ import annotations

import pytest

from tests.support.script_graph import ENVIRONMENT, GRAPH, NUMBER, ScriptGraph


def test_a_sound_graph_passes_its_check(graph: ScriptGraph) -> None:
    code, out, _ = graph("check", "sum/ab_c")

    assert code == 0, out
    assert "config is deterministic" in out


def test_an_input_that_nobody_produces_is_a_fault(graph: ScriptGraph) -> None:
    graph.jobs = graph.jobs[1:]
    graph.write_catalog()

    code, out, _ = graph("check", "sum/ab_c")

    assert code == 1
    assert "no job produces the partition 'number/ab', which 'sum/ab_c' needs" in out


def test_a_config_that_answers_differently_is_a_fault(graph: ScriptGraph) -> None:
    script = NUMBER.replace(ENVIRONMENT, r"\"NOW\": \"$$\"")
    (graph.folder / "number").write_text(script)

    code, out, _ = graph("check", "number/x")

    assert code == 1
    assert "config is not deterministic" in out
    assert "number/x" in out


def test_overlapping_patterns_are_a_fault(graph: ScriptGraph) -> None:
    graph.jobs[0]["outputs"] = ["{kind}/{name}"]
    graph.write_catalog()

    code, out, _ = graph("check")

    assert code == 1
    assert "overlap" in out


def test_default_partitions_have_producers_where_the_check_says_so(graph: ScriptGraph) -> None:
    code, out, _ = graph("check")

    assert code == 0
    assert "ok: 1 default partition, each with a producer" in out


@pytest.mark.parametrize(
    ("texts", "fault"),
    [
        (["sum/ab_c", "nobody/makes"], "no job produces the partition 'nobody/makes'"),
        (["su m"], "'su m'"),
    ],
)
def test_default_partitions_that_nobody_produces_are_a_fault(graph: ScriptGraph, texts: list[str], fault: str) -> None:
    graph.write_catalog(default_partitions=texts)

    code, out, _ = graph("check")

    assert code == 1
    assert f"FAULT: default_partitions of {GRAPH}: " in out
    assert fault in out


def test_a_lookup_is_asked_who_produces_the_default_partitions(graph: ScriptGraph) -> None:
    (graph.folder / "lookup").write_text('#!/bin/sh\necho "{\\"$KNOWN\\": \\"//numbers:sum\\"}"\n')
    (graph.folder / "lookup").chmod(0o755)
    of_lookup = {"lookup": "lookup", "lookup_environment": {"KNOWN": "sum/ab_c"}}

    graph.write_catalog(**of_lookup)
    assert graph("check")[0] == 0
    graph.write_catalog(**of_lookup, default_partitions=["sum/c"])
    code, out, _ = graph("check")

    assert code == 1
    assert "no job produces the partition 'sum/c'" in out
