"""Conversion of errors to codes and facts and back, so that a client raises the error that the service raised.

Both sides use the same table. It does not know the transport.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from databuild import errors

INTERNAL: Final = "INTERNAL"

# The first matching row decides, so subclasses come before their base classes. Codes are never renamed.
CODES: Final[tuple[tuple[type[errors.DataBuildError], str], ...]] = (
    (errors.UnknownPartitionError, "UNKNOWN_PARTITION"),
    (errors.AmbiguousPartitionError, "AMBIGUOUS_PARTITION"),
    (errors.InvalidPatternError, "INVALID_PATTERN"),
    (errors.OverlappingPatternsError, "OVERLAPPING_PATTERNS"),
    (errors.DependencyCycleError, "DEPENDENCY_CYCLE"),
    (errors.InvalidCatalogError, "INVALID_CATALOG"),
    (errors.TooManyPartitionsError, "TOO_MANY_PARTITIONS"),
    (errors.NothingDownstreamError, "NOTHING_DOWNSTREAM"),
    (errors.BuildNotFoundError, "BUILD_NOT_FOUND"),
    (errors.BuildPrunedError, "BUILD_PRUNED"),
    (errors.AdoptionRefusedError, "ADOPTION_REFUSED"),
    (errors.PromotionRefusedError, "PROMOTION_REFUSED"),
    (errors.EnvironmentNotFoundError, "ENVIRONMENT_NOT_FOUND"),
    (errors.EnvironmentInUseError, "ENVIRONMENT_IN_USE"),
    (errors.RemovalRefusedError, "REMOVAL_REFUSED"),
    (errors.JobRunNotFoundError, "JOB_RUN_NOT_FOUND"),
    (errors.JobNotFoundError, "JOB_NOT_FOUND"),
    (errors.BuildConflictError, "BUILD_CONFLICT"),
    (errors.BuildStateError, "BUILD_STATE"),
    (errors.InvalidRequestError, "INVALID_REQUEST"),
    (errors.JobConfigurationError, "JOB_CONFIGURATION"),
    (errors.LookupFaultError, "LOOKUP_FAULT"),
    (errors.PlanChangedError, "PLAN_CHANGED"),
    (errors.ExecutorError, "EXECUTOR"),
    (errors.StorageError, "STORAGE"),
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

_ERROR_TYPES: Final = {code: error_type for error_type, code in CODES}


def code_of(error: BaseException) -> str:
    """Returns the code of an error; INTERNAL for errors that are not raised on purpose."""
    return next((code for error_type, code in CODES if isinstance(error, error_type)), INTERNAL)


def facts_of(error: BaseException, *, max_text: int = 1000, max_items: int = 50) -> dict[str, Any]:
    """Returns the attributes of an error, its remedy included, as JSON values.

    Args:
        error: The error. An error that is not raised on purpose has no facts: its attributes may hold secrets.
        max_text: The maximum length of a string; longer ones are cut.
        max_items: The maximum length of a list or mapping; longer ones are cut.
    """
    if not isinstance(error, errors.DataBuildError):
        return {}
    return {
        name: _to_json(value, max_text, max_items) for name, value in vars(error).items() if not name.startswith("_")
    }


def restore_error(code: str, message: str, facts: Mapping[str, Any]) -> errors.DataBuildError:
    """Returns an error from its code, message and facts.

    Args:
        code: The code; an unknown code (of a newer service) gives a ServiceError.
        message: The message of the error.
        facts: The result of `facts_of`.
    """
    error_type = _ERROR_TYPES.get(code, errors.ServiceError)
    error = error_type.__new__(error_type, message)  # __init__ would build the message again, from facts that were cut
    vars(error).update({name: _from_json(value) for name, value in facts.items()})
    return error


def _to_json(value: Any, max_text: int, max_items: int) -> Any:
    if isinstance(value, str):
        return value[:max_text]
    if isinstance(value, Mapping):
        return {str(key): _to_json(item, max_text, max_items) for key, item in list(value.items())[:max_items]}
    if isinstance(value, (list, tuple)):
        return [_to_json(item, max_text, max_items) for item in value[:max_items]]
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)[:max_text]


def _from_json(value: Any) -> Any:
    """Returns a JSON value as errors hold it: tuples for lists, and whole doubles of protobuf as integers."""
    if isinstance(value, Mapping):
        return {key: _from_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(_from_json(item) for item in value)
    return int(value) if isinstance(value, float) and value.is_integer() else value
