"""The benchmark measures what it claims to. No test depends on a duration."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.c_programs import compile_program
from benchmarks.exporters import EXPORTERS, NONE
from benchmarks.noop_job import NoopJob, ProcessCount, make_noop_job
from benchmarks.other_tools import installed_tools
from benchmarks.pages import PAGES
from benchmarks.peer_tools import SCENARIO as PEERS
from benchmarks.records import COMMANDS
from benchmarks.report import as_json, as_text
from benchmarks.rows import Row, Rows
from benchmarks.scenarios import SCENARIOS, USUAL
from benchmarks.served_builds import BY_COMMAND_LINE, BY_SERVICE, WATCHED_BY_TEN
from benchmarks.services import FIRST_EVENT, SUBMISSIONS, TO_WATCHER
from benchmarks.shapes import QUICK, Chain, Layers, Shape, Wide, request_of
from benchmarks.stores import FIND, LISTING, OBJECTS, VERIFY, WITH_CHECK, WITHOUT_CHECK
from benchmarks.stores import LAYERS as STORE_LAYERS
from benchmarks.targets import TARGETS, judge
from benchmarks.workers import BUILD as WORKER_BUILD
from benchmarks.workers import PLAN as WORKER_PLAN
from benchmarks.workers import PYTHON_STARTS
from tools.python import child

SHAPES: tuple[Shape, ...] = (
    Chain(length=QUICK.chain),
    *(Wide(width=width) for width in QUICK.wide),
    Layers(height=QUICK.layers[0], width=QUICK.layers[1]),
)
HUGE = tuple(Wide(width=width, name="huge") for width in QUICK.huge)
PLANS = ["DataBuild plan", "DataBuild plan, declared"]
DATABUILD = ["DataBuild build", "DataBuild build again", *PLANS, "DataBuild status"]


@pytest.fixture(params=["program", "script"])
def job(request: pytest.FixtureRequest, tmp_path: Path) -> NoopJob:
    """The no-op job, with a compiler if the machine has one, and without."""
    return make_noop_job(tmp_path, search_path=None if request.param == "program" else str(tmp_path))


def run(
    job: NoopJob, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([job.path, *arguments], env=environment, capture_output=True, check=False)


def row(**values: Any) -> Row:
    usual: dict[str, Any] = {
        "scenario": "wide",
        "size": 8,
        "name": "x",
        "tasks": 9,
        "processes": 9,
        "seconds": 1,
        "median_seconds": 1,
    }
    return Row(**usual | values)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.name}-{shape.size}")
def test_the_job_tells_databuild_what_the_shape_tells_the_others(job: NoopJob, shape: Shape) -> None:
    refs = list(shape.refs())

    answer = json.loads(run(job, "config", *refs).stdout)["configs"]

    assert len(refs) == shape.tasks
    assert [[output["str"] for output in config["outputs"]] for config in answer] == [[ref] for ref in refs]
    assert [config["args"] for config in answer] == [[ref] for ref in refs]
    needed = [[dep["partition_ref"]["str"] for dep in config["inputs"]] for config in answer]
    assert needed == [list(shape.inputs(ref)) for ref in refs]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.name}-{shape.size}")
def test_the_last_ref_needs_all_others(shape: Shape) -> None:
    reached = set()
    ahead = [request_of(shape)]
    while ahead:
        ref = ahead.pop()
        if ref not in reached:
            reached.add(ref)
            ahead += shape.inputs(ref)

    assert reached == set(shape.refs())


def test_the_job_counts_itself_only_where_it_is_to(job: NoopJob, tmp_path: Path) -> None:
    count = ProcessCount(tmp_path)
    environment = {"PATH": os.environ["PATH"]}

    assert run(job, "exec", "leaf/0", environment=environment).returncode == 0
    assert count.take() == 0
    for number in range(3):
        run(job, "exec", f"leaf/{number}", environment=count.environment(environment))
    run(job, "config", "leaf/0", environment=count.environment(environment))
    assert count.take() == 3
    assert count.take() == 0


def measure(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Measures small graphs."""
    program = Path("benchmarks/benchmarks").absolute()  # which only Bazel makes
    command = [program] if program.exists() else child.command(str(Path(__file__).with_name("main.py")))
    flags = ("--quick", "--repeats=1", "--output=json", f"--directory={folder}", *flags)
    return subprocess.run([*command, *flags], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of a quick run of all scenarios that need no other tools."""
    folder = tmp_path_factory.mktemp("benchmarks")
    done = measure(folder, *(f"--shape={name}" for name in SCENARIOS if name != PEERS))
    assert done.returncode == 0, done.stderr
    assert not list(folder.iterdir())
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_each_row_is_there(report: dict[str, Any]) -> None:
    tools = list(installed_tools())
    names: dict[tuple[str, int], list[str]] = {}
    for row in report["rows"]:
        names.setdefault((row["scenario"], row["size"]), []).append(row["name"])

    expected = {("start-up", 1): ["bare Python", *tools, *DATABUILD[-1:], *PLANS, "DataBuild build again"]}
    expected |= {(shape.name, shape.size): ["raw limit", *tools, *DATABUILD] for shape in SHAPES}
    expected |= {("huge", width): ["raw limit", *DATABUILD[:2]] for width in QUICK.huge}
    expected |= {("planning", width): PLANS for width in QUICK.planned[:-1]}
    expected["planning", QUICK.planned[-1]] = PLANS[1:]
    layers = QUICK.planned_layers[0] * QUICK.planned_layers[1]
    expected["planning of layers", layers] = [*PLANS, *(["ninja -n"] if "ninja" in tools else [])]
    modes = ["one insert a transaction", "batched inserts", "builds"]
    alone = [*modes, "builds with processes", "the same without claims"]
    for builds in QUICK.parallel_builds:
        named = alone if builds == 1 else modes
        expected["event log", builds] = [f"{backend}: {mode}" for backend in ("sqlite", "postgresql") for mode in named]
    expected |= {("records", size): [*COMMANDS, *PAGES] for size in QUICK.records}
    expected["service", QUICK.served_tasks] = [
        BY_COMMAND_LINE,
        BY_SERVICE,
        f"{BY_SERVICE}, watched by build --server",
        f"{BY_SERVICE}, watched over HTTP",
        WATCHED_BY_TEN,
    ]
    expected["service", QUICK.submissions] = [SUBMISSIONS]
    expected["service", QUICK.watched_builds] = [FIRST_EVENT, TO_WATCHER]
    expected["workers", QUICK.worker_tasks] = [PYTHON_STARTS, WORKER_BUILD]
    expected |= {("workers", length): [WORKER_PLAN] for length in (1, QUICK.chain)}
    expected["engines", QUICK.engine_tasks] = [
        "REAPI: plain client",
        "REAPI: executor",
        "REAPI: build",
        "Dask: plain client",
        "Dask: executor",
        "Dask: build",
    ]
    expected["exporters", QUICK.exported_tasks] = [NONE, *EXPORTERS]
    expected["stores", QUICK.checked_files] = [FIND, VERIFY]
    expected[STORE_LAYERS, QUICK.layers[0] * QUICK.layers[1]] = [WITHOUT_CHECK, WITH_CHECK]
    expected[OBJECTS, QUICK.checked_objects] = [LISTING, VERIFY]
    assert names == expected


def test_as_many_processes_start_as_there_are_tasks(report: dict[str, Any]) -> None:
    tasks = {(shape.name, shape.size): shape.tasks for shape in (*SHAPES, *HUGE)}
    running = {"raw limit", "DataBuild build", *installed_tools()}

    for measured in report["rows"]:
        key = (measured["scenario"], measured["size"])
        runs = key in tasks and measured["name"] in running
        started = tasks[key] if runs else 0
        if measured["scenario"] == "event log" and measured["name"].endswith(("processes", "without claims")):
            started = measured["tasks"]
        if measured["scenario"] in {"service", "engines", "exporters", STORE_LAYERS}:
            started = measured["tasks"]
        if measured["name"] == WORKER_BUILD:
            started = measured["tasks"]
        if measured["name"] == SUBMISSIONS:
            continue  # what waits when all are answered is cancelled
        assert measured["processes"] == started, measured


def test_the_numbers_that_a_row_should_have_are_there(report: dict[str, Any]) -> None:
    for measured in report["rows"]:
        assert measured["seconds"] > 0
        assert measured["median_seconds"] >= measured["seconds"]
        assert (measured["p99_seconds"] or measured["median_seconds"]) >= measured["median_seconds"]
        assert measured["name"] in {"raw limit", PYTHON_STARTS} or measured["peak_memory_bytes"] > 1 << 20
        of_log = measured["scenario"] == "event log"
        assert (measured["events_per_second"] is not None) == (of_log or measured["name"] == "DataBuild build")
        alone = measured["scenario"] in {"start-up", "event log", "records", "service", "engines", "exporters"}
        alone = alone or measured["scenario"].startswith("stores")
        alone = alone or measured["name"] in {"raw limit", "DataBuild status"}
        alone = alone or (measured["scenario"] == "workers" and measured["size"] != QUICK.chain)
        assert (measured["added_ms"] is not None) == (not alone)


def test_every_target_is_judged_with_numbers(report: dict[str, Any]) -> None:
    assert len(report["targets"]) == len(TARGETS)
    assert all("{" not in verdict["target"] for verdict in report["targets"])
    # In a small graph, a cost near zero can be measured as negative. Then its growth has no meaning and is left out.
    unmeasured = [verdict["target"] for verdict in report["targets"] if verdict["measured"] is None]
    assert all(" over " in target for target in unmeasured)


def test_scenarios_that_take_long_run_only_when_they_are_named() -> None:
    assert set(SCENARIOS) - set(USUAL) == {"huge", PEERS, "store_objects"}


def test_workflow_tools_run_the_graphs_that_databuild_builds(tmp_path: Path) -> None:
    """With Dask, which the tests have, in place of all tools."""
    venv = tmp_path / "venv"
    (venv / "lib/python3/site-packages/distributed").mkdir(parents=True)
    (venv / "bin").mkdir()
    (venv / "bin/python").write_text(f'#!/bin/sh\nexec {shlex.join(child.command())} "$@"\n')
    (venv / "bin/python").chmod(0o755)

    done = measure(tmp_path / "graphs", f"--shape={PEERS}", f"--peers={venv}")

    assert done.returncode == 0, done.stderr
    rows = [row for row in json.loads(done.stdout)["rows"] if row["scenario"] != "start-up"]
    of_dask = ["Dask, threads", "Dask, distributed"]
    sizes = [height * width for height, width in QUICK.peers]
    graphs = [(f"peers: {name}", size) for size in sizes for name in ("wide", "layers")]
    assert [(row["scenario"], row["size"], row["name"]) for row in rows] == [
        *(("peers: start-up", 1, name) for name in of_dask),
        *((*graph, name) for graph in graphs for name in ("raw limit", "DataBuild build", *of_dask)),
    ]
    assert all(row["processes"] == row["tasks"] for row in rows)
    assert [row["databuild_ratio"] for row in rows if row["name"] == "DataBuild build"] == [1.0] * len(graphs)


HEAD = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
TWO = 'id: 1\ndata: {"id": 7}\n\nid: 2\ndata: {}\n\n'
END = "b\r\nevent: end\n\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (f"{HEAD}20\r\n{TWO}\r\n{END}", ""),
        (f"HTTP/1.1 404 Not Found\r\n\r\n{TWO}{END}", "the service has refused a client"),
        (f"{HEAD}20\r\n{TWO.replace('2', '3')}\r\n{END}", "an event is missing"),
        (f"{HEAD}20\r\n{TWO.replace('data: {}', '')}\r\n{END}", "an event has no data"),
        (f"{HEAD}20\r\n{TWO}\r\n{END.replace('end', 'error')}", "the stream has failed"),
        (f"{HEAD}20\r\n{TWO}", "a stream ends too early"),
    ],
)
def test_the_watchers_notice_what_is_missing(tmp_path: Path, answer: str, fault: str) -> None:
    program = tmp_path / "watchers"
    if not compile_program("plain_watchers.c", program):
        pytest.skip("there is no C compiler")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen([program, str(port), "b", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        accepted = [listener.accept()[0] for _ in range(2)]
        for connection in accepted:
            with connection, contextlib.suppress(ConnectionError):
                assert connection.recv(1000).startswith(b"GET /api/v1/builds/b/watch ")
                for byte in answer.encode():
                    connection.send(bytes([byte]))
        out, err = process.communicate()

    assert fault in err.decode()
    assert (process.returncode, out) == ((1, b"") if fault else (0, b"2\n"))


def test_without_workflow_tools_the_next_step_is_named(tmp_path: Path) -> None:
    done = measure(tmp_path, f"--shape={PEERS}", f"--peers={tmp_path}/none")

    assert done.returncode == 1
    assert (
        f"no other tools are installed in {tmp_path}/none; run tools/dev/peers_venv.sh, and give --peers" in done.stderr
    )


def test_the_machine_is_described(report: dict[str, Any]) -> None:
    assert {"processors", "Python", "SQLite", "file system", "job"} <= report["setup"].keys()
    assert all(report["setup"].values())


def test_a_target_is_met_or_not_or_not_measured() -> None:
    rows = Rows([row(name="DataBuild build", added_ms=1.0), row(name="ninja", added_ms=0.5)])

    met = {verdict.target: verdict.met for verdict in judge(rows, QUICK)}

    assert met["wide 8: added per task, no more than ninja adds"] is False
    assert met["wide 8: added per task, whatever ninja adds"] is True
    assert met["planning 200"] is None


def test_the_report_for_people_has_each_number_that_applies() -> None:
    rows = [
        row(name="DataBuild build", raw_ratio=2.0, added_ms=0.25, peak_memory_bytes=64 << 20),
        row(name="raw limit"),
    ]

    text = as_text({"Python": "3.11"}, rows, judge(Rows(rows), QUICK))

    assert "Python: 3.11\n" in text
    assert text.count("\nwide 8\n") == 1
    cells = next(line for line in text.splitlines() if line.startswith("  DataBuild build")).split()
    assert cells[2:] == ["9", "9", "1.000", "1.000", "-", "-", "2.00", "-", "0.250", "-", "64"]
    assert any(line.split()[-2:] == ["ms", "yes"] for line in text.splitlines())


def test_the_report_for_programs_has_everything() -> None:
    rows = [row()]

    document = json.loads(as_json({"Python": "3.11"}, rows, judge(Rows(rows), QUICK)))

    assert document["rows"][0]["name"] == "x"
    assert document["rows"][0]["added_ms"] is None
    assert len(document["targets"]) == len(TARGETS)
