"""Environments at the command line: real jobs, with data of the base and of environments in one data root."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgresql.server import Server
from tests.support.script_graph import ScriptGraph, ServedGraph

ROOT = Path(__file__).parents[3]

NUMBER = f"""#!{sys.executable} -I
import os, pathlib, sys
sys.path.insert(0, {str(ROOT)!r})
from databuild.job import Config, Run, main

def config(refs):
    return [Config(outputs=[ref]) for ref in refs]

def run(run: Run) -> None:
    for output in run.outputs:
        path = pathlib.Path(run.location(output.ref))
        path.parent.mkdir(parents=True, exist_ok=True)
        text = pathlib.Path("factor").read_text().strip() + output.ref[-1]
        path.write_text(text)
        print("made", output.ref)
        run.metric("length", len(text))
        run.check("short", len(text) < 3, severity="warning", ref=output.ref)
        run.finished(output.ref, uri=path, value=int(text), rows=len(text))

main(config, run)
"""

SUM = f"""#!{sys.executable} -I
import pathlib, sys
sys.path.insert(0, {str(ROOT)!r})
from databuild.job import Config, Run, main

def config(refs):
    return [Config(outputs=[ref], materialize=[f"number/{{n}}" for n in ref[4:].split("_")]) for ref in refs]

def run(run: Run) -> None:
    total = sum(int(pathlib.Path(run.location(used.ref)).read_text()) for used in run.inputs)
    path = pathlib.Path(run.location(run.output.ref))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(total))
    run.finished(run.output.ref, uri=path, value=total)

