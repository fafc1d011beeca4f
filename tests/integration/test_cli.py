"""The command line from end to end, with real jobs in bash, a real event log and real signals."""

import io
import json
import os
import signal
import sqlite3
import subprocess
import time

import pytest

from databuild.cli.display.output import Output
from databuild.cli.main import run
from databuild.event_log import liveness
from databuild.executors.process_group import living_members
from tools.python import child

GRAPH = "//numbers:graph"
PROGRAM = "from databuild.cli.main import main; main()"

NUMBER = r"""#!/bin/bash
set -euo pipefail
if [[ "$1" == config ]]; then
  shift
  printf '{"configs": ['
  separator=''
  for ref in "$@"; do
    printf '%s{"outputs": [{"str": "%s"}], "args": ["%s"], "env": {}}' "$separator" "$ref" "${ref#number/}"
    separator=', '
  done
  printf ']}\n'
  exit 0
fi
name="$2"
echo "making $name"
if [[ -e "fail-$name" ]]; then echo "cannot make $name" >&2; exit 7; fi
while [[ -e "wait-$name" ]]; do echo waiting > "waiting-$name"; sleep 0.05; done
if [[ -e "hang-$name" ]]; then echo $$ > "pid-$name"; sleep 60; fi
mkdir -p data
echo "${#name}" > "data/number-$name"
"""

SUM = r"""#!/bin/bash
set -euo pipefail
if [[ "$1" == config ]]; then
  shift
  printf '{"configs": ['
  separator=''
  for ref in "$@"; do
    inputs='' comma=''
    IFS=_ read -ra names <<< "${ref#sum/}"
    for name in "${names[@]}"; do
      inputs+="$comma{\"dep_type_code\": \"MATERIALIZE\", \"partition_ref\": {\"str\": \"number/$name\"}}"
      comma=', '
    done
    printf '%s{"outputs": [{"str": "%s"}], "inputs": [%s], "args": ["%s"], "env": {}}' \
      "$separator" "$ref" "$inputs" "${ref#sum/}"
    separator=', '
  done
  printf ']}\n'
  exit 0
fi
total=0
IFS=_ read -ra names <<< "$2"
for name in "${names[@]}"; do total=$((total + $(cat "data/number-$name"))); done
echo "$total" > "data/sum-$2"
"""


