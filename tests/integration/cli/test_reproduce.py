"""`reproduce`: the description of a job run, and other runs of it in a scratch folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.number_programs import COMMIT, number_graph
from tests.support.script_graph import ScriptGraph


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[ScriptGraph]:
    (tmp_path / "workspace").mkdir()
    graph = number_graph(tmp_path / "workspace")
    yield graph
    graph.close()


def run_of(graph: ScriptGraph, *partitions: str, job: str = "sum", **environ: str) -> str:
    """Builds partitions, and returns the id of the first run of a job."""
    _, _, err = graph.run("build", *partitions, **environ)
    code, status = graph.json("logs", "latest")
    assert code == 0, err
    runs = [run["job_run_id"] for run in status["job_runs"] if run["job_label"] == f"//numbers:{job}"]
    assert runs, err
    return str(runs[0])


def reproduce(graph: ScriptGraph, job_run_id: str, *flags: str, **environ: str) -> tuple[int, Any]:
    code, out, err = run_again(graph, job_run_id, "--output=json", *flags, **environ)
    assert out, err
    return code, json.loads(out)


def run_again(graph: ScriptGraph, job_run_id: str, *flags: str, **environ: str) -> tuple[int, str, str]:
    return graph.run("reproduce", job_run_id, "--run", *flags, TMPDIR=str(graph.folder.parent), **environ)


def files(folder: Path) -> dict[str, tuple[str, int]]:
    """Returns the content and the modification time of each file below a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.read_text(), path.stat().st_mtime_ns) for path in paths}


def test_the_description_has_everything_that_another_run_needs(graph: ScriptGraph) -> None:
    job_run = run_of(graph, "sum/ab_c")

    code, described = graph.json("reproduce", job_run)
    assert code == 0
    facts = os.uname()
    assert described["origin"] == {
        "commit": COMMIT,
        "machine": facts.nodename,
        "platform": f"{facts.sysname} {facts.release} {facts.machine}",
        "working_directory": str(graph.folder),
    }
    assert (described["graph_label"], described["job_run"]["job_label"]) == ("//numbers:graph", "//numbers:sum")
    assert (described["code_digest"], described["args"]) == ("sum-1", ["ab", "c"])
    assert described["environment_names"] == ["UNIT"]
    first, second, absent = described["inputs"]
    assert first["version"] == first["current_version"] != second["version"]
    assert first["location"]["uri"] == (graph.folder / "data/number/ab").as_uri()
    assert first["metadata"] == {"path": f"{graph.folder}/data/number/ab"}
    assert (absent["ref"], absent["query"], absent["version"]) == ("other/absent", True, "")
    (output,) = described["outputs"]
    assert output["ref"] == "sum/ab_c"
    assert output["version"].startswith("sha256:")
    assert output["metadata"] == {"numbers": 2}
    assert described["command"] == (f"git checkout {COMMIT} && bazel run //numbers:graph -- reproduce {job_run} --run")


def test_the_text_has_the_names_of_variables_and_not_their_values(graph: ScriptGraph) -> None:
    job_run = run_of(graph, "sum/ab_c")

    code, out, _ = graph("reproduce", job_run)
    assert code == 0
    assert f"job run    {job_run} COMPLETED, exit code 0\n" in out
    assert "arguments  ab c\n" in out
    assert "variables  UNIT\n" in out
    assert "secret" not in out
    assert "input      other/absent (no record) (QUERY)\n" in out
    assert "variables  FROM_TARGET\n" in graph("reproduce", run_of(graph, "number/xyz", job="number"))[1]


def test_a_service_describes_as_the_command_line_does(graph: ScriptGraph) -> None:
    job_run = run_of(graph, "sum/ab_c")
    service = graph.serve()
    server = f"--server={service.addresses['grpc']}"

    for flags in ([], ["--output=json"]):
        assert graph("reproduce", job_run, *flags, server) == graph("reproduce", job_run, *flags)
    by_http = service.get(f"/job_runs/{job_run}/reproduction")
    assert (by_http["args"], by_http["origin"]["commit"]) == (["ab", "c"], COMMIT)
    assert service.ask("GET", "/api/v1/job_runs/nobody.1.1/reproduction")[0] == 404


