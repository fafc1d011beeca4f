"""The command `retry`."""

from __future__ import annotations

from tests.support.script_graph import ScriptGraph


def test_a_retry_builds_what_was_not_finished(graph: ScriptGraph) -> None:
    (graph.folder / "fail-c").touch()
    _, failed = graph.json("build", "-k")
    (graph.folder / "fail-c").unlink()

    code, again = graph.json("retry")

    assert code == 0
    assert again["built"] == ["number/c", "sum/ab_c"]
    assert graph.json("status")[1]["retry_of_build_request_id"] == failed["build_request_id"]


def test_a_retry_of_failed_jobs_only_stops_there(graph: ScriptGraph) -> None:
    (graph.folder / "fail-c").touch()
    graph("build", "-k")
    (graph.folder / "fail-c").unlink()

    _, again = graph.json("retry", "latest", "--failed_jobs_only")

    assert again["requested"] == again["built"] == ["number/c"]


def test_a_completed_build_needs_no_retry(graph: ScriptGraph) -> None:
    graph("build")

    code, _, err = graph("retry")

    assert code == 2
    assert "nothing to retry" in err
