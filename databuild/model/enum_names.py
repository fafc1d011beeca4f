"""Names of values of protobuf enums without the prefix of their enum, such as `CODE_CHANGED`.

Names of statuses are in `statuses.py`, which imports no protobuf.
"""

from __future__ import annotations

from databuild.v1 import partition_pb2 as pt


def reason_name(reason: int) -> str:
    return pt.Reason.Name(reason).removeprefix("REASON_")


def category_name(category: int) -> str:
    return pt.FailureCategory.Name(category).removeprefix("FAILURE_CATEGORY_")


def severity_name(severity: int) -> str:
    return pt.CheckResult.Severity.Name(severity).removeprefix("SEVERITY_")


def as_words(name: str) -> str:
    """Returns the name of a value as words, such as `code changed`."""
    return name.lower().replace("_", " ")