@pytest.mark.parametrize(("partition", "job"), [("number/abc", "number"), ("sum/ab_c", "sum"), ("fast/ab_c", "fast")])
def test_another_run_makes_the_same_and_changes_nothing(graph: ScriptGraph, partition: str, job: str) -> None:
    job_run = run_of(graph, partition, job=job)
    before = files(graph.folder / "data")
    events = graph("events", "--all", "--output=json")

    code, result = reproduce(graph, job_run, f"--scratch_dir={graph.folder.parent}/scratch")
    assert result["refusals"] == []
    assert code == 0
    (output,) = result["another_run"]["outputs"]
    assert (output["ref"], output["same"]) == (partition, True)
    made = graph.folder.parent / f"scratch/root{graph.folder}/data/{partition}"
    assert output["path"] == str(made)
    assert made.read_text() == (graph.folder / "data" / partition).read_text()
    assert files(graph.folder / "data") == before
    assert graph("events", "--all", "--output=json") == events


def test_a_run_of_an_environment_reads_data_of_the_base(graph: ScriptGraph) -> None:
    graph.run("build", "number/ab", "number/c")
    in_environment = "--environment=pr-1"
    graph.run("build", "sum/ab_c", in_environment)
    (job_run,) = (run["job_run_id"] for run in graph.json("logs", "latest", in_environment)[1]["job_runs"])

    assert graph("reproduce", job_run)[0] == 2  # the base does not know it
    code, result = reproduce(graph, job_run, in_environment)
    assert (code, result["refusals"]) == (0, [])
    assert result["command"].endswith(f"reproduce {job_run} --run {in_environment}")
    assert result["another_run"]["outputs"][0]["same"] is True


def test_a_service_describes_a_run_of_an_environment_that_it_has_built(graph: ScriptGraph) -> None:
    service = graph.serve()
    server, in_environment = f"--server={service.addresses['grpc']}", "--environment=pr-1"
    assert graph.run("build", "number/ab", "number/c", server)[0] == 0
    assert graph.run("build", "sum/ab_c", in_environment, server)[0] == 0
    (job_run,) = (run["job_run_id"] for run in graph.json("logs", "latest", in_environment, server)[1]["job_runs"])

    for flags in ([], ["--output=json"]):
        described = graph("reproduce", job_run, in_environment, server, *flags)
        assert described[0] == 0, described
        assert described == graph("reproduce", job_run, in_environment, *flags)
    assert service.get(f"/job_runs/{job_run}/reproduction?environment=pr-1")["args"] == ["ab", "c"]
    path = f"/api/v1/job_runs/{job_run}/reproduction"
    assert service.ask("GET", path, **{"Databuild-Environment": "pr-1"})[0] == 200
    assert (service.ask("GET", path)[0], graph("reproduce", job_run, server)[0]) == (404, 2)
    code, result = reproduce(graph, job_run, in_environment)
    assert (code, result["refusals"], result["another_run"]["same"]) == (0, [], True)


def test_other_data_is_reported_as_different(graph: ScriptGraph) -> None:
    for partition, job in (("sum/ab_c", "sum"), ("number/abc", "number")):
        code, result = reproduce(graph, run_of(graph, partition, job=job), SALT="7")

        assert code == 1
        (output,) = result["another_run"]["outputs"]
        assert (output["same"], result["another_run"]["same"]) == (False, False)
        assert " before, sha256:" in output["detail"]
        assert result["another_run"]["exit_code"] == 0


def test_a_failure_is_reproduced_by_its_exit_code(graph: ScriptGraph) -> None:
    job_run = run_of(graph, "number/fails", job="number")

    code, out, _ = run_again(graph, job_run)
    assert code == 0
    assert "exit code  7 (the same): it ended with exit code 7\n" in out
    (folder,) = (line.split()[1] for line in out.splitlines() if line.startswith("folder "))
    assert (Path(folder) / "stderr").read_text() == "cannot make fails\n"


