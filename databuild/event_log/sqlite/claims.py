"""Reads and writes claims and leases in SQLite, and refuses operations. `grants.py` decides about claims and leases.

Each function is called inside a transaction of the writer, so that no other process changes what it has read.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Final

from databuild.errors import AdoptionRefusedError, DataBuildError
from databuild.event_log.coordination import Claim, ClaimRequest, Lease, LeaseOwner
from databuild.event_log.fair_shares import WAIT_SECONDS, FairShares
from databuild.event_log.grants import (
    Grants,
    claims_refusal,
    lease_refusal,
    promotion_refusal,
    removal_refusal,
    shares_of,
)
from databuild.event_log.sqlite.connection import QUERIES
from databuild.event_log.sqlite.statements import ManyRows
from databuild.v1 import events_pb2 as ev

# A claim replaces only an earlier one of the same build: `Grants` refuses refs that another build holds.
_CLAIM: Final = ManyRows("INSERT OR REPLACE INTO claims (ref, build_request_id, job_run_id, token)", 4)
_HOLD: Final = ManyRows("INSERT OR REPLACE INTO holdings (job_run_id, resource, build_request_id, amount)", 4)
_SHARE: Final = ManyRows("INSERT OR REPLACE INTO sharers (build_request_id, turn, waiting_for, waiting_until)", 4)


def grant(connection: sqlite3.Connection, requests: Sequence[ClaimRequest], now: float) -> list[Claim]:
    """Grants claims and resources, and returns the answers to the requests.

    Args:
        connection: The connection.
        requests: The requests.
        now: The time in seconds since the epoch.

    Raises:
        CoordinationError: A build has no lease.
    """
    builds = json.dumps(sorted({request.build_request_id for request in requests}))
    holders = dict(connection.execute(QUERIES["lease_holders"], {"keys": builds}).fetchall())
    if refusal := claims_refusal(requests, holders):
        raise refusal
    shares = FairShares({}, ())
    if any(request.needs for request in requests):
        used = connection.execute(QUERIES["resources_used"]).fetchall()
        shares = shares_of(used, connection.execute(QUERIES["sharers"], {"now": now}).fetchall())
    refs = json.dumps([ref for request in requests for ref in request.refs])
    grants = Grants(connection.execute(QUERIES["claim_candidates"], {"keys": refs}).fetchall(), shares)
    # One token for each request, granted or not: tokens must grow, but may have gaps.
    (last,) = connection.execute(QUERIES["take_tokens"], {"number": len(requests)}).fetchone()
    answers = grants.grant(requests, iter(range(last - len(requests) + 1, last + 1)))
    _CLAIM.execute(connection, list(grants.claims.values()))
    _HOLD.execute(connection, shares.granted)
    until = now + WAIT_SECONDS
    sharers = [(build, turn, json.dumps(sorted(names)), until) for build, turn, names in shares.updated.values()]
    _SHARE.execute(connection, sharers)
    return answers


def release_resources(connection: sqlite3.Connection, job_run_ids: Sequence[str]) -> None:
    """Releases the resources of job runs that have ended."""
    connection.execute(QUERIES["release_resources"], {"keys": json.dumps(job_run_ids)})


def release(
    connection: sqlite3.Connection, build_request_id: str, refs: Sequence[str], job_run_ids: Sequence[str]
) -> None:
    """Ends the claims of a build on refs, and all claims for some of its job runs."""
    for query, keys in (("release", refs), ("release_runs", job_run_ids)):
        if keys:
            connection.execute(QUERIES[query], {"build_request_id": build_request_id, "keys": json.dumps(keys)})


def end_build(connection: sqlite3.Connection, build_request_id: str) -> None:
    """Ends the lease and all claims of a build, and releases its resources."""
    build = {"build_request_id": build_request_id}
    connection.execute(QUERIES["end_claims"], build)
    connection.execute(QUERIES["end_lease"], build)
    if connection.execute(QUERIES["end_sharing"], build).rowcount:  # most builds use no resources
        connection.execute(QUERIES["end_holdings"], build)


def renew(connection: sqlite3.Connection, lease: Lease, owner: LeaseOwner | None) -> None:
    """Acquires or renews a lease.

    Args:
        connection: The connection.
        lease: The lease.
        owner: The owner of the lease, with the holder from which it may be taken over.

    Raises:
        CoordinationError: The build has ended, or another process has taken the lease over.
    """
    build = lease.build_request_id
    status, _ = connection.execute(QUERIES["build_state"], {"build_request_id": build}).fetchone() or (None, 0)
    holders = {}
    if owner is not None:
        holders = dict(connection.execute(QUERIES["lease_holders"], {"keys": json.dumps([build])}).fetchall())
    if refusal := lease_refusal(build, lease.holder, owner, status, holders):
        raise refusal
    connection.execute(QUERIES["renew_lease"], lease._asdict())


def operation_refusal(connection: sqlite3.Connection, event: ev.BuildEvent) -> DataBuildError | None:
    """Returns an error if an event is an adoption of data that exists, an old promotion, or concerns claimed data.

    Call it after all earlier appends of the transaction have been applied.
    """
    kind = event.WhichOneof("event")
    if kind == "removal" and not event.removal.completed:
        refs = json.dumps([removed.ref for removed in event.removal.partitions])
        claimed = dict(connection.execute(QUERIES["claimed"], {"keys": refs}).fetchall())
        return removal_refusal(claimed)
    if kind == "adoption" and event.adoption.expected:
        refs = json.dumps([used.ref for used in event.adoption.expected])
        return promotion_refusal(event.adoption, connection.execute(QUERIES["claim_candidates"], {"keys": refs}))
    if kind != "adoption" or event.adoption.force:
        return None
    refs = json.dumps([ref.str for ref in event.adoption.partitions])
    conflicts = dict(connection.execute(QUERIES["adoption_conflicts"], {"keys": refs}).fetchall())
    return AdoptionRefusedError(conflicts) if conflicts else None
