"""One build of many tasks, by the command line and by a service that is asked in several ways.

How long it took is read from the event log, from its first event to its last, so that nobody's start-up counts.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from benchmarks.databuild_runs import Graph, python_environment
from benchmarks.processes import BrokenRunError, Run, run_process
from benchmarks.served import FLAGS, Service, submit, watch

BY_COMMAND_LINE: Final = "build by the command line"
BY_SERVICE: Final = "build by the service"

_ASK_SECONDS = 0.2
_ENDS = {"BUILD_STATUS_COMPLETED", "BUILD_STATUS_FAILED", "BUILD_STATUS_CANCELLED"}


class _Build:
    """Builds once, in a state directory of its own; a class for each way is below."""

    name = ""

    def __init__(self, graph: Graph, at_once: int) -> None:
        self._graph = graph
        self._at_once = at_once
        self._states = itertools.count()

    def run(self, environment: Mapping[str, str]) -> Run:
        """Builds, and asks the event log how long that took."""
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
        """Builds, and returns the most memory that the process that ran the build held, in bytes."""
        raise NotImplementedError

    def _events(self, state: str, variables: Mapping[str, str]) -> Sequence[dict[str, Any]]:
        output = self._graph.folder / "events.jsonl"
        run_process(self._graph.command(state, "events", "--output=json"), variables, output)
        return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]


class _ByCommandLine(_Build):
    name = BY_COMMAND_LINE

    def _build(self, state: str, variables: Mapping[str, str]) -> int:
        command = self._graph.command(state, "build", f"--jobs={self._at_once}", self._graph.request)
        return run_process(command, variables, self._graph.folder / "output").peak_memory_bytes


class _Served(_Build):
    def _build(self, state: str, variables: Mapping[str, str]) -> int:
        service = Service(self._graph.command(state, "serve", *FLAGS), variables)
        self._ask(service, variables)
        return service.end()

    def _ask(self, service: Service, variables: Mapping[str, str]) -> None:
        """Submits the build, and returns when it has ended."""
        raise NotImplementedError


class _ByService(_Served):
    name = BY_SERVICE

    def _ask(self, service: Service, _variables: Mapping[str, str]) -> None:
        with service.connect() as connection:
            build = submit(connection, self._at_once, self._graph.request)
            status = ""
            while status not in _ENDS:
                time.sleep(_ASK_SECONDS)
                connection.request("GET", f"/api/v1/builds/{build}")
                status = json.loads(connection.getresponse().read())["status"]


class _ByClient(_Served):
    name = f"{BY_SERVICE}, watched by build --server"

    def _ask(self, service: Service, variables: Mapping[str, str]) -> None:
        command = self._graph.command_to(service.grpc, "build", f"--jobs={self._at_once}", self._graph.request)
        run_process(command, variables, self._graph.folder / "output")


class _ByHttp(_Served):
    name = f"{BY_SERVICE}, watched over HTTP"

    def _ask(self, service: Service, _variables: Mapping[str, str]) -> None:
        with service.connect() as connection:
            build = submit(connection, self._at_once, self._graph.request)
            for _ in watch(connection, build):
                pass


WAYS_TO_BUILD: Final[tuple[type[_Build], ...]] = (_ByCommandLine, _ByService, _ByClient, _ByHttp)
