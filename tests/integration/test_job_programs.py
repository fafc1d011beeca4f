"""Jobs as real processes: their task descriptions, and the number of refs in one call of `config`."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from databuild.event_log.open import open_event_log
from databuild.executors.local import LocalExecutor
from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.declared.declaration import Declaration
from databuild.model.build_options import BuildOptions
from databuild.model.results import BuildResult, Success
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest, Settings
from databuild.orchestration.jobs.config_process import ConfigProcess
from tests.support.waiting import until
from tools.python import child

DAYS = """
def config(refs):
    return [Config(outputs=refs)]


def run(run):
    for output in run.outputs:
        run.finished(output.ref, path=f"/data/{output.fields.date:%d.%m.%Y}", rows=output.fields.date.day)


main(config, run)
"""

MONTHS = """
import json


def config(refs):
    for ref in refs:
        days = [f"day/date=2013-01-{day:02}" for day in range(1, 32)]
        yield Config(outputs=[ref], materialize=days, query=["votes/x"])


def run(run):
    days = run.inputs_of("day")
    print(json.dumps({
        "month": run.output.fields.month.isoformat(),
        "paths": [day.metadata["path"] for day in days[:2]],
        "rows": sum(day.metadata["rows"] for day in days),
        "versions": sorted({day.version for day in days}),
        "votes": [(votes.ref, votes.kind, votes.available) for votes in run.inputs_of("votes")],
    }))


main(config, run)
"""

VOTES = """
def run(run):
    run.finished(run.output.ref, count=len(run.output.fields.name))


main(run)
"""

REPORTS = """
import json


def run(run):
    print(json.dumps({
        "ref": run.output.ref,
        "args": run.args,
        "days": [day.metadata["rows"] for day in run.inputs_of("day")],
        "votes": [(votes.ref, votes.metadata) for votes in run.inputs_of("votes")],
    }))


main(run)
"""

SHELL = """#!/bin/sh
if [ "$1" = config ]; then
  input='{"dep_type_code": "MATERIALIZE", "partition_ref": {"str": "month/2013-01"}}'
  echo '{"configs": [{"outputs": [{"str": "shell/x"}], "inputs": ['"$input]}]}"
  exit
fi
ask='import http.client, os, socket
connection = http.client.HTTPConnection("task")
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect(os.environ["DATABUILD_TASK"])
connection.request("GET", "/job_runs/" + os.environ["DATABUILD_JOB_RUN_ID"])
print(connection.getresponse().read().decode())'
PYTHON -c "$ask"
"""


class Graph:
    """Jobs in their own folder, and builds of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = open_event_log("memory:")
        self.jobs: dict[str, Job] = {}

    def add(self, name: str, pattern: str, text: str, declaration: Declaration | None = None) -> None:
        path = self.folder / name
        if not text.startswith("#!"):
            program = path.with_suffix(".py")
            program.write_text(f"from databuild.job import Config, main\n{text}")
            text = f'#!/bin/sh\nexec {shlex.join(child.command(str(program), flags=("-S",)))} "$@"\n'
        path.write_text(text.replace("PYTHON", shlex.join([sys.executable, "-I"])))
        path.chmod(0o755)
        label = f"//:{name}"
        self.jobs[label] = Job(
            label=label, executable=str(path), outputs=(pattern,), code_digest="1", declaration=declaration
        )

    async def build(self, build: str, *refs: str) -> BuildResult:
        context = BuildContext(
            catalog=JobCatalog(graph_label="//:g", jobs=self.jobs),
            event_log=self.log,
            executor=LocalExecutor(base_env={"PATH": os.environ["PATH"]}, grace_seconds=5),
            settings=Settings(working_directory=str(self.folder), log_directory=str(self.folder / "logs")),
        )
        request = BuildRequest(build_request_id=build, requested=refs, options=BuildOptions(jobs=2))
        return await run_build(request, context)

    def output(self, build: str, task: int) -> Any:
        text = (self.folder / "logs" / build / f"{build}.{task}.1.stdout").read_text()
        return json.loads(text)


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        made = Graph(Path(folder))
        made.add("days", "day/date={date:date}", DAYS)
        made.add("months", "month/{month:month}", MONTHS)
        made.add("shell", "shell/{name}", SHELL)
        yield made
        await made.log.close()


