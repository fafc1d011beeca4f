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


def declare(graph: ScriptGraph, **more: object) -> None:
    """Makes the sums declared jobs, so that the numbers alone have `config`."""
    declaration = {"inputs": ["number/{name}"], **more}
    graph.jobs[1] |= {"outputs": ["sum/{name}"], "declaration": declaration}
    graph.write_catalog()


def test_declared_jobs_need_no_samples(graph: ScriptGraph) -> None:
    declare(graph)

    code, out, _ = graph("check")

    assert code == 0
    assert "ok: all partitions of 1 declared job: every input has a producer (1 template)" in out
    assert "ok: all partitions of 1 declared job: none needs itself (0 cycles between jobs)" in out
    assert "not checked: inputs, cycles and config of 1 job with `config`; name at least one REF to check them" in out


def test_samples_check_jobs_with_config_beside_declared_ones(graph: ScriptGraph) -> None:
    declare(graph)

    code, out, _ = graph("check", "sum/ab")

    assert code == 0, out
    assert "every input has a producer (1 template)" in out
    assert "ok: sum/ab: every input has a producer, and there is no cycle (2 tasks, 2 partitions)" in out
    assert "config is deterministic" in out


def test_faults_of_declared_jobs_are_counter_examples(graph: ScriptGraph) -> None:
    declare(graph, inputs=["numbers/{name}"], optional_inputs=["sum/{name}"])

    code, out, _ = graph("check")

    assert code == 1
    assert "FAULT: //numbers:sum: 'sum/x' needs 'numbers/x', by 'numbers/{name}', and no job produces it" in out
    assert "FAULT: 'sum/x' needs itself: 'sum/x' needs 'sum/x'" in out
    assert "ok: all partitions" not in out


def test_inputs_that_are_not_proven_are_named(graph: ScriptGraph) -> None:
    declare(graph, inputs=["number/{name}-{name}"])
    graph.jobs[0]["outputs"] = ["number/{x:/[^b]+|b-b/}"]
    graph.write_catalog(default_partitions=["sum/ab"])

    code, out, _ = graph("check")

    assert code == 0
    assert "not proven: //numbers:sum, 'number/{name}-{name}': automata" in out
    assert "every input has a producer" not in out


def test_as_json_a_check_has_the_same_results(graph: ScriptGraph) -> None:
    declare(graph)
    code, result = graph.json("check")
    assert (code, result["ok"]) == (0, True)
    assert [one["outcome"] for one in result["checks"]] == ["OK", "OK", "OK", "OK", "NOT_CHECKED"]

    code, result = graph.json("check", "nothing")
    assert (code, result["ok"]) == (1, False)
    assert result["checks"][-1] == {"outcome": "FAULT", "text": "no job produces the partition 'nothing'"}
