"""One build of many tasks, by the command line and by a service with several kinds of clients.

The duration is the time from the first event to the last, so that no start-up counts.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final

from benchmarks.databuild_runs import Graph, python_environment
from benchmarks.processes import BrokenRunError, Run, run_process
from benchmarks.service_process import FLAGS, Service, submit, watch

BY_COMMAND_LINE: Final = "build by the command line"
BY_SERVICE: Final = "build by the service"
WATCHED_BY_TEN: Final = f"{BY_SERVICE}, watched by 10 over HTTP"

_POLL_SECONDS = 0.2
_WATCHERS = 10
_READ_BYTES = 64 * 1024
_END = b"\n\nevent: end"
_END_BYTES = 2000
"""More than the last event of a build and the end of its stream."""

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


class _ByHttp(_Served):
    name = f"{BY_SERVICE}, watched over HTTP"

    def _submit(self, service: Service, _variables: Mapping[str, str]) -> None:
        with service.connect() as connection:
            build = submit(connection, self._parallelism, self._graph.request)
            end: dict[str, Any] = {}
            for _, event in watch(connection, build):
                end = event
        if end.get("build_request", {}).get("status") not in _TERMINAL_STATUSES:
            raise BrokenRunError(f"the events of build {build} end too early: {end}")


class _ByTen(_Served):
    """Ten clients read all events and parse none: ten programs in Python would take the time of the build."""

    name = WATCHED_BY_TEN

    def _submit(self, service: Service, _variables: Mapping[str, str]) -> None:
        with service.connect() as connection:
            build = submit(connection, self._parallelism, self._graph.request)
        with ThreadPoolExecutor(_WATCHERS) as threads:
            ends = set(threads.map(lambda _: self._read(service, build), range(_WATCHERS)))
        if len(ends) > 1 or _END not in ends.pop():
            raise BrokenRunError(f"the watchers of build {build} did not all get its end")

    def _read(self, service: Service, build: str) -> bytes:
        """Watches a build, and returns the last bytes: its last event, and the end of the stream."""
        end = b""
        with service.connect() as connection:
            connection.request("GET", f"/api/v1/builds/{build}/watch")
            response = connection.getresponse()
            while data := response.read1(_READ_BYTES):
                end = (end + data[-_END_BYTES:])[-_END_BYTES:]
        return end[end.rfind(b"id: ") :]


WAYS_TO_BUILD: Final[tuple[type[_Build], ...]] = (_ByCommandLine, _ByService, _ByClient, _ByHttp, _ByTen)