class Graph:
    """A graph of two jobs in a workspace of its own."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "MODULE.bazel").touch()
        self.jobs = []
        for name, script, pattern in (("number", NUMBER, "number/{name}"), ("sum", SUM, "sum/{names}")):
            (folder / name).write_text(script)
            (folder / name).chmod(0o755)
            (folder / f"{name}.digest").write_text(f"{name}-1\n")
            job = {"label": f"//numbers:{name}", "executable": name, "code_digest_file": f"{name}.digest"}
            self.jobs.append({**job, "outputs": [pattern]})
        self.write_catalog()

    def write_catalog(self, **more):
        catalog = {"graph_label": GRAPH, "jobs": self.jobs, "default_partitions": ["sum/ab_c"], **more}
        (self.folder / "catalog.json").write_text(json.dumps(catalog))

    def arguments(self, *args):
        return [f"--catalog={self.folder}/catalog.json", f"--runfiles={self.folder}", *args]

    def command(self, *args):
        return child.command("-c", PROGRAM, *self.arguments(*args))

    @property
    def environ(self):
        here = str(self.folder)
        folders = {"BUILD_WORKING_DIRECTORY": here, "BUILD_WORKSPACE_DIRECTORY": here}
        return {"PATH": os.environ["PATH"], "USER": "ann", **folders}

    def __call__(self, *args):
        out, err = io.StringIO(), io.StringIO()
        code = run(self.arguments(*args), out=Output(out), err=Output(err), environ=self.environ)
        return code, out.getvalue(), err.getvalue()

    def json(self, *args):
        code, out, _ = self(*args, "--output=json")
        return code, json.loads(out)

    def start(self, *args):
        return subprocess.Popen(
            self.command(*args),
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, name):
        path = self.folder / name
        deadline = time.monotonic() + 20
        while not (path.exists() and path.read_text().strip()):
            assert time.monotonic() < deadline, f"{name} did not come"
            time.sleep(0.01)
        return path.read_text().strip()


@pytest.fixture
def graph(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Graph(tmp_path)


def test_a_build_without_arguments_builds_the_default_partitions(graph):
    code, out, err = graph()

    assert code == 0, err
    assert (graph.folder / "data" / "sum-ab_c").read_text() == "3\n"
    assert "built 3 partitions in 3 job runs: number/ab, number/c, sum/ab_c" in out
    build = err.splitlines()[0].removeprefix("databuild: build ")
    assert out.splitlines()[-1].startswith(f"build {build} COMPLETED in ")


def test_a_repeat_runs_nothing_and_names_the_past_build(graph):
    _, first = graph.json("build")
    code, second = graph.json("build")

    assert code == 0
    assert second["jobs_completed"] == 0
    assert second["built"] == []
    assert second["delegated"] == {first["build_request_id"]: ["sum/ab_c"]}
    assert "took 1 partition from build" in graph("build")[1]


def test_a_log_is_verified_and_what_is_broken_is_told(graph):
    build = graph.json("build")[1]["build_request_id"]
    graph("build")
    whole = graph("events", "verify")
    with sqlite3.connect(next(graph.folder.glob(".databuild/**/events.db"))) as connection:
        connection.execute("UPDATE builds SET jobs_failed = 9 WHERE build_request_id = ?", (build,))
        connection.execute("DELETE FROM build_partitions WHERE build_request_id = ?", (build,))
    connection.close()
    fault = f"builds '{build}' has 9 as jobs_failed, and the events say 0"
    code, broken, _ = graph("events", "verify", build)
    as_json = graph.json("events", "verify")

    assert whole[:2] == (0, "verified 34 events of 2 builds\n")
    assert graph("events", "verify", "latest")[0] == 0
    assert code == 1
    assert broken.splitlines()[0] == fault
    assert f"build_partitions '{build}' 'sum/ab_c' is missing" in broken
    assert broken.splitlines()[-1].startswith("4 faults in ")
    assert as_json[0] == 1
    assert as_json[1]["faults"] == 4
    assert as_json[1]["reported"][0] == {"build_request_id": build, "message": fault}


def test_a_changed_job_is_run_again_with_what_depends_on_it(graph):
    graph("build")
    (graph.folder / "sum.digest").write_text("sum-2\n")

    _, result = graph.json("build")

    assert result["built"] == ["sum/ab_c"]


def test_a_failed_job_is_told_with_its_stderr_and_the_next_steps(graph):
    (graph.folder / "fail-c").touch()

    code, out, _ = graph("build", "--keep_going")

    assert code == 1
    assert "FAILED //numbers:number" in out
    assert "USER: ended with exit code 7" in out
    assert "    cannot make c\n" in out
    assert f"`bazel run {GRAPH} -- retry " in out


def test_a_failed_build_as_json(graph):
    (graph.folder / "fail-c").touch()

    code, result = graph.json("build", "-k")

    assert code == result["exit_code"] == 1
    assert result["status"] == "FAILED"
    assert result["built"] == ["number/ab"]
    assert result["not_built"] == ["number/c", "sum/ab_c"]
    assert result["failures"][0]["exit_code"] == 7
    assert result["failures"][0]["stderr_tail"] == ["cannot make c"]


def test_a_retry_builds_what_was_not_finished(graph):
    (graph.folder / "fail-c").touch()
    _, failed = graph.json("build", "-k")
    (graph.folder / "fail-c").unlink()

    code, again = graph.json("retry")

    assert code == 0
    assert again["built"] == ["number/c", "sum/ab_c"]
    assert graph.json("status")[1]["retry_of_build_request_id"] == failed["build_request_id"]


def test_a_retry_of_failed_jobs_only_stops_there(graph):
    (graph.folder / "fail-c").touch()
    graph("build", "-k")
    (graph.folder / "fail-c").unlink()

    _, again = graph.json("retry", "latest", "--failed_jobs_only")

    assert again["requested"] == again["built"] == ["number/c"]


def test_a_completed_build_needs_no_retry(graph):
    graph("build")

    code, _, err = graph("retry")

    assert code == 2
    assert "nothing to retry" in err


def test_a_plan_changes_nothing_and_gives_reasons(graph):
    code, out, _ = graph("plan")

    assert code == 0
    assert "would build 3 partitions in 3 tasks" in out
    assert "missing" in out
    assert graph("builds")[1] == "no builds\n"


def test_a_dry_run_is_a_plan(graph):
    assert graph("build", "--dry_run", "number/x")[1] == graph("plan", "number/x")[1]


def test_a_plan_as_json_names_reasons(graph):
    _, plan = graph.json("plan", "number/x")

    assert plan["counts"] == {"MISSING": 1}
    assert plan["partitions"][0]["reason"] == "MISSING"
    assert plan["tasks"][0]["job_label"] == "//numbers:number"


def test_a_plan_file_is_run_exactly(graph):
    assert graph("plan", "--output=three.plan")[0] == 0

    code, result = graph.json("build", "--plan=three.plan")

    assert code == 0
    assert result["built"] == ["number/ab", "number/c", "sum/ab_c"]


def test_a_plan_that_the_world_moved_under_is_refused(graph):
    graph("plan", "--output=three.plan")
    graph("build", "number/c")

    code, _, err = graph("build", "--plan=three.plan")

    assert code == 4
    assert "the plan is out of date" in err


def test_a_plan_that_is_none_is_refused(graph):
    (graph.folder / "bad.plan").write_text("not a plan")

    assert graph("build", "--plan=bad.plan")[0] == 2
    assert graph("build", "--plan=nowhere.plan")[0] == 2


@pytest.mark.parametrize("argument", ["nubmer/x", "stauts", "number/"])
def test_what_nothing_produces_makes_no_sense(graph, argument):
    code, out, err = graph(argument)

    assert (code, out) == (2, "")
    assert argument in err
    assert "did you mean" in err or argument == "number/"
    assert "Traceback" not in err
    assert graph("builds")[1] == "no builds\n"


def test_status_logs_events_and_partitions_tell_of_the_build(graph):
    graph("build")

    assert "COMPLETED" in graph("status")[1]
    assert "3/3" in graph("builds")[1]
    assert "making ab\n" in graph("logs")[1]
    assert graph("events")[1].splitlines()[-1].endswith("build_request  COMPLETED")
    assert [row["ref"] for row in graph.json("partitions", "number/")[1]["partitions"]] == ["number/ab", "number/c"]


def test_builds_of_equal_worlds_have_equal_events(graph, tmp_path):
    graph("build", "--jobs=2")
    graph("build", "--force", "number/ab")
    graph("build", "--force", "number/ab", "--jobs=1")
    builds = [build["build_request_id"] for build in graph.json("builds")[1]["builds"]]
    assert len(builds) == 3

    code, out, _ = graph("events", "diff", builds[0], builds[2])

    assert code == 1
    assert out.startswith("---")


def test_explain_tells_lineage_and_reason(graph):
    assert "never built here" in graph("explain", "sum/ab_c")[1]
    graph("build")
    (graph.folder / "number.digest").write_text("number-2\n")

    code, out, _ = graph("explain", "sum/ab_c")

    assert code == 0
    assert "made from  number/ab" in out
    assert "would make it (input changed: number/" in out


def test_a_tainted_partition_is_built_again_and_the_mark_can_be_taken_away(graph):
    graph("build")
    assert graph("taint", "number/c", "--reason=wrong")[0] == 0
    assert "tainted" in graph("plan", "number/c")[1]
    assert graph("taint", "--untaint", "number/c")[0] == 0
    assert "nothing to do" in graph("plan", "number/c")[1]
    graph("taint", "number/c", "--reason=wrong")

    _, result = graph.json("build", "number/c")

    assert result["built"] == ["number/c"]


def test_what_is_adopted_is_used_as_it_is_and_explained(graph):
    (graph.folder / "data").mkdir()
    (graph.folder / "data" / "number-ab").write_text("2\n")

    code, result = graph.json("partitions", "adopt", "number/ab", "--reason=moved from the old place", "--author=ann")

    assert code == 0
    assert result["partitions"] == ["number/ab"]
    assert (result["author"], result["reason"]) == ("ann", "moved from the old place")
    _, out, _ = graph("build")
    assert (
        "built 2 partitions in 2 job runs: number/c, sum/ab_c\nused 1 partition that somebody adopted: number/ab\n"
        in out
    )
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
        (["--reason=r"], 2, "at least one ref"),
        (["numbre/x", "--reason=r"], 2, "did you mean the pattern 'number/{name}'?"),
        (["number/c", "number/x", "--reason=r"], 2, "'number/c' cannot be adopted, since it is available already"),
        (["number/c", "number/x", "--reason=r", "--force"], 0, ""),
    ],
)
def test_an_adoption_that_cannot_be_says_why(graph, args, code, said):
    graph("build", "number/c")

    ended, _, err = graph("partitions", "adopt", *args)

    assert (ended, "databuild: " in err) == (code, bool(code))
    assert said in err
    assert ("number/x" in graph("partitions")[1]) is not code


@pytest.fixture
def renamed(graph):
    """The graph after it was built, and then renamed."""
    graph("build", "sum/ab_c", "number/old")
    graph("partitions", "adopt", "number/hand", "--reason=made by hand", "--author=bob")
    graph("taint", "number/old")
    graph.write_catalog(graph_label="//numbers:renamed")
    return graph


OLD_STATE = ".databuild/numbers/graph"


@pytest.mark.parametrize("command", ["plan", "build"])
def test_a_new_state_directory_names_others_that_know_the_partitions(renamed, command):
    old = renamed.folder / OLD_STATE
    code, _, err = renamed(command)

    assert code == 0
    assert f"the state directory {renamed.folder}/.databuild/numbers/renamed is new, and others know" in err
    assert f"databuild:   {old} (number/ab, say)\n" in err
    assert f"--state_dir={old} uses that one; `bazel run //numbers:renamed -- partitions adopt --from={old}`" in err


def test_others_are_named_while_the_state_directory_is_new_and_nobody_chose_one(renamed):
    chosen = renamed("plan", "--state_dir=elsewhere")[2]
    renamed("build")
    again = renamed("build")[2]

    assert "is new" not in chosen + again


def test_others_that_know_nothing_of_the_graph_or_cannot_be_read_are_not_named(renamed):
    (renamed.folder / ".databuild" / "broken").mkdir()
    (renamed.folder / ".databuild" / "broken" / "events.db").write_text("no database, and long enough to be none\n" * 9)
    only = renamed("plan")[2]
    renamed.jobs[0]["outputs"] = ["figure/{name}"]
    renamed.jobs[1]["outputs"] = ["total/{names}"]
    renamed.write_catalog(graph_label="//numbers:renamed", default_partitions=["figure/x"])
    none = renamed("plan")[2]

    assert only.count("databuild:   ") == 1
    assert "is new" not in none


def test_what_another_state_directory_knows_is_taken_over_and_nothing_is_built_again(renamed):
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


def test_what_was_taken_over_becomes_stale_as_what_was_built_here(renamed):
    renamed("partitions", "adopt", f"--from={OLD_STATE}")
    (renamed.folder / "sum.digest").write_text("sum-2\n")

    _, plan = renamed.json("plan", "sum/ab_c", "number/hand")
    reasons = {one["ref"]: one["reason"] for one in plan["partitions"]}
    assert reasons["sum/ab_c"].endswith("CODE_CHANGED")
    assert reasons["number/ab"].endswith("UP_TO_DATE")
    assert renamed.json("build", "sum/ab_c")[1]["jobs_completed"] == 1
    (renamed.folder / "number.digest").write_text("number-2\n")
    assert renamed.json("build", "sum/ab_c", "number/hand")[1]["jobs_completed"] == 3


def test_what_is_there_already_stays_and_a_second_time_takes_over_what_is_left(renamed):
    first = renamed.json("partitions", "adopt", f"--from={OLD_STATE}", "number/{name}", "sum/a_b")[1]
    second = renamed.json("partitions", "adopt", f"--from={OLD_STATE}")[1]
    code, out, _ = renamed("partitions", "adopt", f"--from={OLD_STATE}", "--force")

    assert (first["adopted"], second["adopted"], second["already_available"]) == (3, 1, 3)
    assert code == 0
    assert out == (
        f"took over 4 partitions from {renamed.folder}/{OLD_STATE}; builds judge them as if built here\n"
        "  left out 1 partition without data there that may be trusted\n"
    )


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["adopt", "--from=nowhere"], "there is no events.db in"),
        (["adopt", "--from=.databuild/numbers/renamed"], "is the state directory that would be written to"),
        (["adopt", f"--from={OLD_STATE}", "number/none"], "knows no partition of number/none"),
        (["adopt", f"--from={OLD_STATE}", "numbre/x"], "did you mean the pattern 'number/{name}'?"),
        (["adopt", f"--from={OLD_STATE}", "number/{name"], "is not a field"),
        (["adopt", f"--from={OLD_STATE}", "--event_log=memory:"], "ends with this command"),
        ([f"--from={OLD_STATE}"], "--from belongs to `partitions adopt"),
        (["adopt", f"--from={OLD_STATE}", "--server=localhost:1"], "to an event log of this machine"),
    ],
)
def test_what_cannot_be_taken_over_says_why_and_leaves_nothing(renamed, args, said):
    own = "--from=.databuild/numbers/renamed" in args
    if own:
        renamed("build", "number/c")
    code, _, err = renamed("partitions", *args)

    assert code == 2
    assert said in err
    assert (renamed.folder / ".databuild" / "numbers" / "renamed").exists() is own


def test_a_dead_build_does_not_keep_its_partitions_from_adoption(graph):
    (graph.folder / "hang-c").touch()
    running = graph.start("build", "number/c")
    graph.wait_for("pid-c")
    running.kill()
    running.communicate()

    code, _, err = graph("partitions", "adopt", "number/c", "--reason=made by hand")

    assert code == 0, err
    assert graph.json("status")[1]["status"] == "FAILED"
    assert "would use it as it is" in graph("explain", "number/c")[1]


def test_what_is_pruned_is_told_before_and_after(graph):
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
    assert "made by    job run" in graph("explain", "number/c")[1]
    assert graph("prune", "--keep=9")[1] == "pruned 0 builds (0 events, 0 B) and the job logs of 0 builds (0 B)\n"


def test_job_logs_are_pruned_by_their_age_alone(graph):
    graph("build")
    assert graph("prune", "--logs_older_than=1w")[1].endswith("the job logs of 0 builds (0 B)\n")

    result = graph.json("prune", "--logs_older_than=0s")[1]

    assert (result["builds"], result["log_builds"]) == ([], 1)
    assert "pruned for their age" in graph("logs")[2]
    assert graph("events")[0] == 0


def test_a_retry_of_what_was_pruned_knows_what_was_asked_for_and_not_what_failed(graph):
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
        (["latest"], "prune takes no 'latest'"),
        (["--older_than=30"], "--older_than=30 is no duration"),
        (["--logs_older_than=month"], "--logs_older_than=month is no duration"),
        (["--keep=-1"], "keep"),
        (["--keep=1", "--event_log=memory:"], "nothing to read"),
    ],
)
def test_what_cannot_be_pruned_says_why(graph, args, said):
    code, out, err = graph("prune", *args)

    assert (code, out) == (2, "")
    assert said in err


def test_what_is_not_known_cannot_be_tainted(graph):
    assert graph("taint", "number/x")[0] == 2


@pytest.mark.parametrize(("form", "beginning"), [("mermaid", ("flowchart", "graph")), ("dot", ("digraph",))])
def test_the_job_graph_is_drawn_whole(graph, form, beginning):
    graph("build")

    code, out, _ = graph("graph", f"--format={form}")

    assert code == 0
    assert out.startswith(beginning)
    assert "sum/ab_c" in out
    assert "number/c" in out


def test_a_sound_graph_passes_its_check(graph):
    code, out, _ = graph("check", "sum/ab_c")

    assert code == 0, out
    assert "config is deterministic" in out


def test_an_input_that_nobody_produces_is_a_fault(graph):
    graph.jobs = graph.jobs[1:]
    graph.write_catalog()

    code, out, _ = graph("check", "sum/ab_c")

    assert code == 1
    assert "no job produces the partition 'number/ab', which 'sum/ab_c' needs" in out


def test_a_config_that_answers_differently_is_a_fault(graph):
    script = (graph.folder / "number").read_text().replace('"env": {}', '"env": {"NOW": "$$"}')
    script = script.replace("""'%s{"outputs": [{"str": "%s"}], "args": ["%s"], "env": {"NOW": "$$"}}'""",
                            """'%s{"outputs": [{"str": "%s"}], "args": ["%s"], "env": {"NOW": "'$$'"}}'""")  # fmt: skip
    (graph.folder / "number").write_text(script)

    code, out, _ = graph("check", "number/x")

    assert code == 1
    assert "config is not deterministic" in out
    assert "number/x" in out


def test_overlapping_patterns_are_a_fault(graph):
    graph.jobs[0]["outputs"] = ["{kind}/{name}"]
    graph.write_catalog()

    code, out, _ = graph("check")

    assert code == 1
    assert "overlap" in out


def test_default_partitions_have_producers_where_the_check_says_so(graph):
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
def test_default_partitions_that_nobody_produces_are_a_fault(graph, texts, fault):
    graph.write_catalog(default_partitions=texts)

    code, out, _ = graph("check")

    assert code == 1
    assert f"FAULT: default_partitions of {GRAPH}: " in out
    assert fault in out


def test_a_lookup_is_asked_who_produces_the_default_partitions(graph):
    (graph.folder / "lookup").write_text('#!/bin/sh\necho "{\\"$KNOWN\\": \\"//numbers:sum\\"}"\n')
    (graph.folder / "lookup").chmod(0o755)
    of_lookup = {"lookup": "lookup", "lookup_environment": {"KNOWN": "sum/ab_c"}}

    graph.write_catalog(**of_lookup)
    assert graph("check")[0] == 0
    graph.write_catalog(**of_lookup, default_partitions=["sum/c"])
    code, out, _ = graph("check")

    assert code == 1
    assert "no job produces the partition 'sum/c'" in out


def test_a_job_has_the_environment_of_its_program_unless_its_config_says_otherwise(graph):
    script = NUMBER.replace('"env": {}', '"env": {"B": "config", "CONFIG_SAW": "\'$A$B\'"}')
    (graph.folder / "number").write_text(script.replace('echo "making $name"', 'echo "$CONFIG_SAW $A$B"'))
    graph.jobs[0]["environment"] = {"A": "a", "B": "b"}
    graph.write_catalog()

    code, _, err = graph("build", "number/x")
    _, logs, _ = graph("logs", "latest")

    assert code == 0, err
    assert "ab aconfig" in logs


def test_a_config_that_fails_is_a_failed_job(graph):
    (graph.folder / "number").write_text("#!/bin/bash\necho broken >&2\nexit 3\n")

    code, _, err = graph("build")

    assert code == 1
    assert "config of //numbers:number" in err
    assert "broken" in err


def test_events_go_to_sinks_too(graph):
    graph("build", "--event_sink=jsonl:events.jsonl")

    lines = (graph.folder / "events.jsonl").read_text().splitlines()
    assert "BUILD_STATUS_COMPLETED" in lines[-1]


def test_a_build_in_memory_leaves_no_event_log(graph):
    code, _, _ = graph("build", "--event_log=memory:")

    assert code == 0
    assert not (graph.folder / ".databuild" / "numbers" / "graph" / "events.db").exists()


def test_a_graph_of_another_repository_has_a_state_directory_of_its_own(graph):
    for label in ("@acme//numbers:graph", "@acme//:graph", "//:graph"):
        graph.write_catalog(graph_label=label)
        assert graph("build", "number/x")[0] == 0

    for folder in ("@acme/numbers/graph", "@acme/graph", "graph"):
        assert (graph.folder / ".databuild" / folder / "events.db").exists()


def test_a_build_has_the_id_that_was_chosen_once(graph):
    assert graph("build", "--build_request_id=nightly-1")[0] == 0
    code, _, err = graph("build", "--force", "--build_request_id=nightly-1")

    assert code == 2
    assert "there is a build nightly-1 already, and it is COMPLETED" in err
    assert graph.json("status", "nightly-1")[1]["status"] == "COMPLETED"
    assert graph("build", "--event_log=memory:", "--build_request_id=nightly-1")[0] == 0


@pytest.mark.parametrize("chosen", ["../../../elsewhere", "a/b", "a.b", "latest"])
def test_an_id_that_cannot_be_one_builds_nothing(graph, chosen):
    code, _, err = graph("build", f"--build_request_id={chosen}")

    assert code == 2
    assert "is not a valid build id" in err
    assert not (graph.folder / "data").exists()
    assert not (graph.folder / ".databuild").exists()


def test_a_state_directory_that_cannot_be_made_is_named(graph):
    (graph.folder / "file").touch()

    code, _, err = graph("build", "--state_dir=file/state")

    assert code in {2, 3}
    assert "file/state" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_build_ends_in_order_and_leaves_no_process(graph, number):
    (graph.folder / "hang-c").touch()
    process = graph.start("build", "--jobs=1")
    pid = int(graph.wait_for("pid-c"))

    process.send_signal(number)
    out, err = process.communicate(timeout=20)

    assert process.returncode == 130, err
    assert "CANCELLED" in out
    by = "ann" if number == signal.SIGINT else f"the signal {number.name}"
    assert f"cancelled by {by}" in out
    assert graph.json("status")[1]["failure"]["message"] == f"the build was cancelled by {by}"
    assert list(living_members(pid)) == []
    (graph.folder / "hang-c").unlink()
    assert graph("retry")[0] == 0


def test_a_build_is_cancelled_from_elsewhere(graph):
    (graph.folder / "hang-c").touch()
    process = graph.start("build", "--jobs=1")
    graph.wait_for("pid-c")

    build = graph.json("status")[1]["build_request_id"]
    code, out, _ = graph("cancel", "latest")
    process.communicate(timeout=20)

    assert code == 0
    assert f"asked the build {build} to stop" in out
    assert f"status {build}` tells when it has" in out
    assert process.returncode == 130
    assert graph.json("status")[1]["status"] == "CANCELLED"
    assert graph("cancel", "latest")[0] == 2


def test_a_build_that_is_interrupted_while_it_plans_says_by_whom(graph):
    (graph.folder / "number").write_text("#!/bin/bash\necho $$ > pid-config\nsleep 60\n")
    process = graph.start("build", "--output=json")
    graph.wait_for("pid-config")

    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)

    assert json.loads(out)["message"] == "cancelled by ann"


def test_a_dead_build_cannot_be_cancelled_and_can_be_retried(graph):
    (graph.folder / "hang-c").touch()
    process = graph.start("build", "--jobs=1")
    pid = int(graph.wait_for("pid-c"))
    while not graph.json("explain", "number/c")[1]["history"]:
        assert process.poll() is None
    dead = graph.json("status")[1]["build_request_id"]
    assert f"building elsewhere: {dead}" in graph("explain", "number/c")[1]
    process.kill()
    process.communicate(timeout=20)

    code, _, err = graph("cancel", dead)
    assert code == 2
    assert "its orchestrator has died" in err
    assert f"retry {dead}" in err

    assert "so far" not in graph("status", dead)[1]
    explained = graph("explain", "number/c")[1]
    assert f"in build {dead}, but its orchestrator has died; the next build ends it" in explained
    assert "RUNNING (dead)" in explained
    assert "a build    would make it (failed before)" in explained
    document = graph.json("explain", "number/c")[1]
    assert document["record"]["dead"] == document["history"][0]["dead"] == "its orchestrator has died"

    (graph.folder / "hang-c").unlink()
    code, _, err = graph("retry", dead)
    assert code == 0
    assert f"builds again what build {dead} was asked for" in err.splitlines()[1]
    assert graph.json("explain", "number/c")[1]["record"]["dead"] is None
    assert liveness.start_time(pid) == ""
    assert graph.json("status", dead)[1]["status"] == "FAILED"


@pytest.mark.parametrize("redirected", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_a_stream_that_is_closed_or_full_stops_no_build(graph, redirected):
    command = ["sh", "-c", f'exec "$@" {redirected}', "sh", *graph.command("build")]

    code = subprocess.run(command, env=graph.environ, capture_output=True, check=False, timeout=20).returncode

    assert code == 0
    assert graph.json("status")[1]["status"] == "COMPLETED"


def test_a_result_that_cannot_be_written_is_our_failure_and_the_build_is_done(graph):
    command = ["sh", "-c", 'exec "$@" >/dev/full', "sh", *graph.command("build")]

    done = subprocess.run(command, env=graph.environ, stderr=subprocess.PIPE, text=True, check=False, timeout=20)

    assert done.returncode == 3
    assert "the result could not be written to standard output: No space left on device" in done.stderr
    assert graph.json("status")[1]["status"] == "COMPLETED"


def test_a_hangup_that_is_ignored_goes_on_being_ignored(graph):
    command = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *graph.command("build")]
    (graph.folder / "wait-c").touch()
    process = subprocess.Popen(command, env=graph.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    graph.wait_for("waiting-c")
    process.send_signal(signal.SIGHUP)
    (graph.folder / "wait-c").unlink()
    process.communicate(timeout=20)

    assert process.returncode == 0


def test_events_on_standard_output_leave_no_room_for_a_result_as_json(graph):
    code, _, err = graph("build", "--event_sink=stdout:", "--output=json")

    assert code == 2
    assert "both write to standard output" in err
    assert graph("status")[0] == 2


def test_events_of_an_operation_on_standard_output_leave_no_room_for_a_result_as_json(graph):
    graph("build")

    code, out, err = graph("taint", "number/c", "--event_sink=stdout:", "--output=json")

    assert (code, out) == (2, "")
    assert "both write to standard output" in err


def test_a_sink_that_fails_stops_no_build_and_is_told_of(graph):
    code, _, err = graph("build", "--event_sink=jsonl:/dev/full")

    assert code == 0
    assert "an event sink failed and gets no more events: [Errno 28]" in err


def test_a_sink_that_cannot_be_opened_is_told_of_without_a_build(graph):
    code, out, err = graph("build", "--event_sink=jsonl:/dev/null/events", "--output=json")

    assert (code, out) == (3, "")
    assert err == "databuild: event log jsonl:/dev/null/events: the sink cannot be opened: Not a directory\n"


def test_a_plan_that_is_given_is_not_made_anew(graph):
    code, _, err = graph("build", "--plan=a.plan", "--dry_run")

    assert code == 2
    assert "--dry_run makes a plan of its own" in err


@pytest.mark.parametrize("flag", ["--force", "--stale=reuse"])
def test_a_plan_says_itself_what_is_forced_and_reused(graph, flag):
    graph("plan", "--output=a.plan")

    code, _, err = graph("build", "--plan=a.plan", flag)

    assert code == 2
    assert "--plan says what is forced" in err


def test_a_log_that_cannot_be_opened_is_told_of_without_a_build(graph):
    code, _, err = graph("build", "--event_log=sqlite:/dev/null/events.db")

    assert code == 3
    assert "sqlite:/dev/null/events.db" in err
    assert "build 2" not in err


def test_a_closed_pipe_is_quiet(graph):
    graph("build")
    process = graph.start("events")
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()

    assert process.wait(timeout=20) == 0
    assert error == ""