main(config, run)
"""


class Workspace(ScriptGraph):
    """A graph whose numbers depend on a file that stands for the code of the job."""

    def __init__(self, folder: Path, *flags: str, served: bool = False) -> None:
        super().__init__(folder, default_partitions=("sum/1_2",))
        self.flags = flags
        self.served = served
        self.service: ServedGraph | None = None
        for name, script in (("number", NUMBER), ("sum", SUM)):
            (folder / name).write_text(script)
        self.switch_to("1")

    def __call__(self, *args: str) -> tuple[int, str, str]:
        if self.served and self.service is None:
            self.service = self.serve(*self.flags)
        flags = [f"--server={self.service.addresses['grpc']}"] if self.service else self.flags
        return super().__call__(*args, *flags)

    def switch_to(self, code: str, job: str = "number") -> None:
        """Changes the code of a job, as a checkout of another branch does. A service is started again."""
        if job == "number":
            (self.folder / "factor").write_text(code)
        (self.folder / f"{job}.digest").write_text(f"{job}-{code}\n")
        if self.service is not None:
            self.service.end()
            self.service = None

    def data(self) -> dict[str, str]:
        """Returns the content of each file of data, by path."""
        root = self.folder / "data"
        files = sorted(path for path in root.rglob("*") if path.is_file())
        return {str(path.relative_to(root)): path.read_text() for path in files}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture(params=["sqlite", "postgresql", "service"])
def graph(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.chdir(tmp_path)
    flags: tuple[str, ...] = ()
    if request.param == "postgresql":
        flags = (f"--event_log={request.getfixturevalue('server').new_database()}",)
    graph = Workspace(tmp_path, *flags, served=request.param == "service")
    yield graph
    graph.close()


BASE = {"number/1": "11", "number/2": "12", "sum/1_2": "23"}
"""The data of the base."""

IN_PR = {".environments/pr-1/number/1": "21", ".environments/pr-1/number/2": "22", ".environments/pr-1/sum/1_2": "43"}
"""The data of the environment with the code `2`."""


def built_in_both(graph: Workspace) -> None:
    graph("build")
    graph.switch_to("2")
    assert graph("build", "--environment=pr-1")[0] == 0


def test_an_environment_uses_what_the_base_has_and_builds_what_differs_apart_from_it(graph: Workspace) -> None:
    graph("build")
    assert "nothing to do" in graph("plan", "--environment=pr-1")[1]
    code, result = graph.json("build", "--environment=pr-1", "number/1", "number/3")
    assert (code, result["built"]) == (0, ["number/3"])
    graph.switch_to("2")

    code, result = graph.json("build", "--environment=pr-1", "sum/1_2")

    assert (code, sorted(result["built"])) == (0, ["number/1", "number/2", "sum/1_2"])
    assert graph.data() == BASE | {".environments/pr-1/number/3": "13"} | IN_PR
    graph.switch_to("1")
    assert "nothing to do" in graph("plan")[1]


def test_a_job_in_an_environment_reads_unchanged_inputs_from_the_place_of_the_base(graph: Workspace) -> None:
    graph("build")
    graph.switch_to("2", "sum")

    _, result = graph.json("build", "--environment=pr-1")

    assert result["built"] == ["sum/1_2"]
    assert graph.data() == BASE | {".environments/pr-1/sum/1_2": "23"}


def test_a_job_that_writes_to_the_place_of_the_base_is_named_in_a_warning(graph: Workspace) -> None:
    program = (graph.folder / "number").read_text()
    (graph.folder / "number").write_text(program.replace("run.location(output.ref)", 'f"data/{output.ref}"'))
    assert "wrote to the places of the base" not in graph("build", "number/1")[2]
    assert "wrote to the places of the base" not in graph("build", "number/2", "--environment=pr-1")[2]
    graph.switch_to("2")

    code, _, err = graph("build", "number/1", "--environment=pr-1")

    assert code == 0
    assert (
        "warning: jobs of the environment 'pr-1' wrote to the places of the base, so that its data of 1 partition is "
        f"replaced: 'number/1' at file://{graph.folder}/data/number/1; `run.location` and the variable "
        "DATABUILD_ENVIRONMENT give jobs a place for each environment\n"
    ) in err


def test_what_was_made_from_changed_data_without_a_record_is_promoted_after_the_record(graph: Workspace) -> None:
    graph("build")
    (graph.folder / "data" / "number" / "1").write_text("77")
    graph.switch_to("2", "sum")
    graph("build", "--environment=pr-1")

    code, _, err = graph("environments", "promote", "pr-1", "sum/1_2")

    assert code == 2
    assert (
        "its input 'number/1' had changed in its store, and the base has no record of the change; verify the data of "
        "the base, and build in the environment again"
    ) in err
    graph("partitions", "verify", "--changed=adopt")
    graph("build", "--environment=pr-1")
    assert graph("environments", "promote", "pr-1", "sum/1_2")[0] == 0


def test_a_plan_says_what_other_code_would_rebuild_and_makes_no_environment(graph: Workspace) -> None:
    graph("build")
    graph.switch_to("2")

    code, plan = graph.json("plan", "--environment=pr-1")

    reasons = {partition["ref"]: partition["reason"] for partition in plan["partitions"]}
    assert (code, reasons["number/1"], reasons["sum/1_2"]) == (0, "CODE_CHANGED", "INPUT_CHANGED")
    assert graph.json("environments") == (0, {"environments": []})


def test_builds_logs_and_records_are_those_of_the_environment(graph: Workspace) -> None:
    built_in_both(graph)

    (build,) = graph.json("builds", "--environment=pr-1")[1]["builds"]
    (base_build,) = graph.json("builds")[1]["builds"]
    assert build["build_request_id"] != base_build["build_request_id"]
    assert graph.json("status", "--environment=pr-1")[1]["build_request_id"] == build["build_request_id"]
    (first, *_) = graph("events", "--environment=pr-1", "--output=json")[1].splitlines()
    assert '"environment":"pr-1"' in first.replace(": ", ":")
    own = graph.json("partitions", "--environment=pr-1")[1]["partitions"]
    base = graph.json("partitions")[1]["partitions"]
    assert [one["metadata"]["value"] for one in own] == [21, 22, 43]
    assert [one["metadata"]["value"] for one in base] == [11, 12, 23]
    assert "sum/1_2" in graph("downstream", "number/1", "--environment=pr-1")[1]
    assert graph("explain", "sum/1_2", "--environment=pr-1")[0] == 0
    assert "up to date" in graph("explain", "sum/1_2", "--environment=pr-1")[1]


def test_logs_of_runs_in_the_base_are_shown_in_an_environment(graph: Workspace) -> None:
    graph("build", "number/1")
    graph("build", "--environment=pr-1", "number/2")
    record, _ = graph.json("partitions", "number/", "--environment=pr-1")[1]["partitions"]

    code, out, _ = graph("logs", record["job_run_id"], "--environment=pr-1")

    assert (code, "made number/1" in out) == (0, True)


def test_taints_and_losses_in_an_environment_do_not_concern_the_base(graph: Workspace) -> None:
    graph("build")
    assert graph("taint", "number/1", "--environment=pr-1", "--reason=wrong")[0] == 0

    assert "nothing to do" in graph("plan")[1]
    assert sorted(graph.json("build", "--environment=pr-1")[1]["built"]) == ["number/1", "sum/1_2"]
    (graph.folder / "data" / "number" / "2").unlink()
    graph.switch_to("2", "sum")
    code, result = graph.json("build", "--environment=pr-2")
    assert (code, sorted(result["built"])) == (0, ["number/2", "sum/1_2"])
    assert "number/2" not in graph.data()
    assert graph.data()[".environments/pr-2/number/2"] == "12"


def test_a_difference_shows_what_readers_of_the_data_would_see(graph: Workspace) -> None:
    built_in_both(graph)

    code, result = graph.json("environments", "diff", "pr-1", "number/1")

    assert (code, result["counts"]) == (0, {"NEW": 0, "CHANGED": 1, "SAME": 0})
    differences = {one["subject"]: (one["base"], one["environment"]) for one in result["partitions"][0]["differences"]}
    assert differences["metadata value"] == ("11", "21")
    assert differences["code"] == ("number-1", "number-2")
    assert "metadata rows" not in differences
    assert "metric length" not in differences
    text = graph("environments", "diff", "pr-1")[1]
    assert "  metadata value: 23 -> 43\n" in text
    assert text.endswith("3 partitions of pr-1: 3 changed, 0 new, 0 the same\n")


def test_metrics_and_checks_of_pruned_builds_are_not_compared(graph: Workspace) -> None:
    built_in_both(graph)
    assert graph("prune", "--keep=0")[0] == 0

    _, result = graph.json("environments", "diff", "pr-1", "number/1")

    subjects = [one["subject"] for one in result["partitions"][0]["differences"]]
    assert subjects == ["code", "content", "metadata value"]


def test_promoted_partitions_are_up_to_date_in_the_base_and_survive_the_removal(graph: Workspace) -> None:
    built_in_both(graph)

    code, promotion = graph.json("environments", "promote", "pr-1", "--reason=merged")

    assert (code, promotion["promoted"]) == (0, ["number/1", "number/2", "sum/1_2"])
    assert promotion["author"] == "ann"
    assert "nothing to do" in graph("plan")[1]
    assert graph.json("environments", "promote", "pr-1")[1]["promoted"] == []
    assert graph("environments", "promote", "pr-1")[1] == "nothing to promote: the base has all data of pr-1 already\n"
    code, removed = graph.json("environments", "remove", "pr-1", "--delete_data")
    assert (code, removed["deleted"], len(removed["kept"])) == (0, [], 3)
    assert "nothing to do" in graph("plan")[1]
    assert graph.json("build", "sum/1_2_3")[1]["built"] == ["number/3", "sum/1_2_3"]
    assert graph.data()["sum/1_2_3"] == "66"


def test_only_what_the_asking_code_has_made_from_inputs_of_the_base_is_promoted(graph: Workspace) -> None:
    built_in_both(graph)

    code, _, err = graph("environments", "promote", "pr-1", "sum/1_2")
    assert code == 2
    assert "its input 'number/1' is another one in the base; promote it as well" in err
    graph.switch_to("3")
    code, result = graph.json("environments", "promote", "pr-1")
    assert (code, result["promoted"]) == (0, [])
    assert "other code of //numbers:number has made it" in result["left_out"]["number/1"]
    assert graph("environments", "promote", "pr-1")[1].startswith("promoted nothing of pr-1\n  left out number/1: ")
    graph.switch_to("1")
    assert "nothing to do" in graph("plan")[1]


def test_what_is_older_than_the_base_is_not_promoted(graph: Workspace) -> None:
    graph("build")
    graph.switch_to("2", "sum")
    graph("build", "--environment=pr-1")
    graph("build", "number/1", "--force")

    code, _, err = graph("environments", "promote", "pr-1", "sum/1_2")

    assert code == 2
    assert "its input 'number/1' is another one in the base" in err


def test_refused_commands_make_no_environment(graph: Workspace) -> None:
    graph("build")

    for command in (
        ("retry",),
        ("build", "nothing"),
        ("build", "number/1", "--exporter=nowhere:"),
        ("build", "number/1", "--notify=nowhere"),
        ("taint", "number/9", "--reason=x"),
        ("partitions", "adopt", "nothing", "--reason=x"),
    ):
        code, _, err = graph(*command, "--environment=pr-1")
        assert (code, err.count("\n")) == (2, 1), command
        assert graph.json("environments")[1]["environments"] == [], command


def test_a_removed_environment_leaves_nothing_behind(graph: Workspace) -> None:
    built_in_both(graph)
    graph("build", "--environment=pr-2", "number/9")

    assert [one["name"] for one in graph.json("environments")[1]["environments"]] == ["pr-1", "pr-2"]
    code, removed = graph.json("environments", "remove", "pr-1", "--delete_data")

    assert (code, len(removed["deleted"]), removed["kept"]) == (0, 3, {})
    assert graph.data() == BASE | {".environments/pr-2/number/9": "29"}
    assert not (graph.folder / "data/.environments/pr-1").exists()
    assert [one["name"] for one in graph.json("environments")[1]["environments"]] == ["pr-2"]
    assert graph("environments", "remove", "pr-1")[0] == 2
    assert "there are pr-2" in graph("environments", "diff", "pr-1")[2]


def test_a_removed_environment_leaves_no_tokens_and_unfinished_files(graph: Workspace) -> None:
    built_in_both(graph)
    run = graph.json("explain", "sum/1_2", "--environment=pr-1")[1]["record"]["job_run_id"]
    place = graph.folder / "data/.environments/pr-1"
    (place / "number/.1.token").write_text(f"{7:020}")
    (place / f"sum/.{run}.7.99.partial.1_2").write_text("half")

    code, removed = graph.json("environments", "remove", "pr-1", "--delete_data")

    assert (code, len(removed["deleted"]), removed["kept"]) == (0, 3, {})
    assert graph.data() == BASE
    assert not place.exists()


def test_data_outside_of_the_place_of_an_environment_is_never_deleted(graph: Workspace) -> None:
    built_in_both(graph)
    place = graph.folder / "data/.environments/pr-1"
    outside = graph.folder / "outside"
    outside.mkdir()
    (outside / "1").write_text("precious")
    (place / "number").rename(graph.folder / "moved")
    (place / "number").symlink_to(outside)

    code, removed = graph.json("environments", "remove", "pr-1", "--delete_data")

    assert (code, len(removed["deleted"]), len(removed["kept"])) == (0, 1, 2)
    assert (outside / "1").read_text() == "precious"


@pytest.mark.parametrize("action", ["forget", "delete", "clean"])
def test_data_of_single_partitions_is_not_removed_in_an_environment(graph: Workspace, action: str) -> None:
    graph("build", "number/1")
    partitions = () if action == "clean" else ("number/1", "--reason=x")
    yes = ("--yes",) if action == "delete" else ()

    code, _, err = graph("partitions", action, *partitions, *yes, "--environment=pr-1")

    assert (code, "`environments remove pr-1` removes it" in err) == (2, True), err
    assert graph.data() == {"number/1": "11"}


@pytest.mark.parametrize("name", ["../x", "Main", "", ".hidden", "a/b", "x" * 41])
def test_invalid_names_are_refused(graph: Workspace, name: str) -> None:
    code, _, err = graph("environments", "diff", name)

    assert code == 2
    assert "is not a valid name of an environment" in err
    if name:
        assert graph("build", f"--environment={name}")[0] == 2


@pytest.mark.parametrize(
    "command",
    [
        "builds",
        "status",
        "events",
        "events verify",
        "partitions",
        "partitions verify",
        "explain number/1",
        "cancel latest",
    ],
)
def test_an_environment_that_does_not_exist_is_not_read(graph: Workspace, command: str) -> None:
    graph("build")
    graph("build", "--environment=pr-1", "--build_request_id=first", "number/3")

    code, out, err = graph(*command.split(), "--environment=pr-2")

    assert (code, out) == (2, "")
    assert err.startswith("databuild: there is no environment 'pr-2'; there are pr-1")
    assert [one["name"] for one in graph.json("environments")[1]["environments"]] == ["pr-1"]
