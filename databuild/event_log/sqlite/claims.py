"""Reads and writes claims and leases in SQLite. `grants.py` decides.

Each function is called inside a transaction of the writer.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Final

from databuild.event_log.coordination import Claim, ClaimRequest, Lease, LeaseOwner
from databuild.event_log.fair_shares import WAIT_SECONDS, FairShares
from databuild.event_log.grants import Grants, claims_refusal, lease_refusal, shares_of
from databuild.event_log.sqlite.connection import QUERIES
from databuild.event_log.sqlite.statements import ManyRows

_CLAIM: Final = ManyRows("INSERT OR REPLACE INTO claims (ref, build_request_id, job_run_id, token)", 4)
_HOLD: Final = ManyRows("INSERT OR REPLACE INTO holdings (job_run_id, resource, build_request_id, amount)", 4)
_SHARE: Final = ManyRows("INSERT OR REPLACE INTO sharers (build_request_id, turn, waiting_for, waiting_until)", 4)


def grant(connection: sqlite3.Connection, requests: Sequence[ClaimRequest], now: float) -> list[Claim]:
    """Grants what nobody else holds.

    Args:
        connection: The connection.
        requests: The claims that are requested.
        now: Seconds since the epoch.

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
    (last,) = connection.execute(QUERIES["take_tokens"], {"number": len(requests)}).fetchone()
    answers = grants.grant(requests, iter(range(last - len(requests) + 1, last + 1)))
    _CLAIM.execute(connection, list(grants.claims.values()))
    _HOLD.execute(connection, shares.granted)
    until = now + WAIT_SECONDS
    asked = [(build, turn, json.dumps(sorted(names)), until) for build, turn, names in shares.asked.values()]
    _SHARE.execute(connection, asked)
    return answers


def give_back(connection: sqlite3.Connection, job_run_ids: Sequence[str]) -> None:
    """Takes back the resources of job runs that have ended."""
    connection.execute(QUERIES["give_back"], {"keys": json.dumps(job_run_ids)})


def release(
    connection: sqlite3.Connection, build_request_id: str, refs: Sequence[str], job_run_ids: Sequence[str]
) -> None:
    """Ends a build's claims of refs, and those for job runs."""
    for query, keys in (("release", refs), ("release_runs", job_run_ids)):
        if keys:
            connection.execute(QUERIES[query], {"build_request_id": build_request_id, "keys": json.dumps(keys)})


def end(connection: sqlite3.Connection, build_request_id: str) -> None:
    """Ends the lease of a build and all of its claims, and takes back its resources."""
    build = {"build_request_id": build_request_id}
    connection.execute(QUERIES["end_claims"], build)
    connection.execute(QUERIES["end_lease"], build)
    if connection.execute(QUERIES["end_sharing"], build).rowcount:
        connection.execute(QUERIES["end_holdings"], build)


def renew(connection: sqlite3.Connection, lease: Lease, owner: LeaseOwner | None) -> None:
    """Takes or renews a lease.

    Args:
        connection: The connection.
        lease: The lease.
        owner: The owner of the lease, with the holder from which it may be taken over.

    Raises:
        CoordinationError: The build has ended, or another process has taken it over.
    """
    build = lease.build_request_id
    status, _ = connection.execute(QUERIES["build_state"], {"build_request_id": build}).fetchone() or (None, 0)
    holders = {}
    if owner is not None:
        holders = dict(connection.execute(QUERIES["lease_holders"], {"keys": json.dumps([build])}).fetchall())
    if refusal := lease_refusal(build, lease.holder, owner, status, holders):
        raise refusal
    connection.execute(QUERIES["renew_lease"], lease._asdict())
