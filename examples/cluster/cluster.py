"""A cluster on this machine: PostgreSQL, an S3 server, Dask with two workers, and the service of the graph.

    bazel run //examples/cluster -- start|stop|status [FOLDER]

`start` leaves a supervisor in the background, which has all other processes as its children. They end with it, also if
it is killed. `FOLDER/here` and `FOLDER/there` are the command line of the graph on two machines: the same event log,
log store and workers, and a state directory each.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from tests.engines.cluster import Cluster
from tests.engines.s3 import S3Server
from tests.postgresql.server import Server
from tools.python import child

_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 60.0
_PID_FILE: Final = "supervisor.pid"

_COMMAND_LINE: Final = """#!/bin/sh
# The command line of the graph on one machine of the cluster.
export {environ}
command=${{1:-build}}
[ $# -eq 0 ] || shift
case $command in
  build | retry) set -- --executor={executor} "$@" ;;
esac
exec {graph} "$command" --event_log={event_log} --state_dir={state} "$@"
"""


class ClusterError(Exception):
    """The cluster cannot be started; the message has the reason."""


def start(folder: Path, graph: Path) -> str:
    """Starts the cluster, and returns how to use it."""
    if supervisor(folder):
        raise ClusterError(f"the cluster in {folder} is running already; `stop` ends it")
    if folder.exists() and any(folder.iterdir()) and not (folder / _PID_FILE).exists():
        raise ClusterError(f"{folder} is not empty; name another folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with (folder / "supervisor.log").open("wb") as log:
        process = subprocess.Popen(
            child.command(__file__, str(graph), "supervise", str(folder)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (folder / _PID_FILE).write_text(f"{process.pid} {start_time(process.pid)}")
    end = time.monotonic() + _START_SECONDS
    while not (folder / "cluster.json").exists():
        if process.poll() is not None or time.monotonic() > end:
            said = (folder / "supervisor.log").read_text(errors="replace")
            stop(folder)
            raise ClusterError(f"the cluster does not start:\n{said}")
        time.sleep(0.1)
    service = json.loads((folder / "cluster.json").read_text())["service"]
    return (
        f"the cluster runs; its service is at {service['http']} and, for --server, {service['grpc']}\n"
        f"  {folder}/here build\n"
        f"  {folder}/there logs\n"
    )


def stop(folder: Path) -> str:
    """Stops what runs of the cluster, and removes its folder."""
    pid = supervisor(folder)
    if pid:
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + _STOP_SECONDS
        while supervisor(folder) and time.monotonic() < end:
            time.sleep(0.1)
        if supervisor(folder):
            os.kill(pid, signal.SIGKILL)
    # After a kill, watchdogs end the servers.
    end = time.monotonic() + _STOP_SECONDS
    while any(parts(folder).values()) and time.monotonic() < end:
        time.sleep(0.1)
    left = [name for name, runs in parts(folder).items() if runs]
    if left:
        raise ClusterError(f"these parts still run: {', '.join(left)}; {folder}/cluster.json has their process ids")
    if not (folder / _PID_FILE).exists():
        return f"there is no cluster in {folder}\n"
    shutil.rmtree(folder)
    return f"the cluster in {folder} is stopped\n"


def status(folder: Path) -> str:
    """Returns a line for each part of the cluster."""
    running = {"supervisor": bool(supervisor(folder)), **parts(folder)}
    return "".join(f"{name:<12}{'running' if runs else 'down'}\n" for name, runs in running.items())


def supervise(folder: Path, graph: Path) -> NoReturn:
    """Runs all parts until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    with contextlib.ExitStack() as stack:
        postgresql = Server()
        stack.callback(postgresql.close)
        s3 = stack.enter_context(S3Server())
        dask = stack.enter_context(Cluster())
        event_log = postgresql.new_database()
        environ = dict(s3.environ)
        flags = [f"--event_log={event_log}", f"--executor={dask.uri}", f"--state_dir={folder}/service"]
        service = stack.enter_context(running_service(graph, environ, flags))
        for name in ("here", "there"):
            text = _COMMAND_LINE.format(
                environ=" ".join(f"{key}={shlex.quote(value)}" for key, value in environ.items()),
                executor=shlex.quote(dask.uri),
                graph=shlex.quote(str(graph)),
                event_log=shlex.quote(event_log),
                state=shlex.quote(f"{folder}/{name}-state"),
            )
            (folder / name).write_text(text)
            (folder / name).chmod(0o700)  # it has the password of the database
        pids = {
            "PostgreSQL": int((postgresql.folder / "home/data/postmaster.pid").read_text().split()[0]),
            "S3": s3.pid,
            "scheduler": dask.scheduler.pid,
            **{f"worker {number}": worker.pid for number, worker in enumerate(dask.workers, 1)},
            "service": service["pid"],
        }
        facts = {"service": service, "parts": {name: [pid, start_time(pid)] for name, pid in pids.items()}}
        (folder / "cluster.json.new").write_text(json.dumps(facts))
        (folder / "cluster.json.new").rename(folder / "cluster.json")
        while True:
            signal.pause()


@contextlib.contextmanager
def running_service(graph: Path, environ: Mapping[str, str], flags: list[str]) -> Iterator[dict[str, Any]]:
    """Runs the service of a graph, which ends with this process in any case, and yields its addresses."""
    command = [f"{graph}.service", "--port=0", "--grpc_port=0", "--output=json", *flags]
    # The shell reads a pipe that closes with this process.
    script = '"$@" </dev/null & pid=$!; (read -r _ <&3; kill -TERM $pid) & wait $pid'
    reader, writer = os.pipe()
    process = subprocess.Popen(
        ["sh", "-c", f"exec 3<&{reader}; {script}", "sh", *command],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        pass_fds=(reader,),
    )
    os.close(reader)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise ClusterError("the service does not start; its reason is above")
        yield {**json.loads(line), "pid": process.pid}
    finally:
        os.close(writer)
        process.wait()


def supervisor(folder: Path) -> int:
    """Returns the process id of the supervisor; 0 if it does not run."""
    try:
        pid, started = (folder / _PID_FILE).read_text().split()
    except (FileNotFoundError, ValueError):
        return 0
    return int(pid) if start_time(int(pid)) == started else 0


def parts(folder: Path) -> Mapping[str, bool]:
    """Returns which parts of the cluster run, by name."""
    try:
        facts = json.loads((folder / "cluster.json").read_text())
    except FileNotFoundError:
        return {}
    return {name: start_time(pid) == started for name, (pid, started) in facts["parts"].items()}


def start_time(pid: int) -> str:
    """Returns the time at which a process started, in clock ticks since the boot; empty if it does not run.

    A process id alone may belong to a later process (proc(5)).
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else fields[19]


def main(arguments: list[str]) -> int:
    graph, command, *rest = [*arguments, ""] if len(arguments) == 1 else arguments
    folder = Path(rest[0] if rest else f"{tempfile.gettempdir()}/databuild-cluster-{os.getuid()}").absolute()
    commands: Mapping[str, Callable[[], str]] = {
        "start": lambda: start(folder, Path(graph).absolute()),
        "stop": lambda: stop(folder),
        "status": lambda: status(folder),
        "supervise": lambda: supervise(folder, Path(graph)),
    }
    if command not in commands or len(rest) > 1:
        print("usage: bazel run //examples/cluster -- start|stop|status [FOLDER]", file=sys.stderr)
        return 2
    try:
        print(commands[command](), end="")
    except (ClusterError, OSError, RuntimeError) as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
