"""Decides which claims and leases are granted. It does not read or write: each database does.

Reading, deciding and writing happen in one transaction, in which no other process changes the rows that were read.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from databuild.errors import CoordinationError, PromotionRefusedError, RemovalRefusedError
from databuild.event_log.coordination import LEASE_TAKEN_OVER, Claim, ClaimRequest, LeaseOwner
from databuild.event_log.fair_shares import FairShares, Sharer
from databuild.model import statuses
from databuild.tuples import NamedTuple

if TYPE_CHECKING:
    from databuild.v1 import events_pb2 as ev


class ClaimRow(NamedTuple):
    """A row of the table of claims."""

    ref: str
    build_request_id: str
    job_run_id: str
    token: int


class Grants:
    """Grants the claims of one transaction.

    Attributes:
        claims: The rows to write, by ref; they replace earlier rows of the same build.
        shares: The resources that were granted, and the builds that asked for any.
    """

    def __init__(self, candidates: Iterable[tuple[str, str | None, str | None]], shares: FairShares) -> None:
        """Grants nothing yet.

        Args:
            candidates: The requested refs, each with the build that holds it, if any, and the version of its data.
            shares: The resources that are held.
        """
        self.claims: dict[str, ClaimRow] = {}
        self.shares = shares
        self._holders: dict[str, str] = {}
        self._versions: dict[str, str] = {}
        for ref, holder, version in candidates:
            if holder is not None:
                self._holders[ref] = holder
            if version is not None:
                self._versions[ref] = version

    def grant(self, requests: Sequence[ClaimRequest], tokens: Iterator[int]) -> list[Claim]:
        """Returns the answers to requests, in their order; a request takes a token even if it is refused.

        Args:
            requests: The requests of builds that have a lease.
            tokens: New fencing tokens, in ascending order.
        """
        return [self._answer(request, next(tokens)) for request in requests]

    def _answer(self, request: ClaimRequest, token: int) -> Claim:
        build, run, refs, needs = request
        held_by = {ref: holder for ref in refs if (holder := self._holders.get(ref, build)) != build}
        if held_by:  # before resources: a request that waits for another build must not hold any
            return Claim(0, held_by)
        if needs and (short_of := self.shares.take(request, token)):
            return Claim(0, short_of=short_of)
        self.claims.update((ref, ClaimRow(ref, build, run, token)) for ref in refs)
        self._holders.update(dict.fromkeys(refs, build))  # for later requests of this transaction
        return Claim(token, versions={ref: self._versions[ref] for ref in refs if ref in self._versions})


def shares_of(used: Iterable[tuple[str, int]], sharers: Iterable[tuple[str, int, str, bool]]) -> FairShares:
    """Returns the FairShares for rows of `{resources_used}` and `{sharers}`."""
    return FairShares(
        dict(used),
        [
            Sharer(build, turn, frozenset(json.loads(waiting_for) if waiting else ()))
            for build, turn, waiting_for, waiting in sharers
        ],
    )


def claims_refusal(requests: Sequence[ClaimRequest], alive: Iterable[str]) -> CoordinationError | None:
    """Returns an error if a build that requests claims has no lease; `alive` are the builds that have one."""
    dead = sorted({request.build_request_id for request in requests}.difference(alive))
    return CoordinationError(dead[0], "its lease has ended") if dead else None


def promotion_refusal(
    adoption: ev.AdoptionEvent, candidates: Iterable[tuple[str, str | None, str | None]], changed: Collection[str] = ()
) -> PromotionRefusedError | None:
    """Returns an error if a promotion relies on data that has changed or that a build claims.

    Args:
        adoption: The promotion.
        candidates: The partitions on which it relies, each with the build that claims it, if any, and the version of
            its data.
        changed: Further partitions that have changed.
    """
    expected = {used.ref: used.version for used in adoption.expected}
    faults: dict[str, str] = {}
    for ref, holder, version in candidates:
        if holder is not None:
            faults[ref] = f"build {holder} claims it in the base"
        elif ref in changed or (version or "") != expected[ref]:
            faults[ref] = "it has changed in the base meanwhile"
    return PromotionRefusedError(faults) if faults else None


def removal_refusal(claimed: Mapping[str, str]) -> RemovalRefusedError | None:
    """Returns an error if a build claims data that is to be removed.

    Args:
        claimed: The build that claims a partition, by ref.
    """
    if not claimed:
        return None
    return RemovalRefusedError({ref: f"build {build} is making it" for ref, build in sorted(claimed.items())})


def lease_refusal(
    build_request_id: str, holder: str, owner: LeaseOwner | None, status: str | None, holders: Mapping[str, str]
) -> CoordinationError | None:
    """Returns an error if a lease cannot be taken or renewed.

    Args:
        build_request_id: The build.
        holder: The process that requests the lease.
        owner: The owner of the lease, which cannot be taken from a living holder; None for no owner.
        status: The status of the build; None before its first event.
        holders: The holders of leases, by build.
    """
    if status in statuses.BUILD.ended:
        return CoordinationError(build_request_id, f"it is {status}")
    if owner is not None and holders.get(build_request_id, holder) not in {holder, owner.previous_holder}:
        return CoordinationError(build_request_id, LEASE_TAKEN_OVER)
    return None
