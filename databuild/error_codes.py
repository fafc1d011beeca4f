"""The code of each error, and errors from codes: how errors pass from one process to another as what they are.

One table for whoever sends them and whoever raises them again. It does not know over what they are sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from databuild import errors

INTERNAL: Final = "INTERNAL"

# The first row that fits decides, so that special errors stand before general ones. Codes are never renamed.
CODES: Final[tuple[tuple[type[errors.DataBuildError], str], ...]] = (
    (errors.UnknownPartitionError, "UNKNOWN_PARTITION"),
    (errors.AmbiguousPartitionError, "AMBIGUOUS_PARTITION"),
    (errors.InvalidPatternError, "INVALID_PATTERN"),
    (errors.OverlappingPatternsError, "OVERLAPPING_PATTERNS"),
    (errors.DependencyCycleError, "DEPENDENCY_CYCLE"),
    (errors.InvalidCatalogError, "INVALID_CATALOG"),
    (errors.TooManyPartitionsError, "TOO_MANY_PARTITIONS"),
    (errors.BuildNotFoundError, "BUILD_NOT_FOUND"),
    (errors.BuildPrunedError, "BUILD_PRUNED"),
    (errors.AdoptionRefusedError, "ADOPTION_REFUSED"),
    (errors.JobRunNotFoundError, "JOB_RUN_NOT_FOUND"),
    (errors.JobNotFoundError, "JOB_NOT_FOUND"),
    (errors.BuildConflictError, "BUILD_CONFLICT"),
    (errors.BuildStateError, "BUILD_STATE"),
    (errors.InvalidRequestError, "INVALID_REQUEST"),
    (errors.JobConfigurationError, "JOB_CONFIGURATION"),
    (errors.LookupFaultError, "LOOKUP_FAULT"),
    (errors.PlanChangedError, "PLAN_CHANGED"),
    (errors.OverloadedError, "OVERLOADED"),
    (errors.ShuttingDownError, "SHUTTING_DOWN"),
    (errors.UnauthenticatedError, "UNAUTHENTICATED"),
    (errors.PermissionDeniedError, "PERMISSION_DENIED"),
    (errors.RequestTooLargeError, "REQUEST_TOO_LARGE"),
    (errors.DeadlineExceededError, "DEADLINE_EXCEEDED"),
    (errors.SlowReaderError, "SLOW_READER"),
    (errors.SchemaTooNewError, "SCHEMA_TOO_NEW"),
    (errors.EventLogError, "EVENT_LOG"),
    (errors.CoordinationError, "COORDINATION"),
    (errors.ProcessesLeftError, "PROCESSES_LEFT"),
    (errors.InvalidStateTransitionError, "INVALID_STATE_TRANSITION"),
    (errors.OrchestrationError, "ORCHESTRATION"),
    (errors.DataBuildError, INTERNAL),
)

_KINDS: Final = {code: kind for kind, code in CODES}


def code_of(error: BaseException) -> str:
    """Returns the code of an error; anything unforeseen is our fault."""
    return next((code for kind, code in CODES if isinstance(error, kind)), INTERNAL)


def facts_of(error: BaseException, *, max_text: int = 1000, max_items: int = 50) -> dict[str, Any]:
    """Returns what an error is about, as JSON has it: each of its attributes, with its remedy if it has one.

    Args:
        error: The error. Of one that was not raised on purpose, nothing is told.
        max_text: How many characters of a text are kept.
        max_items: How many items of a list are kept.
    """
    if not isinstance(error, errors.DataBuildError):
        return {}
    return {name: _cut(value, max_text, max_items) for name, value in vars(error).items() if not name.startswith("_")}


def restored(code: str, message: str, facts: Mapping[str, Any]) -> errors.DataBuildError:
    """Returns the error that a code, a message and facts were made from.

    Args:
        code: The code; one that is not known makes a ServiceError.
        message: What the error said.
        facts: What `facts_of` returned.
    """
    kind = _KINDS.get(code, errors.ServiceError)
    error = kind.__new__(kind, message)  # its own __init__ would build the message anew
    vars(error).update({name: _uncut(value) for name, value in facts.items()})
    return error


def _cut(value: Any, max_text: int, max_items: int) -> Any:
    if isinstance(value, str):
        return value[:max_text]
    if isinstance(value, Mapping):
        return {str(key): _cut(item, max_text, max_items) for key, item in list(value.items())[:max_items]}
    if isinstance(value, (list, tuple)):
        return [_cut(item, max_text, max_items) for item in value[:max_items]]
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)[:max_text]


def _uncut(value: Any) -> Any:
    """Returns a value of JSON as an error has it: a tuple for a list, a whole number where it is one."""
    if isinstance(value, Mapping):
        return {key: _uncut(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(_uncut(item) for item in value)
    return int(value) if isinstance(value, float) and value.is_integer() else value
