"""The command `prune`."""

from __future__ import annotations

import pytest

from tests.support.script_graph import ScriptGraph


def test_pruned_builds_are_reported_before_and_after(graph: ScriptGraph) -> None:
    graph("build")
    (graph.folder / "fail-x").touch()
    graph("build", "number/x")
    first = graph.json("builds")[1]["builds"][-1]
    logs = graph.folder / ".databuild" / "numbers" / "graph" / "logs"

    code, out, _ = graph("prune", "--keep=1", "--dry_run")
    tried = graph.json("prune", "--keep=1", "--dry_run")[1]
    assert code == 0
    assert first["build_request_id"] in out
    assert f"would prune 1 build ({first['last_sequence']} events, " in out
    assert graph.json("builds")[1]["builds"][-1] == first
    done = graph.json("prune", "--keep=1")[1]

    assert {**done, "dry_run": True, "given_back_bytes": 0} == tried
    assert done["builds"] == [first["build_request_id"]]
    assert [folder.name for folder in logs.iterdir()] == [graph.json("status")[1]["build_request_id"]]
    pruned = graph.json("status", first["build_request_id"])[1]
    assert pruned["pruned_time"] > 0
    assert pruned["jobs_completed"] == 3
    assert "pruned" in graph("events", first["build_request_id"])[2]
    assert "nothing to do" in graph("build")[1]
    assert "made by    " in graph("explain", "number/c")[1]
    assert graph("prune", "--keep=9")[1] == "pruned 0 builds (0 events, 0 B) and the job logs of 0 builds (0 B)\n"


def test_job_logs_are_pruned_by_their_age_alone(graph: ScriptGraph) -> None:
    graph("build")
    assert graph("prune", "--logs_older_than=1w")[1].endswith("the job logs of 0 builds (0 B)\n")

    result = graph.json("prune", "--logs_older_than=0s")[1]

    assert (result["builds"], result["log_builds"]) == ([], 1)
    assert "pruned for their age" in graph("logs")[2]
    assert graph("events")[0] == 0


def test_a_retry_of_what_was_pruned_knows_what_was_asked_for_and_not_what_failed(graph: ScriptGraph) -> None:
    (graph.folder / "fail-c").touch()
    graph("build", "number/c")
    graph("prune", "--keep=0")
    (graph.folder / "fail-c").unlink()

    code, _, err = graph("retry", "--failed_jobs_only")

    assert code == 2
    assert "was pruned: which of its jobs failed is not known any more" in err
    assert graph.json("retry")[1]["built"] == ["number/c"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "--older_than=DURATION"),
        (["latest"], "prune takes only flags, not 'latest'"),
        (["--older_than=30"], "--older_than=30 is not a duration"),
        (["--logs_older_than=month"], "--logs_older_than=month is not a duration"),
        (["--keep=-1"], "keep"),
        (["--keep=1", "--event_log=memory:"], "nothing to read"),
    ],
)
def test_a_prune_with_wrong_arguments_says_why(graph: ScriptGraph, args: list[str], said: str) -> None:
    code, out, err = graph("prune", *args)

    assert (code, out) == (2, "")
    assert said in err
