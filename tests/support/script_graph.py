"""A graph of two jobs in bash in its own workspace, and the command line on it, in this process or in others."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPResponse
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, TypeAlias

from databuild.cli.display.output import Output
from databuild.cli.main import run
from databuild.event_log import liveness
from tests.support.forked_program import ForkedProgram
from tests.support.process_worker import write_worker
from tests.support.waiting import wait_until
from tools.python import child

Process: TypeAlias = subprocess.Popen[str] | ForkedProgram

GRAPH = "//numbers:graph"

ENVIRONMENT = r"\"MODE\": \"$(cat mode 2>/dev/null || true)\""
"""The variables in the answer of `config`, as written in NUMBER; tests replace them."""

NUMBER = r"""#!/bin/bash
set -euo pipefail
cd "${NUMBERS_FOLDER:-.}"
if [[ "$1" == config ]]; then
  shift
  variables="ENVIRONMENT"
  configs='' separator=''
  for ref in "$@"; do
    if [[ "$ref" == number/odd-* ]]; then echo "no number is called ${ref#number/}" >&2; exit 3; fi
    inputs=''
    if [[ "$ref" == number/query-* ]]; then
      inputs='{"partition_ref": {"str": "number/absent"}}, {"partition_ref": {"str": "outside/absent"}}'
    fi
    configs+="$separator{\"outputs\": [{\"str\": \"$ref\"}], \"inputs\": [$inputs],"
    configs+=" \"args\": [\"${ref#number/}\"], \"env\": {$variables}}"
    separator=', '
  done
  printf '{"configs": [%s]}\n' "$configs"
  exit 0
fi
name="$2"
# By its name, or by a file beside the script, a number waits, hangs or fails, until there is a file go-NAME.
does() { [[ "$name" == "$1"-* || -e "$1-$name" ]] && [[ ! -e "go-$name" ]]; }
echo "making $name"
echo "$DATABUILD_JOB_LABEL, attempt $DATABUILD_ATTEMPT" >&2
echo $$ >"pid-$name"
if [[ -e slow ]]; then sleep 0.05; fi
if does fail; then echo "cannot make $name" >&2; exit 7; fi
while does wait; do echo waiting >"waiting-$name"; sleep 0.02; done
if does hang; then sleep 60; fi
mkdir -p data
echo "${#name}" >"data/number-$name"
echo "{\"partition\": {\"ref\": \"number/$name\", \"metadata\": {\"length\": ${#name}}}}" >>"$DATABUILD_REPORT"
""".replace("ENVIRONMENT", ENVIRONMENT)

SUM = r"""#!/bin/bash
set -euo pipefail
cd "${NUMBERS_FOLDER:-.}"
if [[ "$1" == config ]]; then
  shift
  configs='' separator=''
  for ref in "$@"; do
    inputs='' comma=''
    IFS=_ read -ra names <<<"${ref#sum/}"
    for name in "${names[@]}"; do
      inputs+="$comma{\"dep_type_code\": \"MATERIALIZE\", \"partition_ref\": {\"str\": \"number/$name\"}}"
      comma=', '
    done
    configs+="$separator{\"outputs\": [{\"str\": \"$ref\"}], \"inputs\": [$inputs], \"args\": [\"${ref#sum/}\"]}"
    separator=', '
  done
  printf '{"configs": [%s]}\n' "$configs"
  exit 0
