"""Reports about builds: for the command `report`, and as files that `build` and `retry` leave."""

from __future__ import annotations

import os
import tempfile

from databuild.cli.backend.invocation import Invocation
from databuild.cli.flags.usage_error import UsageError
from databuild.errors import BuildPrunedError
from databuild.model.records import BuildRecord
from databuild.reports.build_report import BuildReport, collect_report
from databuild.reports.report_formats import ENDINGS, render
from databuild.tuples import NamedTuple


class ReportFile(NamedTuple):
    """A report that a build is to leave: its absolute path and its format."""

    path: str
    report_format: str


def build_report(call: Invocation, build: BuildRecord) -> BuildReport:
    """Reads the facts of a report about a build.

    Raises:
        BuildPrunedError: The events of the build were pruned.
    """
    backend = call.backend()
    return collect_report(backend.records, build, backend.tail_of_log)


def report_files(call: Invocation) -> list[ReportFile]:
    """Returns the reports that the flags ask for.

    Raises:
        UsageError: The ending of a file names no format, or the folder of a file cannot be written.
    """
    files = [ReportFile(call.path(path), "junit") for path in filter(None, [call.flags["junit_xml"]])]
    for path in call.flags["report"]:
        ending = os.path.splitext(path)[1]  # noqa: PTH122 (pathlib costs 8 ms)
        if ending not in ENDINGS:
            endings = ", ".join(ENDINGS)
            raise UsageError(f"--report takes a file whose name ends in one of {endings}, not {path!r}", call.command)
        files.append(ReportFile(call.path(path), ENDINGS[ending]))
    for file in files:
        folder = os.path.dirname(file.path)  # noqa: PTH120
        if os.path.isdir(file.path):  # noqa: PTH112
            raise UsageError(f"the report {file.path} cannot be written: it is a folder", call.command)
        if not os.access(folder, os.W_OK | os.X_OK):
            fault = f"{folder} is not a folder that you may write to"
            raise UsageError(f"the report {file.path} cannot be written: {fault}", call.command)
    return files


def write_reports(call: Invocation, build_request_id: str, files: list[ReportFile]) -> bool:
    """Writes reports about a build that has ended. Each file is replaced as a whole.

    Returns:
        False if a report could not be written; the reason has been printed.
    """
    build = call.backend().records.build(build_request_id) if files else None
    if build is None:  # no report is wanted, or the build could not even be recorded
        return not files
    try:
        report = build_report(call, build)
        for file in files:
            _replace(file.path, render(report, file.report_format))
    except (OSError, BuildPrunedError) as error:
        call.err.line(f"databuild: the report could not be written: {error}")
        return False
    return True


def _replace(path: str, text: str) -> None:
    folder, name = os.path.split(path)
    descriptor, new = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
            umask = os.umask(0)
            os.umask(umask)
            os.fchmod(descriptor, 0o666 & ~umask)
        os.replace(new, path)  # noqa: PTH105
    except OSError:
        os.unlink(new)  # noqa: PTH108
        raise
