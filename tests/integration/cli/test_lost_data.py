"""Builds notice that data of other builds is no longer in its store, and rebuild it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.script_graph import NUMBER, ScriptGraph


@pytest.fixture
def graph(graph: ScriptGraph) -> ScriptGraph:
    """Returns a graph whose numbers report the paths of their files; one sum is built."""
    length = r"\"length\": ${#name}"
    path = r"\"path\": \"data/number-$name\""
    (graph.folder / "number").write_text(NUMBER.replace(length, f"{length}, {path}"))
    graph("build", "sum/a_bb")
    return graph


def data(graph: ScriptGraph, name: str) -> Path:
    return graph.folder / "data" / f"number-{name}"


def test_a_build_makes_lost_inputs_of_its_tasks_again(graph: ScriptGraph) -> None:
    data(graph, "bb").unlink()

    code, out, _ = graph("build", "sum/bb_ccc")

    assert code == 0
    assert "built 3 partitions in 3 job runs: number/bb, number/ccc, sum/bb_ccc\n" in out
    assert (graph.folder / "data" / "sum-bb_ccc").read_text() == "5\n"
    events = graph("events")[1]
    assert "MISSING  number/bb" in events
    assert "SCHEDULED  number/bb  (LOST)" in events
    assert graph("events", "verify")[0] == 0
    # Number 'bb' has a new version.
    assert "(input changed: number/bb)" in graph("explain", "sum/a_bb")[1]


@pytest.mark.parametrize(
    ("lost", "policy", "made"),
    [
        ("bb", "none", ""),
        ("bb", "inputs", ""),
        ("bb", "requested", ""),
        ("bb", "all", "number/bb, sum/a_bb"),
    ],
)
def test_the_policy_says_what_is_looked_for_if_nothing_is_to_be_built(
    graph: ScriptGraph, lost: str, policy: str, made: str
) -> None:
    data(graph, lost).unlink()

    _, out, _ = graph("build", "sum/a_bb", f"--verify={policy}")

    assert (f"job runs: {made}\n" in out) if made else "job run" not in out


@pytest.mark.parametrize(("policy", "made"), [("inputs", False), ("requested", True)])
def test_requested_partitions_are_looked_for_if_requested(graph: ScriptGraph, policy: str, made: bool) -> None:
    data(graph, "bb").unlink()

    assert graph("build", "number/bb", f"--verify={policy}")[0] == 0
    assert data(graph, "bb").exists() is made


def test_without_the_check_the_job_fails(graph: ScriptGraph) -> None:
    data(graph, "bb").unlink()

    assert graph("build", "sum/bb_ccc", "--verify=none")[0] == 1
    assert "MISSING  number/bb" not in graph("events")[1]


def test_a_loss_makes_a_saved_plan_out_of_date(graph: ScriptGraph) -> None:
    graph("plan", "sum/bb_ccc", "--output=plan.pb")
    data(graph, "bb").unlink()

    code, _, err = graph("build", "--plan=plan.pb")

    assert code == 4
    assert "number/bb" in err
    assert graph("build", "sum/bb_ccc")[0] == 0


def test_a_lost_partition_that_no_build_needs_stays_lost(graph: ScriptGraph) -> None:
    data(graph, "bb").unlink()
    graph("build", "sum/a_ccc")

    assert not data(graph, "bb").exists()
    assert graph.json("partitions")[1]["counts"] == {"AVAILABLE": 5}


def test_a_folder_that_was_moved_away_is_no_loss(graph: ScriptGraph) -> None:
    names = [f"n{number}" for number in range(10)]
    graph("build", *(f"number/{name}" for name in names))
    (graph.folder / "data").rename(graph.folder / "elsewhere")

    code, _, err = graph("build", "sum/n1_n2")
    assert code == 3
    assert f"{graph.folder}/data does not exist, where 12 or more partitions were; its disk may not be mounted" in err
    assert "`partitions verify --confirm_losses`" in err
    assert not (graph.folder / "data").exists()
    code, found = graph.json("partitions", "verify")
    assert (code, {one["kind"] for one in found["findings"]}) == (1, {"unreadable"})
    assert "MISSING" not in graph.json("partitions")[1]["counts"]

    (graph.folder / "elsewhere").rename(graph.folder / "data")
    assert graph("partitions", "verify")[0] == 0
    assert "built 1 partition in 1 job run: sum/n1_n2\n" in graph("build", "sum/n1_n2")[1]


def test_a_confirmed_loss_of_a_folder_is_made_again(graph: ScriptGraph) -> None:
    graph("build", *(f"number/n{number}" for number in range(10)))
    (graph.folder / "data").rename(graph.folder / "elsewhere")

    code, found = graph.json("partitions", "verify", "--confirm_losses")

    assert (code, {one["kind"] for one in found["findings"]}) == (1, {"missing"})
    assert "built 3 partitions in 3 job runs: number/n1, number/n2, sum/n1_n2\n" in graph("build", "sum/n1_n2")[1]
