"""The command `partitions adopt`, from files and from another state directory."""

from __future__ import annotations

import pytest

from tests.support.script_graph import ScriptGraph


def test_adopted_data_is_used_as_it_is_and_explained(graph: ScriptGraph) -> None:
    (graph.folder / "data").mkdir()
    (graph.folder / "data" / "number-ab").write_text("2\n")

    code, result = graph.json("partitions", "adopt", "number/ab", "--reason=moved from the old place", "--author=ann")

    assert code == 0
    assert result["partitions"] == ["number/ab"]
    assert (result["author"], result["reason"]) == ("ann", "moved from the old place")
    _, out, _ = graph("build")
    assert "built 2 partitions in 2 job runs: number/c, sum/ab_c\nused 1 partition that was adopted: number/ab\n" in out
    (graph.folder / "number.digest").write_text("number-2\n")
    _, out, _ = graph("explain", "number/ab")
    assert " UTC by ann: moved from the old place\n" in out
    assert "made by" not in out
    assert "a build    would use it as it is (up to date)\n" in out
    assert "yes, adopted" in graph("partitions", "number/ab")[1]
    assert graph.json("explain", "number/ab")[1]["record"]["adoption"]["author"] == "ann"
    assert graph.json("explain", "sum/ab_c")[1]["record"]["manifest"]["inputs"][0]["version"] == result["version"]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["number/x"], 2, "--reason=TEXT"),
        (["--reason=r"], 2, "at least one REF"),
        (["numbre/x", "--reason=r"], 2, "did you mean the pattern 'number/{name}'?"),
        (["number/c", "number/x", "--reason=r"], 2, "'number/c' cannot be adopted, since it is available already"),
        (["number/c", "number/x", "--reason=r", "--force"], 0, ""),
    ],
)
def test_an_adoption_that_cannot_be_says_why(graph: ScriptGraph, args: list[str], code: int, said: str) -> None:
    graph("build", "number/c")

    ended, _, err = graph("partitions", "adopt", *args)

    assert (ended, "databuild: " in err) == (code, bool(code))
    assert said in err
    assert ("number/x" in graph("partitions")[1]) is not code


@pytest.fixture
def renamed(graph: ScriptGraph) -> ScriptGraph:
    """The graph after it was built, and then renamed."""
    graph("build", "sum/ab_c", "number/old")
    graph("partitions", "adopt", "number/hand", "--reason=made by hand", "--author=bob")
    graph("taint", "number/old")
    graph.write_catalog(graph_label="//numbers:renamed")
    return graph


OLD_STATE = ".databuild/numbers/graph"


@pytest.mark.parametrize("command", ["plan", "build"])
def test_a_new_state_directory_names_others_that_know_the_partitions(renamed: ScriptGraph, command: str) -> None:
    old = renamed.folder / OLD_STATE
    code, _, err = renamed(command)

    assert code == 0
    assert f"the state directory {renamed.folder}/.databuild/numbers/renamed is new, and others have" in err
    assert f"databuild:   {old} (for example number/ab)\n" in err
    assert f"--state_dir={old} uses it; `bazel run //numbers:renamed -- partitions adopt --from={old}`" in err


def test_others_are_named_while_the_state_directory_is_new_and_nobody_chose_one(renamed: ScriptGraph) -> None:
    chosen = renamed("plan", "--state_dir=elsewhere")[2]
    renamed("build")
    again = renamed("build")[2]

    assert "is new" not in chosen + again


def test_others_that_know_nothing_of_the_graph_or_cannot_be_read_are_not_named(renamed: ScriptGraph) -> None:
    (renamed.folder / ".databuild" / "broken").mkdir()
    (renamed.folder / ".databuild" / "broken" / "events.db").write_text("no database, and long enough to be none\n" * 9)
    only = renamed("plan")[2]
    renamed.jobs[0]["outputs"] = ["figure/{name}"]
    renamed.jobs[1]["outputs"] = ["total/{names}"]
    renamed.write_catalog(graph_label="//numbers:renamed", default_partitions=["figure/x"])
    none = renamed("plan")[2]

    assert only.count("databuild:   ") == 1
    assert "is new" not in none


