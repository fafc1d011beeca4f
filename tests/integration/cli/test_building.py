"""The command `build`: the partitions that it builds, those that it keeps, and its output."""

from __future__ import annotations

import pytest

from tests.support.script_graph import ENVIRONMENT, GRAPH, NUMBER, ScriptGraph


def test_a_build_without_arguments_builds_the_default_partitions(graph: ScriptGraph) -> None:
    code, out, err = graph()

    assert code == 0, err
    assert (graph.folder / "data" / "sum-ab_c").read_text() == "3\n"
    assert "built 3 partitions in 3 job runs: number/ab, number/c, sum/ab_c" in out
    build = err.splitlines()[0].removeprefix("databuild: build ")
    assert out.splitlines()[-1].startswith(f"build {build} COMPLETED in ")


def test_a_repeat_runs_nothing_and_names_the_past_build(graph: ScriptGraph) -> None:
    _, first = graph.json("build")
    code, second = graph.json("build")

    assert code == 0
    assert second["jobs_completed"] == 0
    assert second["built"] == []
    assert second["delegated"] == {first["build_request_id"]: ["sum/ab_c"]}
    assert "took 1 partition from build" in graph("build")[1]


def test_a_changed_job_is_run_again_with_what_depends_on_it(graph: ScriptGraph) -> None:
    graph("build")
    (graph.folder / "sum.digest").write_text("sum-2\n")

    _, result = graph.json("build")

    assert result["built"] == ["sum/ab_c"]


def test_a_failed_job_is_told_with_its_stderr_and_the_next_steps(graph: ScriptGraph) -> None:
    (graph.folder / "fail-c").touch()

    code, out, _ = graph("build", "--keep_going")

    assert code == 1
    assert "FAILED //numbers:number" in out
    assert "USER: ended with exit code 7" in out
    assert "    cannot make c\n" in out
    assert f"`bazel run {GRAPH} -- retry " in out


def test_a_failed_build_as_json(graph: ScriptGraph) -> None:
    (graph.folder / "fail-c").touch()

    code, result = graph.json("build", "-k")

    assert code == result["exit_code"] == 1
    assert result["status"] == "FAILED"
    assert result["built"] == ["number/ab"]
    assert result["not_built"] == ["number/c", "sum/ab_c"]
    assert result["failures"][0]["exit_code"] == 7
    assert result["failures"][0]["stderr_tail"] == ["//numbers:number, attempt 1", "cannot make c"]


@pytest.mark.parametrize("argument", ["nubmer/x", "stauts", "number/"])
def test_a_partition_that_no_job_produces_is_refused(graph: ScriptGraph, argument: str) -> None:
    code, out, err = graph(argument)

    assert (code, out) == (2, "")
    assert argument in err
    assert "did you mean" in err or argument == "number/"
    assert "Traceback" not in err
    assert graph("builds")[1] == "no builds\n"


def test_a_job_has_the_environment_of_its_program_unless_its_config_says_otherwise(graph: ScriptGraph) -> None:
    script = NUMBER.replace(ENVIRONMENT, r"\"B\": \"config\", \"CONFIG_SAW\": \"$A$B\"")
    (graph.folder / "number").write_text(script.replace('echo "making $name"', 'echo "$CONFIG_SAW $A$B"'))
    graph.jobs[0]["environment"] = {"A": "a", "B": "b"}
    graph.write_catalog()

    code, _, err = graph("build", "number/x")
    _, logs, _ = graph("logs", "latest")

    assert code == 0, err
    assert "ab aconfig" in logs


def test_a_config_that_fails_is_a_failed_job(graph: ScriptGraph) -> None:
    (graph.folder / "number").write_text("#!/bin/bash\necho broken >&2\nexit 3\n")

    code, _, err = graph("build")

    assert code == 1
    assert "config of //numbers:number" in err
    assert "broken" in err


def test_a_build_in_memory_leaves_no_event_log(graph: ScriptGraph) -> None:
    code, _, _ = graph("build", "--event_log=memory:")

    assert code == 0
    assert not (graph.folder / ".databuild" / "numbers" / "graph" / "events.db").exists()


def test_a_graph_of_another_repository_has_a_state_directory_of_its_own(graph: ScriptGraph) -> None:
    for label in ("@acme//numbers:graph", "@acme//:graph", "//:graph"):
        graph.write_catalog(graph_label=label)
        assert graph("build", "number/x")[0] == 0

    for folder in ("@acme/numbers/graph", "@acme/graph", "graph"):
        assert (graph.folder / ".databuild" / folder / "events.db").exists()


def test_a_build_has_the_id_that_was_chosen_once(graph: ScriptGraph) -> None:
    assert graph("build", "--build_request_id=nightly-1")[0] == 0
    code, _, err = graph("build", "--force", "--build_request_id=nightly-1")

    assert code == 2
    assert "build nightly-1 exists, with status COMPLETED" in err
    assert graph.json("status", "nightly-1")[1]["status"] == "COMPLETED"
    assert graph("build", "--event_log=memory:", "--build_request_id=nightly-1")[0] == 0


@pytest.mark.parametrize("chosen", ["../../../elsewhere", "a/b", "a.b", "latest"])
def test_an_id_that_cannot_be_one_builds_nothing(graph: ScriptGraph, chosen: str) -> None:
    code, _, err = graph("build", f"--build_request_id={chosen}")

    assert code == 2
    assert "is not a valid build id" in err
    assert not (graph.folder / "data").exists()
    assert not (graph.folder / ".databuild").exists()


def test_a_state_directory_that_cannot_be_made_is_named(graph: ScriptGraph) -> None:
    (graph.folder / "file").touch()

    code, _, err = graph("build", "--state_dir=file/state")

    assert code in {2, 3}
    assert "file/state" in err
    assert "Traceback" not in err


def test_a_log_that_cannot_be_opened_is_told_of_without_a_build(graph: ScriptGraph) -> None:
    code, _, err = graph("build", "--event_log=sqlite:/dev/null/events.db")

    assert code == 3
    assert "sqlite:/dev/null/events.db" in err
    assert "build 2" not in err