async def test_a_python_job_reads_what_its_producers_reported(graph: Graph) -> None:
    assert await graph.build("b1", "month/2013-01") == Success(jobs_completed=2)
    assert await graph.build("b2", "month/2013-02") == Success(jobs_completed=1)

    expected = {
        "paths": ["/data/01.01.2013", "/data/02.01.2013"],
        "rows": sum(range(1, 32)),
        "versions": ["b1.1.1"],
        "votes": [["votes/x", "QUERY", False]],
    }
    assert graph.output("b1", 2) == {"month": "2013-01-01", **expected}
    assert graph.output("b2", 1) == {"month": "2013-02-01", **expected}


async def test_a_shell_job_reads_json_by_http(graph: Graph) -> None:
    assert await graph.build("b", "shell/x") == Success(jobs_completed=3)

    description = graph.output("b", 3)
    assert (description["job_label"], description["job_run_id"]) == ("//:shell", "b.3.1")
    assert description["outputs"] == [{"ref": "shell/x", "fields": {"name": "x"}, "field_types": {"name": "str"}}]
    assert description["inputs"] == [
        {
            "ref": "month/2013-01",
            "fields": {"month": "2013-01"},
            "field_types": {"month": "month"},
            "kind": "MATERIALIZE",
            "version": "b.2.1",
            "available": True,
        }
    ]


async def test_a_job_that_declares_its_inputs_is_one_function(graph: Graph) -> None:
    graph.add("votes", "votes/{name}", VOTES, Declaration())
    graph.add(
        "reports",
        "report/{month:month}",
        REPORTS,
        Declaration(
            inputs=("day/date={month.dates}",), query_inputs=("votes/{*}",), args=("config", "{month.last_date:%d.%m.}")
        ),
    )
    await graph.build("b1", "votes/a", "votes/b")
    result = await graph.build("b2", "report/2013-02")

    assert result == Success(jobs_completed=2)
    assert graph.output("b2", 2) == {
        "ref": "report/2013-02",
        "args": ["config", "28.02."],
        "days": list(range(1, 29)),
        "votes": [["votes/a", {"count": 1}], ["votes/b", {"count": 1}]],
    }


async def test_a_build_that_is_cancelled_takes_its_socket_along(graph: Graph) -> None:
    graph.add(
        "hanging",
        "hanging/{name}",
        """
import time
from pathlib import Path


def run(run):
    Path(run.output.fields.name).touch()
    time.sleep(600)


main(lambda refs: [Config(outputs=refs)], run)
""",
    )
    build = asyncio.ensure_future(graph.build("b", "hanging/x"))
    await until((graph.folder / "x").exists)
    build.cancel()
    result = await build

    assert type(result).__name__ == "Cancelled"
    assert [path for path in (graph.folder / "logs" / "b").iterdir() if path.name.startswith("task-")] == []


async def test_refs_are_asked_in_calls_that_the_kernel_takes(graph: Graph) -> None:
    graph.add(
        "noting",
        "noting/{name}",
        """
import os


def config(refs):
    with open("calls", "a") as calls:
        print(len(refs), file=calls)
    return [Config(outputs=refs)]


main(config, print)
""",
    )
    # The environment leaves space for about half of these refs, beside the import path of the program.
    refs = [f"noting/{number:0120}" for number in range(1000)]
    filler: dict[str, str] = {}
    left = min(max(os.sysconf("SC_ARG_MAX"), 128 * 1024), 6 * 1024 * 1024) - 110_000
    while left > 0:
        filler[f"FILLER_{len(filler)}"] = "x" * min(left, 100_000)
        left -= 100_000
    executor = LocalExecutor(base_env={"PATH": os.environ["PATH"], **filler})
    configure = ConfigProcess(executor, working_directory=str(graph.folder), env={})
    job = graph.jobs["//:noting"]._replace(environment={})

    configs = await configure(job, refs)

    calls = [int(line) for line in (graph.folder / "calls").read_text().split()]
    assert len(calls) > 1
    assert sum(calls) == len(refs)
    assert [ref for config in configs for ref in config.outputs] == refs
