"""Conversion between checks of stores and their messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from databuild.errors import InvalidRequestError
from databuild.model.store_check import (
    ADOPT,
    POLICIES,
    REBUILD,
    REPORT,
    FindingKind,
    StoreCheck,
    StoreCheckOptions,
    StoreFinding,
)
from databuild.v1 import service_pb2 as sv

_POLICIES: Final = {
    sv.CHANGED_POLICY_UNSPECIFIED: REPORT,
    sv.CHANGED_POLICY_REPORT: REPORT,
    sv.CHANGED_POLICY_REBUILD: REBUILD,
    sv.CHANGED_POLICY_ADOPT: ADOPT,
}
_KINDS: Final[dict[FindingKind, sv.StoreFinding.Kind]] = {
    "missing": sv.StoreFinding.KIND_MISSING,
    "changed": sv.StoreFinding.KIND_CHANGED,
    "unreadable": sv.StoreFinding.KIND_UNREADABLE,
}
_KIND_NAMES: Final = {number: name for name, number in _KINDS.items()}


def store_check_to_message(
    partitions: Sequence[str], options: StoreCheckOptions, after: str
) -> sv.VerifyPartitionsRequest:
    """Returns the request for a part of a check.

    Raises:
        InvalidRequestError: The policy for changed data is unknown.
    """
    policy = next((number for number, name in _POLICIES.items() if number and name == options.changed), None)
    if policy is None:
        raise InvalidRequestError(f"changed is {options.changed!r}; it must be one of {', '.join(POLICIES)}")
    return sv.VerifyPartitionsRequest(
        partitions=partitions,
        content=options.content,
        changed=policy,
        dry_run=options.dry_run,
        page_token=after,
        confirm_losses=options.confirm_losses,
    )


def options_from_message(message: sv.VerifyPartitionsRequest) -> StoreCheckOptions:
    """Returns the options of a request.

    Raises:
        InvalidRequestError: The policy for changed data is unknown.
    """
    policy = _POLICIES.get(message.changed)
    if policy is None:
        raise InvalidRequestError(f"changed is {message.changed}; it must be a value of ChangedPolicy")
    return StoreCheckOptions(message.content, policy, message.dry_run, message.confirm_losses)


def check_to_message(check: StoreCheck) -> sv.VerifyPartitionsResponse:
    return sv.VerifyPartitionsResponse(
        checked=check.checked,
        not_looked_at=check.not_looked_at,
        findings=[
            sv.StoreFinding(ref=finding.ref, kind=_KINDS[finding.kind], uri=finding.uri, detail=finding.detail)
            for finding in check.findings
        ],
        next_page_token=check.next_after,
        hints=check.hints,
        without_facts=check.without_facts,
    )


def check_from_message(message: sv.VerifyPartitionsResponse) -> StoreCheck:
    findings = (
        StoreFinding(finding.ref, _KIND_NAMES[finding.kind], finding.uri, finding.detail)
        for finding in message.findings
    )
    return StoreCheck(
        int(message.checked),
        int(message.not_looked_at),
        tuple(findings),
        message.next_page_token,
        tuple(message.hints),
        int(message.without_facts),
    )
