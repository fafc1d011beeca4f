"""Runs a build for a person: shows it, prints its result and returns the exit code."""

from __future__ import annotations

from collections.abc import Callable

from databuild.cli.backend.build_end import BuildEnd, Stopped
from databuild.cli.backend.invocation import Invocation
from databuild.cli.backend.summary import exit_code_of_result, print_summary
from databuild.cli.display.build_display import BuildDisplay
from databuild.cli.display.error_text import error_text
from databuild.cli.flags.exit_codes import exit_code_of
from databuild.errors import InvalidRequestError, OrchestrationError
from databuild.model.build_request_id import check_build_request_id, new_build_request_id
from databuild.orchestration.coordination.build_ids import LATEST


def show_build(call: Invocation, run: Callable[[BuildDisplay], BuildEnd]) -> int:
    """Runs a build, prints its result and returns the exit code.

    Args:
        call: The invocation.
        run: Runs the build, and shows it on the display.
    """
    display = BuildDisplay(call.err, call.environ, call.backend().earlier_runs)
    try:
        end = run(display)
    finally:
        display.progress.stop()
    if isinstance(end, Stopped):
        return _report_error(call, end)
    print_summary(call, end, display.progress.counts)
    return exit_code_of_result(end.result)


def chosen_id(chosen: str, status_of: Callable[[str], str | None]) -> str:
    """Returns the id for a new build: the chosen one, or a generated one if none is chosen.

    Args:
        chosen: The value of `--build_request_id`.
        status_of: Returns the status of an existing build; None if there is none.

    Raises:
        InvalidRequestError: The chosen id is malformed, or belongs to another build.
    """
    if not chosen:
        return new_build_request_id()
    check_build_request_id(chosen)
    if chosen == LATEST:
        message = f"{LATEST!r} is not a valid build id: it means the newest build"
        raise InvalidRequestError(message)
    status = status_of(chosen)
    if status is not None:
        message = f"there is a build {chosen} already, and it is {status}; choose another id, or leave it out"
        raise InvalidRequestError(message)
    return chosen


def _report_error(call: Invocation, end: Stopped) -> int:
    code = exit_code_of(end.error)
    message = error_text(end.error)
    # If the event log is at fault, it may not contain the end of the build.
    status = "STOPPED" if isinstance(end.error, OrchestrationError) else "FAILED"
    if call.json:
        facts = {"build_request_id": end.build_request_id, "status": status, "exit_code": code}
        call.out.json({**facts, "message": message})
    call.err.line(f"databuild: {message}")
    call.err.line(f"databuild: build {end.build_request_id} {status}")
    return code
