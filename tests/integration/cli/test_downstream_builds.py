"""`build --downstream` and `plan --downstream`."""

from __future__ import annotations

from tests.support.script_graph import ScriptGraph


def made_again(graph: ScriptGraph) -> None:
    """Builds two sums of number/c, and then this number again, so that both sums are stale."""
    graph("build", "sum/ab_c", "sum/c_d", "sum/ab_d")
    graph("build", "--force", "number/c")


def test_a_build_of_what_is_downstream_builds_what_is_stale(graph: ScriptGraph) -> None:
    made_again(graph)

    code, result = graph.json("build", "--downstream", "number/c", "number/d")

    assert (code, result["built"]) == (0, ["sum/ab_c", "sum/c_d"])
    assert result["requested"] == ["sum/ab_c", "sum/ab_d", "sum/c_d"]
    assert "nothing to do" in graph("build", "--downstream", "number/c")[1]


def test_a_plan_of_what_is_downstream_shows_what_is_stale_and_can_be_built(graph: ScriptGraph) -> None:
    made_again(graph)

    _, plan = graph.json("plan", "--downstream", "number/c")
    dry_run = graph("build", "--dry_run", "--downstream", "number/c")

    assert plan["requested"] == ["sum/ab_c", "sum/c_d"]
    assert plan["counts"]["INPUT_CHANGED"] == 2
    assert dry_run[1] == graph("plan", "--downstream", "number/c")[1]
    assert graph("plan", "--downstream", "number/c", "--output=two.plan")[0] == 0
    assert graph.json("build", "--plan=two.plan")[1]["built"] == ["sum/ab_c", "sum/c_d"]


def test_data_without_a_job_is_left_out_with_a_warning(graph: ScriptGraph) -> None:
    made_again(graph)
    graph.jobs[1]["outputs"] = ["sum/{names:/[a-z]+_d/}"]
    graph.write_catalog()
    warning = "warning: sum/ab_c is downstream too, but left out: no job of the graph produces it any more"

    _, plan, told = graph("plan", "--downstream", "number/c", "--output=json")
    code, _, err = graph("build", "--downstream", "number/c")

    assert '"sum/c_d"' in plan
    assert told.count(warning) == 1
    assert (code, err.count(warning)) == (0, 1)


def test_a_build_with_nothing_downstream_is_refused(graph: ScriptGraph) -> None:
    made_again(graph)

    for command in ("build", "plan"):
        code, out, err = graph(command, "--downstream", "sum/ab_c")
        assert (code, out) == (2, "")
        assert "there is nothing to build: no available partition was made from 'sum/ab_c'" in err


def test_a_downstream_request_needs_a_partition(graph: ScriptGraph) -> None:
    for command in ("build", "plan"):
        assert "--downstream takes at least one PARTITION" in graph(command, "--downstream")[2]
    graph("plan", "number/c", "--output=c.plan")

    code, _, err = graph("build", "--plan=c.plan", "--downstream")

    assert (code, "no --downstream beside it" in err) == (2, True)