def test_records_of_another_state_directory_are_taken_over_and_nothing_is_built_again(renamed: ScriptGraph) -> None:
    code, taken = renamed.json("partitions", "adopt", f"--from={OLD_STATE}", "--author=ann")

    assert code == 0
    assert (taken["adopted"], taken["already_available"], taken["not_available"], taken["not_produced"]) == (4, 0, 1, 0)
    assert "nothing to do: 3 partitions available and fresh" in renamed("plan")[1]
    assert renamed.json("build")[1]["jobs_completed"] == 0
    record = renamed.json("explain", "sum/ab_c")[1]["record"]
    assert [known["ref"] for known in record["manifest"]["inputs"]] == ["number/ab", "number/c"]
    assert record["adoption"]["reason"] == f"taken over from {renamed.folder}/{OLD_STATE}"
    assert " UTC by bob: made by hand\n" in renamed("explain", "number/hand")[1]
    assert renamed("events", "verify")[0] == 0


def test_records_taken_over_become_stale_like_those_of_builds(renamed: ScriptGraph) -> None:
    renamed("partitions", "adopt", f"--from={OLD_STATE}")
    (renamed.folder / "sum.digest").write_text("sum-2\n")

    _, plan = renamed.json("plan", "sum/ab_c", "number/hand")
    reasons = {one["ref"]: one["reason"] for one in plan["partitions"]}
    assert reasons["sum/ab_c"].endswith("CODE_CHANGED")
    assert reasons["number/ab"].endswith("UP_TO_DATE")
    assert renamed.json("build", "sum/ab_c")[1]["jobs_completed"] == 1
    (renamed.folder / "number.digest").write_text("number-2\n")
    assert renamed.json("build", "sum/ab_c", "number/hand")[1]["jobs_completed"] == 3


def test_existing_records_stay_and_a_second_adoption_takes_over_the_rest(renamed: ScriptGraph) -> None:
    first = renamed.json("partitions", "adopt", f"--from={OLD_STATE}", "number/{name}", "sum/a_b")[1]
    second = renamed.json("partitions", "adopt", f"--from={OLD_STATE}")[1]
    code, out, _ = renamed("partitions", "adopt", f"--from={OLD_STATE}", "--force")

    assert (first["adopted"], second["adopted"], second["already_available"]) == (3, 1, 3)
    assert code == 0
    assert out == (
        f"took over 4 partitions from {renamed.folder}/{OLD_STATE}; builds treat them as if built here\n"
        "  left out 1 partition not available there, or tainted there\n"
    )


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["adopt", "--from=nowhere"], "--from=nowhere is not a state directory"),
        (["adopt", "--from=.databuild/numbers/renamed"], "is the state directory of this command"),
        (["adopt", f"--from={OLD_STATE}", "number/none"], "has no partition that matches number/none"),
        (["adopt", f"--from={OLD_STATE}", "numbre/x"], "did you mean the pattern 'number/{name}'?"),
        (["adopt", f"--from={OLD_STATE}", "number/{name"], "is not a field"),
        (["adopt", f"--from={OLD_STATE}", "--event_log=memory:"], "loses the copied records"),
        ([f"--from={OLD_STATE}"], "--from is for `partitions adopt"),
        (["adopt", f"--from={OLD_STATE}", "--server=localhost:1"], "to an event log of this machine"),
    ],
)
def test_a_refused_takeover_says_why_and_leaves_nothing(renamed: ScriptGraph, args: list[str], said: str) -> None:
    own = "--from=.databuild/numbers/renamed" in args
    if own:
        renamed("build", "number/c")
    code, _, err = renamed("partitions", *args)

    assert code == 2
    assert said in err
    assert (renamed.folder / ".databuild" / "numbers" / "renamed").exists() is own


def test_a_dead_build_does_not_keep_its_partitions_from_adoption(graph: ScriptGraph) -> None:
    (graph.folder / "hang-c").touch()
    running = graph.start("build", "number/c")
    graph.wait_for("pid-c")
    running.kill()
    running.communicate()

    code, _, err = graph("partitions", "adopt", "number/c", "--reason=made by hand")

    assert code == 0, err
    assert graph.json("status")[1]["status"] == "FAILED"
    assert "would use it as it is" in graph("explain", "number/c")[1]