def test_an_exit_code_that_differs_is_reported(graph: ScriptGraph) -> None:
    job_run = run_of(graph, "number/fails", job="number")
    (graph.folder / "number").write_text("#!/bin/sh\nexit 8\n")  # its digest stays the same

    code, out, _ = run_again(graph, job_run)
    assert code == 1
    assert "exit code  8 (7 before): it ended with exit code 8\n" in out
    assert out.endswith("not reproduced\n")


def test_another_program_is_refused_with_the_commit_to_check_out(graph: ScriptGraph) -> None:
    job_run = run_of(graph, "sum/ab_c")
    (graph.folder / "sum.digest").write_text("sum-2\n")

    code, result = reproduce(graph, job_run)
    assert code == 2
    assert result["another_run"] is None
    (refusal,) = result["refusals"]
    assert refusal.startswith("the program of //numbers:sum has changed: its code digest was sum-1 and is sum-2 now; ")
    assert refusal.endswith(f"; check out the commit {COMMIT} and run this command again")


def test_changed_inputs_are_refused(graph: ScriptGraph) -> None:
    job_run = run_of(graph, "sum/ab_c")
    (graph.folder / "data/number/ab").unlink()
    (graph.folder / "data/number/c").write_text("1000\n")

    code, result = reproduce(graph, job_run)
    assert code == 2
    missing, changed = result["refusals"]
    assert missing.startswith("the data of the input 'number/ab' at file://")
    assert missing.endswith(" is missing")
    assert changed.endswith("/data/number/c is changed: 2 bytes are now 5")

    graph.run("build", "number/c", "--force")
    described = graph.json("reproduce", job_run)[1]
    assert "metadata" in described["inputs"][1]
    assert described["inputs"][1]["location"] is None
    code, out, _ = run_again(graph, job_run)
    assert code == 2
    assert "refused    the input 'number/c' had the version " in out


def test_an_output_that_was_made_again_cannot_be_compared(graph: ScriptGraph) -> None:
    job_run = run_of(graph, "number/abc", job="number")
    graph.run("build", "number/abc", "--force")

    code, result = reproduce(graph, job_run)
    assert code == 0
    (output,) = result["another_run"]["outputs"]
    assert output["same"] is None
    assert output["detail"] == "its job reports no digest, and its data is not there any more"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "reproduce takes one JOB_RUN, not 0"),
        (["nobody.1.1"], "there is no job run 'nobody.1.1'"),
        (["nobody.1.1", "--run"], "there is no job run 'nobody.1.1'"),
        (["nobody.1.1", "--scratch_dir=x"], "--scratch_dir is the folder of --run; give both"),
        (["nobody.1.1", "--run", "--server=localhost:1"], "--run works on this machine only"),
    ],
)
def test_requests_that_cannot_be_met_are_refused(graph: ScriptGraph, arguments: list[str], said: str) -> None:
    graph.run("build", "number/x")

    code, _, err = graph("reproduce", *arguments)
    assert code == 2
    assert said in err


def test_a_scratch_folder_with_files_is_refused(graph: ScriptGraph) -> None:
    job_run = run_of(graph, "sum/ab_c")

    code, _, err = run_again(graph, job_run, "--scratch_dir=data")
    assert code == 2
    assert "data is not empty; choose another one" in err


def test_runs_that_never_started_and_pruned_ones_cannot_be_reproduced(graph: ScriptGraph) -> None:
    skipped = run_of(graph, "sum/fails_c", job="sum")
    code, _, err = graph("reproduce", skipped)
    assert code == 2
    assert f"the job run {skipped} has never started (it is SKIPPED)" in err

    made = run_of(graph, "number/x", job="number")
    assert graph("prune", "--keep=0")[0] == 0
    code, _, err = graph("reproduce", made)
    assert code == 2
    assert "was pruned: the configurations of its job runs are gone" in err
