"""What the exit codes mean, and which error ends in which."""

from __future__ import annotations

from databuild import errors

BUILT = 0
JOB_FAILED = 1
BAD_REQUEST = 2
OUR_FAILURE = 3
PLAN_CHANGED = 4
INTERRUPTED = 130

MEANINGS = {
    BUILT: "Everything that was asked for was done.",
    JOB_FAILED: "A job failed, or a check of the graph or of the event log did; what it printed names the fault.",
    BAD_REQUEST: "The request makes no sense: the same request would fail again.",
    OUR_FAILURE: "DataBuild itself failed, or its disk did; a retry may help.",
    PLAN_CHANGED: "The plan is out of date. Create a new plan.",
    INTERRUPTED: "The build was interrupted or cancelled; its job processes are gone.",
}

# The first row that fits decides, so that special errors stand before general ones.
_OF_ERRORS: tuple[tuple[type[BaseException], int], ...] = (
    (errors.InvalidRequestError, BAD_REQUEST),
    (errors.JobConfigurationError, JOB_FAILED),
    (errors.LookupFaultError, JOB_FAILED),
    (errors.PlanChangedError, PLAN_CHANGED),
    (errors.DataBuildError, OUR_FAILURE),
    (KeyboardInterrupt, INTERRUPTED),
)


def exit_code_of(error: BaseException) -> int:
    """Returns the exit code that an error ends in; anything unforeseen is our failure."""
    return next((code for kind, code in _OF_ERRORS if isinstance(error, kind)), OUR_FAILURE)