fi
if [[ -e slow ]]; then sleep 0.05; fi
total=0
IFS=_ read -ra names <<<"$2"
for name in "${names[@]}"; do total=$((total + $(<"data/number-$name"))); done
echo "$total" | tee "data/sum-$2"
"""

PROGRAM = "from databuild.cli.main import main; main()"


class ScriptGraph:
    """A graph of numbers and of sums over them, in a workspace of its own.

    Attributes:
        folder: The workspace.
        jobs: The jobs as the catalog has them; `write_catalog` writes them again.
        processes: All processes that were started.
    """

    def __init__(
        self,
        folder: Path,
        *,
        default_partitions: Sequence[str] = ("number/one",),
        slow: bool = False,
        workers: bool = False,
        fork_server: ForkServerContext | None = None,
    ) -> None:
        """Writes the scripts and the catalog.

        Args:
            folder: An empty folder.
            default_partitions: The partitions of a build without arguments.
            slow: True to make each job run long enough that none is claimed ahead, which would depend on time.
            workers: True to let workers start the scripts.
            fork_server: Forks the processes of commands; None to start a Python for each.
        """
        self.folder = folder
        self.processes: list[Process] = []
        self._fork_server = fork_server
        self.jobs: list[dict[str, object]] = []
        self._default_partitions = default_partitions
        (folder / "MODULE.bazel").touch()
        if slow:
            (folder / "slow").touch()
        for name, script, pattern in (("number", NUMBER, "number/{name}"), ("sum", SUM, "sum/{names}")):
            (folder / name).write_text(script)
            (folder / name).chmod(0o755)
            (folder / f"{name}.digest").write_text(f"{name}-1\n")
            (folder / f"{name}.code_files").write_text(f".\n{name}\n")
            job: dict[str, object] = {"label": f"//numbers:{name}", "executable": name}
            job["code_digest_file"] = f"{name}.digest"
            if workers:
                write_worker(folder / f"{name}.worker", str(folder / name))
                job |= {"executable": f"{name}.worker", "worker": {}}
            # On an engine, a job run starts in a directory of its own.
            environment = {"NUMBERS_FOLDER": str(folder)}
            self.jobs.append(
                {**job, "outputs": [pattern], "code_files": f"{name}.code_files", "environment": environment}
            )
        self.write_catalog()

    def write_catalog(self, **more: object) -> None:
        catalog: dict[str, object] = {
            "graph_label": GRAPH,
            "jobs": self.jobs,
            "default_partitions": self._default_partitions,
        }
        catalog |= {"extensions": {"dask": {}, "reapi": {}}, **more}
        (self.folder / "catalog.json").write_text(json.dumps(catalog))

    def arguments(self, *args: str) -> list[str]:
        return [f"--catalog={self.folder}/catalog.json", f"--runfiles={self.folder}", *args]

    def command(self, *args: str, program: str = PROGRAM) -> list[str]:
        """Returns the command line that runs a command in a process of its own."""
        return child.command("-c", program, *self.arguments(*args))

    @property
    def environ(self) -> dict[str, str]:
        here = str(self.folder)
        folders = {"BUILD_WORKING_DIRECTORY": here, "BUILD_WORKSPACE_DIRECTORY": here}
        return {"PATH": os.environ["PATH"], "USER": "ann", **folders}

    def __call__(self, *args: str) -> tuple[int, str, str]:
        """Runs a command in this process, and returns its exit code, output and error output."""
        out, err = io.StringIO(), io.StringIO()
        code = run(self.arguments(*args), out=Output(out), err=Output(err), environ=self.environ)
        return code, out.getvalue(), err.getvalue()

    def json(self, *args: str) -> tuple[int, Any]:
        """Runs a command in this process, and returns its exit code and result."""
        code, out, _ = self(*args, "--output=json")
        return code, json.loads(out)

    def start(self, *args: str, program: str = PROGRAM, **environ: str) -> subprocess.Popen[str]:
        """Starts a command in a Python of its own."""
        process = subprocess.Popen(
            self.command(*args, program=program),
            env={**self.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def begin(self, *args: str, **environ: str) -> Process:
        """Starts a command: in a forked process if there is a server for it, or else in a Python of its own."""
        if self._fork_server is None:
            return self.start(*args, **environ)
        process = ForkedProgram(self._fork_server, PROGRAM, self.arguments(*args), {**self.environ, **environ})
        self.processes.append(process)
        return process

    def run(self, *args: str, **environ: str) -> tuple[int, str, str]:
        """Runs a command to its end and returns its exit code, output and error output."""
        process = self.begin(*args, **environ)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    def serve(self, *flags: str, **environ: str) -> ServedGraph:
        return ServedGraph(self.begin("serve", "--port=0", "--grpc_port=0", "--output=json", *flags, **environ))

    def wait_for(self, name: str) -> str:
        """Waits for a file of a job, and returns what is in it."""
        path = self.folder / name
        return wait_until(lambda: path.read_text().strip() if path.exists() else "")

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


class ServedGraph:
    """A service in a process of its own."""

    def __init__(self, process: Process) -> None:
        self.process = process
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read()
        self.addresses: dict[str, str] = json.loads(line)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Returns the status and the answer of a request."""
        data = None if body is None and method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(
            f"{self.addresses['http']}{path}",
            data,
            {"Content-Type": "application/json", "DataBuild-Author": "ann", **headers},
            method=method,
        )
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
                return answer.status, _read(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _read(error)

    def get(self, path: str) -> Any:
        return self.ask("GET", f"/api/v1{path}")[1]

    def build(self, *partitions: str, **more: object) -> str:
        status, answer = self.ask("POST", "/api/v1/builds", {"partitions": partitions, **more})
        assert status == 200, answer
        build: str = answer["build_request_id"]
        return build

    def wait_for(self, build: str, *statuses: str) -> None:
        wait_until(lambda: self.get(f"/builds/{build}")["status"].removeprefix("BUILD_STATUS_") in statuses)

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Ends the service by a signal, and returns its exit code and error output."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=30)
        return self.process.returncode, err


def is_running(pid: int | str) -> bool:
    return bool(liveness.start_time(int(pid)))


def _read(answer: HTTPResponse | urllib.error.HTTPError) -> Any:
    text = answer.read()
    return json.loads(text) if answer.headers["Content-Type"] == "application/json" else text.decode()
