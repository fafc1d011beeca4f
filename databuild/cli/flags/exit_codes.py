"""Exit codes: their meanings, and the exit code of each error."""

from __future__ import annotations

from databuild import errors

BUILT = 0
JOB_FAILED = 1
BAD_REQUEST = 2
OUR_FAILURE = 3
PLAN_CHANGED = 4
INTERRUPTED = 130

MEANINGS = {
    BUILT: "Everything that was requested was done.",
    JOB_FAILED: "A job failed, a check of the graph or the event log found a fault, or a reproduction differs. The "
    "output names it.",
    BAD_REQUEST: "The request is invalid. The same request would fail again.",
    OUR_FAILURE: "DataBuild or its disk failed. A retry may help.",
    PLAN_CHANGED: "The plan is out of date. Create a new plan.",
    INTERRUPTED: "The build was interrupted or cancelled. Its job processes have ended.",
}

# The first match counts, so subclasses stand before their base classes.
_CODES_OF_ERRORS: tuple[tuple[type[BaseException], int], ...] = (
    (errors.InvalidRequestError, BAD_REQUEST),
    (errors.UnauthenticatedError, BAD_REQUEST),
    (errors.PermissionDeniedError, BAD_REQUEST),
    (errors.JobConfigurationError, JOB_FAILED),
    (errors.LookupFaultError, JOB_FAILED),
    (errors.PlanChangedError, PLAN_CHANGED),
    (errors.DataBuildError, OUR_FAILURE),
    (KeyboardInterrupt, INTERRUPTED),
)


def exit_code_of(error: BaseException) -> int:
    """Returns the exit code of an error; OUR_FAILURE for an error that DataBuild does not raise on purpose."""
    return next((code for error_type, code in _CODES_OF_ERRORS if isinstance(error, error_type)), OUR_FAILURE)
