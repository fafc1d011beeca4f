"""Reports about builds, rendered for the dashboard."""

from __future__ import annotations

import asyncio
from typing import Final

from databuild.errors import StorageError
from databuild.model.records import JobRunRecord
from databuild.orchestration.logs.stored_logs import LogReader
from databuild.reports.build_report import collect_report
from databuild.reports.report_formats import render
from databuild.service.builds.builds import BuildService
from databuild.tuples import NamedTuple

_TAIL_BYTES: Final = 8192


class RenderedReport(NamedTuple):
    """The text of a report about a build."""

    build_request_id: str
    text: str


class Reports:
    """Renders reports about builds.

    Args:
        builds: Reads the builds.
        log_reader: Reads the logs of failed job runs.
    """

    def __init__(self, builds: BuildService, log_reader: LogReader) -> None:
        self._builds = builds
        self._log_reader = log_reader

    async def render(self, selector: str, report_format: str) -> RenderedReport:
        """Renders a report about a build, which may still run.

        Args:
            selector: The id of the build, the beginning of an id, or `latest`.
            report_format: One of the formats of `report_formats`.

        Raises:
            BuildNotFoundError: The build does not exist.
            BuildPrunedError: The events of the build were pruned.
        """
        report = await self._builds.query(
            selector, lambda reader, build: collect_report(reader, build, self._tail_of_log)
        )
        text = await asyncio.to_thread(render, report, report_format)
        return RenderedReport(report.build.build_request_id, text)

    def _tail_of_log(self, job_run: JobRunRecord, stream: str) -> bytes:
        """Returns the last bytes; none if the log cannot be read, so that the rest of the report is still made."""
        try:
            size = self._log_reader.size(job_run, stream)
            return self._log_reader.read(job_run, stream, max(size - _TAIL_BYTES, 0))
        except (OSError, StorageError):
            return b""
