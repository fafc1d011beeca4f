"""One build of many tasks, by the command line and by a service with several kinds of clients.

The duration is the time from the first event to the last, so that no start-up counts.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.c_programs import compile_program
from benchmarks.databuild_runs import Graph, python_environment
from benchmarks.processes import BrokenRunError, Run, run_process
from benchmarks.service_process import FLAGS, Service, submit

BY_COMMAND_LINE: Final = "build by the command line"
BY_SERVICE: Final = "build by the service"
WATCHED_BY_TEN: Final = f"{BY_SERVICE}, watched by 10 over HTTP"

_POLL_SECONDS = 0.2
_TERMINAL_STATUSES = {"BUILD_STATUS_COMPLETED", "BUILD_STATUS_FAILED", "BUILD_STATUS_CANCELLED"}


class _Build:
    """Base of the contestants, which build once in a state directory of their own."""

    name = ""

    def __init__(self, graph: Graph, parallelism: int) -> None:
        self._graph = graph
        self._parallelism = parallelism
        self._states = itertools.count()

    def run(self, environment: Mapping[str, str]) -> Run:
        variables = python_environment(environment, self._graph.folder)
        state = f"{self.name}-{next(self._states)}".replace(" ", "-")
        peak = self._build(state, variables)
        events = self._events(state, variables)
        end = events[-1].get("build_request", {})
        if end.get("status") != "BUILD_STATUS_COMPLETED" or end["jobs_completed"] != self._graph.tasks:
            raise BrokenRunError(f"the build did not complete {self._graph.tasks} tasks: {events[-1]}")
        first, last = (datetime.fromisoformat(event["time"]).timestamp() for event in (events[0], events[-1]))
        return Run(seconds=last - first, peak_memory_bytes=peak, events=len(events))

    def _build(self, state: str, variables: Mapping[str, str]) -> int:
        """Builds, and returns the peak memory, in bytes, of the process that ran the build."""
        raise NotImplementedError

    def _events(self, state: str, variables: Mapping[str, str]) -> Sequence[dict[str, Any]]:
        output = self._graph.folder / "events.jsonl"
        run_process(self._graph.command(state, "events", "--output=json"), variables, output)
        return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]


class _ByCommandLine(_Build):
    name = BY_COMMAND_LINE

    def _build(self, state: str, variables: Mapping[str, str]) -> int:
        command = self._graph.command(state, "build", f"--jobs={self._parallelism}", self._graph.request)
        return run_process(command, variables, self._graph.folder / "output").peak_memory_bytes


class _Served(_Build):
    def _build(self, state: str, variables: Mapping[str, str]) -> int:
        service = Service(self._graph.command(state, "serve", *FLAGS), variables)
        self._submit(service, variables)
        return service.end()

    def _submit(self, service: Service, variables: Mapping[str, str]) -> None:
        """Submits the build and waits for its end."""
        raise NotImplementedError


class _ByService(_Served):
    name = BY_SERVICE

    def _submit(self, service: Service, _variables: Mapping[str, str]) -> None:
        with service.connect() as connection:
            build = submit(connection, self._parallelism, self._graph.request)
            status = ""
            while status not in _TERMINAL_STATUSES:
                time.sleep(_POLL_SECONDS)
                connection.request("GET", f"/api/v1/builds/{build}")
                status = json.loads(connection.getresponse().read())["status"]


class _ByClient(_Served):
    name = f"{BY_SERVICE}, watched by build --server"

    def _submit(self, service: Service, variables: Mapping[str, str]) -> None:
        command = self._graph.command_to(service.grpc, "build", f"--jobs={self._parallelism}", self._graph.request)
        run_process(command, variables, self._graph.folder / "output")


class _Watched(_Served):
    """Clients over HTTP read all events and parse none: in Python, ten of them would take the time of the build."""

    _clients: int

    def __init__(self, graph: Graph, parallelism: int, watchers: Path) -> None:
        """Starts nothing yet. `watchers` is the program of the clients, compiled from `plain_watchers.c`."""
        super().__init__(graph, parallelism)
        self._watchers = watchers

    def _submit(self, service: Service, variables: Mapping[str, str]) -> None:
        output = self._graph.folder / "output"
        with service.connect() as connection:
            build = submit(connection, self._parallelism, self._graph.request)
            run_process((str(self._watchers), str(service.port), build, str(self._clients)), variables, output)
            connection.request("GET", f"/api/v1/builds/{build}")
            last = json.loads(connection.getresponse().read())["last_sequence"]
        if output.read_text() != f"{last}\n":
            raise BrokenRunError(f"the watchers of build {build} got {output.read_text()} events instead of {last}")


class _ByHttp(_Watched):
    name = f"{BY_SERVICE}, watched over HTTP"
    _clients = 1


class _ByTen(_Watched):
    name = WATCHED_BY_TEN
    _clients = 10


def ways_to_build(graph: Graph, parallelism: int, folder: Path) -> Sequence[_Build]:
    """Returns the contestants; those with clients over HTTP only if the machine has a C compiler.

    Args:
        graph: The graph.
        parallelism: The number of jobs at once.
        folder: The folder for the program of the clients.
    """
    builds: list[_Build] = [way(graph, parallelism) for way in (_ByCommandLine, _ByService, _ByClient)]
    watchers = folder / "plain_watchers"
    if compile_program("plain_watchers.c", watchers):
        builds += [way(graph, parallelism, watchers) for way in (_ByHttp, _ByTen)]
    return builds
