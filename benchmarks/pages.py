"""Pages of the dashboard, with few and with very many partition records."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.databuild_runs import python_environment
from benchmarks.processes import BrokenRunError, Run
from benchmarks.service_process import Service

ENVIRONMENT: Final = "pr"
"""The environment that is compared with the base."""

PREVIEWED: Final = "A text that a page shows."
"""The data that the preview shows."""

PAGES: Final[Mapping[str, str]] = {
    "page: home": "/",
    "page: partitions": "/partitions",
    "page: partitions, a prefix": "/partitions?q=leaf/7/",
    "page: partitions, a status": "/partitions?status=FAILED",
    "page: partition": "/partition?ref=leaf/7/3",
    "page: partition, trends": "/partition?ref=day/2025-12-31",
    "page: partition, preview": "/partition?ref=day/2025-12-31&preview=1",
    "page: job, trends": "/job?label=//load:day",
    "page: builds": "/builds",
    "environment diff": f"/api/v1/environments/{ENVIRONMENT}/comparison",
}
"""The path of each page, by the name of its row. A person waits for the comparison of an environment as for
a page."""


_CONTENTS: Final[Mapping[str, str]] = {"page: partition, preview": PREVIEWED, "environment diff": '"leaf/0"'}
"""A text that the page must contain, by the name of its row."""


class ServedLog:
    """A service over one event log, started when it is first used."""

    def __init__(self, argv: Sequence[str], folder: Path) -> None:
        self._argv = argv
        self._folder = folder
        self._service: Service | None = None

    def service(self, environment: Mapping[str, str]) -> Service:
        if self._service is None:
            self._service = Service(self._argv, python_environment(environment, self._folder))
        return self._service

    def end(self) -> None:
        if self._service is not None:
            self._service.end()


class Page:
    """One page of a service."""

    def __init__(self, name: str, served: ServedLog) -> None:
        self.name = name
        self._served = served

    def run(self, environment: Mapping[str, str]) -> Run:
        """Requests the page over a new connection, as a browser would at first."""
        service = self._served.service(environment)
        with service.connect() as connection:
            started = time.perf_counter()
            connection.request("GET", PAGES[self.name])
            answer = connection.getresponse()
            body = answer.read().decode()
            seconds = time.perf_counter() - started
        if answer.status != http.client.OK:
            raise BrokenRunError(f"{self.name} was answered with status {answer.status}")
        if _CONTENTS.get(self.name, "") not in body:
            raise BrokenRunError(f"{self.name} does not have {_CONTENTS[self.name]!r}:\n{body[:500]}")
        return Run(seconds=seconds, peak_memory_bytes=service.peak_memory_bytes())
