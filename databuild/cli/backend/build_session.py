"""A build from the point of view of `build` and `retry`: progress, result and exit code."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from databuild.cli.backend.build_outcome import BuildOutcome, Stopped
from databuild.cli.backend.exporting import print_results_url
from databuild.cli.backend.invocation import Invocation
from databuild.cli.backend.summary import exit_code_of_result, print_summary
from databuild.cli.display.build_display import BuildDisplay
from databuild.cli.display.error_text import error_text
from databuild.cli.flags.exit_codes import BUILT, OUR_FAILURE, exit_code_of
from databuild.errors import InvalidRequestError, OrchestrationError
from databuild.model.build_request_id import check_build_request_id, new_build_request_id
from databuild.orchestration.coordination.build_ids import LATEST


def show_build(call: Invocation, run: Callable[[BuildDisplay], BuildOutcome]) -> int:
    """Runs a build, prints its result and returns the exit code.

    Args:
        call: The invocation.
        run: Runs the build, with its progress on the display.
    """
    write_reports = _report_writer(call)
    display = BuildDisplay(call.err, call.environ, call.backend().earlier_runs, partial(print_results_url, call))
    try:
        outcome = run(display)
    finally:
        display.progress.stop()
    written = write_reports(outcome.build_request_id)
    if isinstance(outcome, Stopped):
        code = _report_error(call, outcome)
        print_results_url(call, outcome.build_request_id)
        return code
    print_summary(call, outcome, display.progress.counts)
    print_results_url(call, outcome.build_request_id)
    complete = written and (outcome.exported or call.flags["exporter_failure"] == "warn")
    return exit_code_of_result(outcome.result) or (BUILT if complete else OUR_FAILURE)


def _report_writer(call: Invocation) -> Callable[[str], bool]:
    """Returns a function that writes the reports about a build that flags ask for, and returns False if it cannot.

    Raises:
        UsageError: A report cannot be written to the file that a flag names.
    """
    if not call.flags["report"] and not call.flags["junit_xml"]:
        return lambda _build_request_id: True
    from databuild.cli.backend.build_reports import report_files, write_reports

    files = report_files(call)
    return lambda build_request_id: write_reports(call, build_request_id, files)


def chosen_id(chosen: str, status_of: Callable[[str], str | None]) -> str:
    """Returns the id for a new build: the chosen one, or a generated one if none is chosen.

    Args:
        chosen: The value of `--build_request_id`.
        status_of: Returns the status of an existing build; None if there is none.

    Raises:
        InvalidRequestError: The chosen id is invalid, or belongs to another build.
    """
    if not chosen:
        return new_build_request_id()
    check_build_request_id(chosen)
    if chosen == LATEST:
        message = f"{LATEST!r} is not a valid build id: it means the newest build"
        raise InvalidRequestError(message)
    status = status_of(chosen)
    if status is not None:
        message = f"build {chosen} exists, with status {status}; choose another --build_request_id, or leave it out"
        raise InvalidRequestError(message)
    return chosen


def _report_error(call: Invocation, stopped: Stopped) -> int:
    code = exit_code_of(stopped.error)
    message = error_text(stopped.error)
    # If the event log is at fault, it may not contain the end of the build.
    status = "STOPPED" if isinstance(stopped.error, OrchestrationError) else "FAILED"
    if call.json:
        facts = {"build_request_id": stopped.build_request_id, "status": status, "exit_code": code}
        call.out.json({**facts, "message": message})
    call.err.line(f"databuild: {message}")
    call.err.line(f"databuild: build {stopped.build_request_id} {status}")
    return code
