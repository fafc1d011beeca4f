"""Builds that are interrupted, cancelled or killed, and standard streams that fail."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from databuild.event_log import liveness
from databuild.executors.process_group import living_members
from tests.support.script_graph import ScriptGraph
from tools.python import child


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_build_ends_in_order_and_leaves_no_process(graph: ScriptGraph, number: signal.Signals) -> None:
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


def test_an_interruption_while_the_program_is_loaded_prints_no_traceback() -> None:
    program = """
import runpy, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "databuild.cli.main":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt())
runpy.run_module("databuild.cli", run_name="__main__")
"""
    done = subprocess.run(child.command("-c", program), capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (130, "databuild: interrupted\n")


def test_a_build_is_cancelled_from_elsewhere(graph: ScriptGraph) -> None:
    (graph.folder / "hang-c").touch()
    process = graph.start("build", "--jobs=1")
    graph.wait_for("pid-c")

    build = graph.json("status")[1]["build_request_id"]
    code, out, _ = graph("cancel", "latest")
    process.communicate(timeout=20)

    assert code == 0
    assert f"asked build {build} to stop" in out
    assert f"status {build}` shows its state" in out
    assert process.returncode == 130
    assert graph.json("status")[1]["status"] == "CANCELLED"
    assert graph("cancel", "latest")[0] == 2


def test_a_build_that_is_interrupted_while_it_plans_says_by_whom(graph: ScriptGraph) -> None:
    (graph.folder / "number").write_text("#!/bin/bash\necho $$ > pid-config\nsleep 60\n")
    process = graph.start("build", "--output=json")
    graph.wait_for("pid-config")

    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)

    assert json.loads(out)["message"] == "cancelled by ann"


def test_a_dead_build_cannot_be_cancelled_and_can_be_retried(graph: ScriptGraph) -> None:
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

    assert "running for" not in graph("status", dead)[1]
    explained = graph("explain", "number/c")[1]
    assert f"in build {dead}, but its orchestrator has died; the next build ends it" in explained
    assert "RUNNING (dead)" in explained
    assert "a build    would make it (failed before)" in explained
    document = graph.json("explain", "number/c")[1]
    assert document["record"]["dead"] == document["history"][0]["dead"] == "its orchestrator has died"

    (graph.folder / "hang-c").unlink()
    code, _, err = graph("retry", dead)
    assert code == 0
    assert f"retry of build {dead}" in err.splitlines()[1]
    assert graph.json("explain", "number/c")[1]["record"]["dead"] is None
    assert liveness.start_time(pid) == ""
    assert graph.json("status", dead)[1]["status"] == "FAILED"


@pytest.mark.parametrize("redirected", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_a_stream_that_is_closed_or_full_stops_no_build(graph: ScriptGraph, redirected: str) -> None:
    command = ["sh", "-c", f'exec "$@" {redirected}', "sh", *graph.command("build")]

    code = subprocess.run(command, env=graph.environ, capture_output=True, check=False, timeout=20).returncode

    assert code == 0
    assert graph.json("status")[1]["status"] == "COMPLETED"


def test_a_result_that_cannot_be_written_is_our_failure_and_the_build_is_done(graph: ScriptGraph) -> None:
    command = ["sh", "-c", 'exec "$@" >/dev/full', "sh", *graph.command("build")]

    done = subprocess.run(command, env=graph.environ, stderr=subprocess.PIPE, text=True, check=False, timeout=20)

    assert done.returncode == 3
    assert "the result could not be written to standard output: No space left on device" in done.stderr
    assert graph.json("status")[1]["status"] == "COMPLETED"


def test_a_hangup_that_is_ignored_goes_on_being_ignored(graph: ScriptGraph) -> None:
    command = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *graph.command("build")]
    (graph.folder / "wait-c").touch()
    process = subprocess.Popen(command, env=graph.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    graph.wait_for("waiting-c")
    process.send_signal(signal.SIGHUP)
    (graph.folder / "wait-c").unlink()
    process.communicate(timeout=20)

    assert process.returncode == 0
