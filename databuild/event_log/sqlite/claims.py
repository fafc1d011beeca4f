"""Claims and leases in SQLite: who produces a partition, and until when a build counts as alive.

Each function is called inside a transaction of the writer.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from databuild.errors import CoordinationError
from databuild.event_log.coordination import TAKEN_OVER, Claim, ClaimRequest, Lease, Queued
from databuild.event_log.fair_shares import WAIT_SECONDS, FairShares, Sharer
from databuild.event_log.sqlite.statements import ManyRows

_CLAIM = ManyRows("INSERT OR REPLACE INTO claims (ref, build_request_id, job_run_id, token)", 4)
_HOLD = ManyRows("INSERT OR REPLACE INTO holdings (job_run_id, resource, build_request_id, amount)", 4)
_SHARE = ManyRows("INSERT OR REPLACE INTO sharers (build_request_id, turn, waiting_for, waiting_until)", 4)
_KNOWN = """
SELECT j.value, c.build_request_id, p.version FROM json_each(?) j
LEFT JOIN claims c ON c.ref = j.value LEFT JOIN partitions p ON p.ref = j.value AND p.available
"""


def grant(connection: sqlite3.Connection, requests: Sequence[ClaimRequest], now: float) -> list[Claim]:
    """Grants what nobody else holds.

    Args:
        connection: The connection.
        requests: What is asked for.
        now: Seconds since the epoch.

    Raises:
        CoordinationError: A build has no lease any more.
    """
    builds = {request.build_request_id for request in requests}
    alive = {
        row[0]
        for row in connection.execute(
            "SELECT build_request_id FROM leases WHERE build_request_id IN (SELECT value FROM json_each(?))",
            (json.dumps(sorted(builds)),),
        )
    }
    for build in sorted(builds - alive):
        raise CoordinationError(build, "it has no lease any more")
    refs = [ref for request in requests for ref in request.refs]
    holders: dict[str, str] = {}
    versions: dict[str, str] = {}
    for ref, holder, version in connection.execute(_KNOWN, (json.dumps(refs),)):
        if holder is not None:
            holders[ref] = holder
        if version is not None:
            versions[ref] = version
    (last,) = connection.execute(
        "UPDATE tokens SET last = last + ? RETURNING last - ?", (len(requests), len(requests))
    ).fetchone()
    shares = _shares(connection, now) if any(request.needs for request in requests) else None
    answers: list[Claim] = []
    rows: list[tuple[str, str, str, int]] = []
    for token, request in enumerate(requests, last + 1):
        build, run, wanted, needs = request
        held_by = {ref: holder for ref in wanted if (holder := holders.get(ref, build)) != build}
        if held_by:
            answers.append(Claim(0, held_by))
            continue
        if needs and shares is not None and (short_of := shares.take(request, token)):
            answers.append(Claim(0, short_of=short_of))
            continue
        answers.append(Claim(token, versions={ref: versions[ref] for ref in wanted if ref in versions}))
        rows += [(ref, build, run, token) for ref in wanted]
        holders.update(dict.fromkeys(wanted, build))
    _CLAIM.execute(connection, rows)
    if shares is not None:
        _HOLD.execute(connection, shares.granted)
        until = now + WAIT_SECONDS
        _SHARE.execute(
            connection,
            [(one[0], one.turn, json.dumps(sorted(one.waiting_for)), until) for one in shares.asked.values()],
        )
    return answers


def _shares(connection: sqlite3.Connection, now: float) -> FairShares:
    used = connection.execute("SELECT resource, SUM(amount) FROM holdings GROUP BY resource")
    sharers = connection.execute("SELECT build_request_id, turn, waiting_for, waiting_until FROM sharers")
    return FairShares(
        dict(used),
        [
            Sharer(build, turn, frozenset(json.loads(waiting) if until > now else ()))
            for build, turn, waiting, until in sharers
        ],
    )


def give_back(connection: sqlite3.Connection, job_run_ids: Sequence[str]) -> None:
    """Takes back the resources of job runs that have ended."""
    connection.execute(
        "DELETE FROM holdings WHERE job_run_id IN (SELECT value FROM json_each(?))", (json.dumps(job_run_ids),)
    )


def release(
    connection: sqlite3.Connection, build_request_id: str, refs: Sequence[str], job_run_ids: Sequence[str]
) -> None:
    """Ends a build's claims of refs, and those for job runs."""
    if refs:
        connection.execute(
            "DELETE FROM claims WHERE ref IN (SELECT value FROM json_each(?)) AND build_request_id = ?",
            (json.dumps(refs), build_request_id),
        )
    if job_run_ids:
        connection.execute(
            "DELETE FROM claims WHERE build_request_id = ? AND job_run_id IN (SELECT value FROM json_each(?))",
            (build_request_id, json.dumps(job_run_ids)),
        )


def end(connection: sqlite3.Connection, build_request_id: str) -> None:
    """Ends the lease of a build and all of its claims, and takes back its resources."""
    connection.execute("DELETE FROM claims WHERE build_request_id = ?", (build_request_id,))
    connection.execute("DELETE FROM leases WHERE build_request_id = ?", (build_request_id,))
    if connection.execute("DELETE FROM sharers WHERE build_request_id = ?", (build_request_id,)).rowcount:
        connection.execute("DELETE FROM holdings WHERE build_request_id = ?", (build_request_id,))


def renew(connection: sqlite3.Connection, lease: Lease, ends: Sequence[str], queued: Queued | None) -> None:
    """Takes a lease, or takes it further.

    Args:
        connection: The connection.
        lease: The lease.
        ends: The statuses in which a build has ended.
        queued: From whom it may be taken over, where the build is of a queue.

    Raises:
        CoordinationError: The build has ended, or another process has taken it over.
    """
    row = connection.execute(
        "SELECT status FROM builds WHERE build_request_id = ?", (lease.build_request_id,)
    ).fetchone()
    if row is not None and row[0] in ends:
        raise CoordinationError(lease.build_request_id, f"it is {row[0]}")
    if queued is not None:
        held = connection.execute(
            "SELECT holder FROM leases WHERE build_request_id = ?", (lease.build_request_id,)
        ).fetchone()
        if held is not None and held[0] not in {lease.holder, queued.left_by}:
            raise CoordinationError(lease.build_request_id, TAKEN_OVER)
    connection.execute(
        "INSERT OR REPLACE INTO leases (build_request_id, expires, holder, submitter) VALUES (?, ?, ?, ?)", tuple(lease)
    )
