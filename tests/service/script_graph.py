"""A graph of one job in bash, in a workspace of its own, and the command line on it as processes."""

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request

from databuild.event_log import liveness
from tools.python import child

GRAPH = "//numbers:graph"

NUMBER = r"""#!/bin/bash
if [[ "$1" == config ]]; then
  shift
  separator=''
  printf '{"configs": ['
  for ref in "$@"; do
    inputs=''
    if [[ "$ref" == number/query-* ]]; then
      inputs='{"partition_ref": {"str": "number/absent"}}, {"partition_ref": {"str": "outside/absent"}}'
    fi
    printf '%s{"outputs": [{"str": "%s"}], ' "$separator" "$ref"
    printf '"inputs": [%s], "args": ["%s"], "env": {"MODE": "%s"}}' "$inputs" "${ref#number/}" "$(cat mode 2>/dev/null)"
    separator=', '
  done
  printf ']}\n'
  exit 0
fi
echo "making $2"
echo $$ >"pid-$2"
if [[ "$2" == wait-* ]]; then while [[ ! -e "go-$2" ]]; do sleep 0.02; done; fi
if [[ "$2" == hang-* ]]; then sleep 60; fi
[[ "$2" != fail-* ]]
"""


class ScriptGraph:
    """The graph and its workspace."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "MODULE.bazel").touch()
        (folder / "number").write_text(NUMBER)
        (folder / "number").chmod(0o755)
        job = {"label": "//numbers:number", "executable": "number", "outputs": ["number/{name}"]}
        catalog = {"graph_label": GRAPH, "jobs": [job], "default_partitions": ["number/one"]}
        (folder / "catalog.json").write_text(json.dumps(catalog))
        self.processes = []

    def start(self, *args, program="from databuild.cli.main import main; main()", **environ):
        here = str(self.folder)
        arguments = [f"--catalog={here}/catalog.json", f"--runfiles={here}", *args]
        process = subprocess.Popen(
            child.command("-c", program, *arguments),
            env={
                "PATH": os.environ["PATH"],
                "BUILD_WORKING_DIRECTORY": here,
                "BUILD_WORKSPACE_DIRECTORY": here,
                "USER": "ann",
                **environ,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def run(self, *args, **environ):
        """Runs a command to its end and returns its exit code, output and error output."""
        process = self.start(*args, **environ)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    def serve(self, *flags, **environ):
        return ServedGraph(self.start("serve", "--port=0", "--grpc_port=0", "--output=json", *flags, **environ))

    def wait_for(self, name):
        """Waits for a file of a job, and returns what is in it."""
        path = self.folder / name
        wait_until(lambda: path.exists() and path.read_text().strip())
        return path.read_text().strip()

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


class ServedGraph:
    """A service in a process of its own."""

    def __init__(self, process):
        self.process = process
        line = process.stdout.readline()
        assert line, process.stderr.read()
        self.addresses = json.loads(line)

    def ask(self, method, path, body=None, **headers):
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

    def get(self, path):
        return self.ask("GET", f"/api/v1{path}")[1]

    def build(self, *partitions, **more):
        status, answer = self.ask("POST", "/api/v1/builds", {"partitions": partitions, **more})
        assert status == 200, answer
        return answer["build_request_id"]

    def wait_for(self, build, *statuses):
        wait_until(lambda: self.get(f"/builds/{build}")["status"].removeprefix("BUILD_STATUS_") in statuses)

    def end(self, number=signal.SIGTERM):
        """Ends the service by a signal, and returns its exit code and error output."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=30)
        return self.process.returncode, err


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(pid):
    return bool(liveness.start_time(int(pid)))


def _read(answer):
    text = answer.read()
    return json.loads(text) if answer.headers["Content-Type"] == "application/json" else text.decode()
