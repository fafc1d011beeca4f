"""The command line with --server: the same output and exit codes as without, through a real service."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.present import present
from tests.support.script_graph import ScriptGraph, ServedGraph, is_running
from tests.support.waiting import wait_until

READER, WRITER = "r" * 32, "w" * 32


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[], ScriptGraph]]:
    """Returns a function that makes graphs, each in its own workspace."""
    graphs: list[ScriptGraph] = []

    def make() -> ScriptGraph:
        folder = tmp_path / str(len(graphs))
        folder.mkdir()
        graphs.append(ScriptGraph(folder))
        return graphs[-1]

    yield make
    for graph in graphs:
        graph.close()


@pytest.fixture
def graph(make: Callable[[], ScriptGraph]) -> ScriptGraph:
    return make()


@pytest.fixture
def served(graph: ScriptGraph) -> ServedGraph:
    return graph.serve("--jobs=2")


SCENARIO = (
    "status",
    "builds",
    "partitions",
    "logs",
    "graph",
    "graph --format=svg",
    "build number/one number/two",
    "graph --format=dot",
    "graph sum/one_two number/three",
    "graph sum/nobody number/odd-1",
    "graph patitions",
    "number/one",
    "build number/one number/fail-1 --keep_going",
    "status",
    "status --output=json",
    "status --sizes",
    "logs",
    "logs --output=json",
    "logs --follow",
    "events",
    "events --follow --after=4",
    "events --output=json",
    "retry --keep_going",
    "retry --failed_jobs_only --output=json",
    "retry xyz",
    "builds",
    "builds --status=FAILED --limit=1",
    "builds --output=json",
    "partitions",
    "partitions number/ --status=AVAILABLE --output=json",
    "partitions --limit=1 --after=number/fail-1",
    "plan number/one number/three",
    "plan --force --output=json",
    "plan number/fail-1 --output=a.plan",
    "build --plan=a.plan",
    "plan number/four --output=b.plan",
    "build number/four --force",
    "build --plan=b.plan",
    "build --plan=b.plan --output=json",
    "build --dry_run number/one",
    "explain number/one",
    "explain number/fail-1 --output=json",
    "explain number/nothing",
    "explain",
    "explain number/one number/two",
    "build sum/one_two sum/two_three",
    "downstream number/one",
    "downstream number/one number/two --direct",
    "downstream number/two --output=json",
    "downstream number/two --limit=1",
    "downstream sum/one_two number/nothing",
    "downstream no/job --output=json",
    "downstream number/../x",
    "downstream",
    "taint number/one --reason=wrong",
    "taint number/nothing",
    "explain number/one",
    "build",
    "taint number/one --untaint --output=json",
    "events diff latest latest",
    "cancel latest",
    "cancel",
    "status nothing",
    "status 2",
    "logs nothing",
    "logs nothing.1.1",
    "buidl",
    "build nobody/makes_this",
    "build number/a..b",
    "build --build_request_id=mine number/mine",
    "build --build_request_id=mine number/mine",
    "build --build_request_id=latest",
    "status mi",
    "builds --before=mine",
    "events mine --after=2 --output=json",
    "retry mine",
    "build number/1..3",
    "plan number/4..5",
    "plan number/4..5 --output=json",
    "explain number/4..5",
    "build number/../x",
    "plan number/.",
    "explain number/..",
    "taint number//x",
    "build number/cafe\u0301",
    "explain number/cafe\u0301",
    "plan number/query-a",
    "plan number/query-a --output=json",
    "explain number/query-a",
    "build number/query-a",
    "build number/query-b --output=json",
    "explain number/query-a",
    "events --output=json",
    "partitions adopt",
    "partitions adopt number/kept",
    "partitions adopt number/kept number/6..7 --reason=old --output=json",
    "partitions verify",
    "partitions verify number/kept number/{name:/o.*/} --dry_run --content --output=json",
    "partitions verify number/{name",
    "partitions adopt number/kept --reason=again",
    "partitions adopt number/kept --reason=again --author=bob --force",
    "partitions adopt buidl --reason=old",
    "explain number/kept",
    "events verify",
    "events verify latest mine --output=json",
    "events verify nothing",
    "prune",
    "prune x --keep=1",
    "prune --keep=4 --dry_run --output=json",
    "prune --keep=4 --dry_run",
    "prune --older_than=5000000w",
    "prune --keep=4",
    "prune --keep=1 --output=json",
    "prune --logs_older_than=0s",
    "builds",
    "logs latest",
    "events mine",
    "events verify",
    "partitions",
)


class Asked:
    """Runs commands, and masks what differs between runs: ids, times, sizes, folders, addresses and the event log."""

    def __init__(self, graph: ScriptGraph, *flags: str) -> None:
        self.graph = graph
        self.flags = flags

    def __call__(self, command: str) -> tuple[int, str, str]:
        code, out, err = self.graph.run(*command.split(), *self.flags)
        return code, self.masked(out), self.masked(err)

    def masked(self, text: str) -> str:
        for flag in self.flags:
            text = text.replace(f" {flag}", "")
        text = text.replace(str(self.graph.folder), "FOLDER")
        text = re.sub(r" in the event log \S+; choose another event log with --state_dir or --event_log", "", text)
        text = re.sub(r"\d{8}T\d{6}Z-\w{6}", "BUILD", text)
        text = re.sub(r"\d{4}-\d\d-\d\d(T| )\d\d:\d\d:\d\d(\.\d+Z)?", "TIME", text)
        text = re.sub(r"\d\d:\d\d:\d\d\.\d{3}", "TIME", text)
        text = re.sub(r'"(\w+_(time|seconds|bytes)|time|sequence)": ("?)[\d.e+-]+("?)', r'"\1": SIZE', text)
        text = re.sub(r"[\d.]+ (s|KiB|MiB|B)\b", "SIZE", text)
        return re.sub(r" +", " ", text)


def test_every_command_says_the_same_with_and_without_a_service(make: Callable[[], ScriptGraph]) -> None:
    here, there = make(), make()
    service = there.serve()
    local, remote = Asked(here), Asked(there, f"--server={service.addresses['grpc']}")

    for command in SCENARIO:
        assert remote(command) == local(command), command


def test_changes_of_a_configuration_read_the_same_with_and_without_a_service(
    make: Callable[[], ScriptGraph],
) -> None:
    here, there = make(), make()
    service = there.serve()
    local, remote = Asked(here), Asked(there, f"--server={service.addresses['grpc']}")

    answers = []
    for mode in ("dev", "prod"):
        for graph in (here, there):
            (graph.folder / "mode").write_text(mode)
        commands = ("plan number/one", "explain number/one", "explain number/one --output=json", "build number/one")
        answers = [local(command) for command in commands]
        assert [remote(command) for command in commands] == answers

    said = "configuration changed: the variable MODE was 'dev' and is 'prod'"
    assert said in answers[0][1]
    assert f"a build would make it ({said})" in answers[1][1]
    assert f'"cause": "{said.partition(": ")[2]}"' in answers[2][1]


def test_builds_of_the_service_are_not_in_the_local_log(graph: ScriptGraph, served: ServedGraph) -> None:
    assert graph.run("build", "number/one", f"--server={served.addresses['grpc']}", "--output=json")[0] == 0

    code, out, _ = graph.run("builds", "--state_dir=elsewhere")

    assert (code, out) == (0, "no builds\n")


def test_the_environment_may_name_the_service_and_a_flag_another_or_none(
    graph: ScriptGraph, served: ServedGraph
) -> None:
    address = served.addresses["grpc"]
    build = served.build("number/one")
    served.wait_for(build, "COMPLETED")

    by_environment = graph.run("status", build, DATABUILD_SERVER=address)
    by_nobody = graph.run("builds", "--server=", "--state_dir=elsewhere", DATABUILD_SERVER=address)
    wrong = graph.run("status", "--server=localhost:1", DATABUILD_SERVER=address)

    assert (by_environment[0], "COMPLETED" in by_environment[1]) == (0, True)
    assert by_nobody[:2] == (0, "no builds\n")
    assert (wrong[0], wrong[2].startswith("databuild: the service at localhost:1 cannot be reached: ")) == (3, True)


def test_the_port_for_http_is_named_as_the_wrong_one(graph: ScriptGraph, served: ServedGraph) -> None:
    code, _, err = graph("status", f"--server={served.addresses['http'].removeprefix('http://')}")

    assert (code, err.endswith("; is this its port for HTTP instead of gRPC?\n")) == (3, True), err


def test_the_next_step_is_asked_of_the_same_service(graph: ScriptGraph, served: ServedGraph) -> None:
    flag = f"--server={served.addresses['grpc']}"

    by_flag = graph.run("build", "number/fail-1", flag)[1]
    by_environment = graph.run("build", "number/fail-1", DATABUILD_SERVER=served.addresses["grpc"])[1]

    assert re.search(rf"again: `.* retry \S+ {flag}`", by_flag)
    assert re.search(r"again: `.* retry \S+`", by_environment)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("build --state_dir=x", "--state_dir works on this machine only"),
        ("status --event_log=memory:", "--event_log works on this machine only"),
        ("build --event_sink=stdout:", "--event_sink works on this machine only"),
        ("build --grace_period=3", "--grace_period works on this machine only"),
        ("partitions adopt --from=x", "--from copies records of a state directory to an event log of this machine"),
        ("prune --keep=1 --state_dir=x", "--state_dir works on this machine only"),
        ("status --server=http://localhost:7420", "is an HTTP address"),
        ("status --tls_cert=x", "both the certificate and its key"),
        ("check --server=x", "--server is a flag of"),
    ],
)
def test_flags_that_contradict_a_service_are_refused(graph: ScriptGraph, command: str, said: str) -> None:
    code, out, err = graph.run(*command.split(), DATABUILD_SERVER="localhost:1")

    assert (code, out, said in err) == (2, "", True), err


def test_a_service_of_another_graph_is_refused(graph: ScriptGraph, served: ServedGraph) -> None:
    catalog = graph.folder / "catalog.json"
    catalog.write_text(catalog.read_text().replace("//numbers:graph", "//letters:graph"))

    code, out, err = graph.run("build", f"--server={served.addresses['grpc']}")

    assert (code, out) == (2, "")
    assert "this service serves the graph //numbers:graph, not //letters:graph" in err
    assert served.get("/builds")["builds"] == []


def test_a_token_comes_from_the_environment(graph: ScriptGraph) -> None:
    service = graph.serve(DATABUILD_TOKENS=f"bob read {READER}")
    asked = {"DATABUILD_SERVER": service.addresses["grpc"], "DATABUILD_TOKEN": READER}

    assert graph.run("builds", **asked)[:2] == (0, "no builds\n")
    code, _, err = graph.run("builds", DATABUILD_SERVER=service.addresses["grpc"])
    step = "set DATABUILD_TOKEN to one of the tokens of the service"
    assert (code, err) == (2, f"databuild: the request has no token; {step}\n")
    code, _, err = graph.run("build", **asked)
    assert (code, "bob has the role `read`" in err) == (2, True)


def test_maintenance_and_adoption_need_a_token_that_may_write(graph: ScriptGraph) -> None:
    service = graph.serve(DATABUILD_TOKENS=f"bob read {READER}\neve write {WRITER}")
    reading = {"DATABUILD_SERVER": service.addresses["grpc"], "DATABUILD_TOKEN": READER}
    writing = {**reading, "DATABUILD_TOKEN": WRITER}
    adopt = ("partitions", "adopt", "number/kept", "--reason=old", "--author=ann", "--output=json")

    for command in (adopt, ("prune", "--keep=1"), ("events", "verify")):
        code, _, err = graph.run(*command, **reading)
        assert (code, "bob has the role `read`" in err) == (2, True)
        assert graph.run(*command, **writing)[0] == 0
    adoption = json.loads(graph.run(*adopt, "--force", **writing)[1])

    assert (adoption["author"], adoption["version"]) == ("eve", f"{adoption['operation_id']}/1")


@pytest.mark.parametrize(
    ("number", "by"), [(signal.SIGINT, "ann"), (signal.SIGTERM, "the signal SIGTERM")], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_cancels_the_build_and_waits_for_its_end(
    graph: ScriptGraph, served: ServedGraph, number: signal.Signals, by: str
) -> None:
    process = graph.start("build", "number/hang-1", f"--server={served.addresses['grpc']}")
    pid = graph.wait_for("pid-hang-1")

    process.send_signal(number)
    out, err = process.communicate(timeout=30)

    assert process.returncode == 130, err
    assert f"cancelled by {by}" in out
    assert "CANCELLED" in out
    assert "stopping the build; after a second signal" in err
    assert not is_running(pid)


def test_a_second_signal_does_not_wait(graph: ScriptGraph, served: ServedGraph) -> None:
    (graph.folder / "number").write_text(
        (graph.folder / "number").read_text().replace("#!/bin/bash\n", "#!/bin/bash\ntrap '' TERM\n")
    )
    process = graph.start("build", "number/wait-1", f"--server={served.addresses['grpc']}")
    graph.wait_for("pid-wait-1")
    build = json.loads(graph.run("builds", "--output=json")[1])["builds"][0]["build_request_id"]

    process.send_signal(signal.SIGINT)
    wait_until(lambda: served.get(f"/builds/{build}")["cancel_requested_by"])
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert f"not waiting for build {build}" in err
    assert served.get(f"/builds/{build}")["status"] == "BUILD_STATUS_EXECUTING"
    (graph.folder / "go-wait-1").touch()
    served.wait_for(build, "CANCELLED", "COMPLETED")


def test_a_build_is_watched_on_when_the_service_is_back(graph: ScriptGraph) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    first = graph.serve(f"--grpc_port={port}")
    process = graph.start("build", "number/wait-1", f"--server=127.0.0.1:{port}")
    graph.wait_for("pid-wait-1")

    first.end(signal.SIGKILL)
    graph.serve(f"--grpc_port={port}")
    out, err = process.communicate(timeout=30)

    assert process.returncode == 3, err
    assert "failed: its orchestrator has died" in out
    (graph.folder / "go-wait-1").touch()
    assert graph.run("retry", f"--server=127.0.0.1:{port}")[0] == 0


def test_a_build_that_ends_while_the_service_stops_has_its_outcome(graph: ScriptGraph) -> None:
    service = graph.serve("--drain_seconds=60")
    process = graph.start("build", "number/wait-1", f"--server={service.addresses['grpc']}")
    graph.wait_for("pid-wait-1")

    service.process.send_signal(signal.SIGTERM)
    wait_until(lambda: service.ask("GET", "/healthz")[0] == 503)
    (graph.folder / "go-wait-1").touch()
    out, err = process.communicate(timeout=30)

    assert (process.returncode, "COMPLETED" in out) == (0, True), err


def test_events_and_logs_are_followed_while_they_come(graph: ScriptGraph, served: ServedGraph) -> None:
    flag = f"--server={served.addresses['grpc']}"
    build = served.build("number/wait-1")
    graph.wait_for("pid-wait-1")
    wait_until(lambda: served.get(f"/builds/{build}/job_runs")["job_runs"])
    following = [graph.start(command, build, "--follow", flag) for command in ("events", "logs")]
    first = [present(process.stdout).readline() for process in following]

    (graph.folder / "go-wait-1").touch()
    rest = [present(process.stdout).read() for process in following]

    assert "RECEIVED" in first[0]
    assert "COMPLETED" in rest[0].splitlines()[-1]
    assert first[1] == f"==> {build}.1.1 //numbers:number (stdout) <==\n"
    assert rest[1].splitlines() == [
        "making wait-1",
        f"==> {build}.1.1 //numbers:number (stderr) <==",
        "//numbers:number, attempt 1",
    ]
