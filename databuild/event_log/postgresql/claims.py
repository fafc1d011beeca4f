"""Reads and writes claims and leases in PostgreSQL. `grants.py` decides.

Used inside a transaction of the writer that has locked the builds that claim and the partitions that are claimed, so
that what is free stays free until the commit, and a build that others have ended claims nothing any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import psycopg

from databuild.event_log.fair_shares import WAIT_SECONDS, FairShares
from databuild.event_log.grants import Grants, claims_refusal, lease_refusal, shares_of
from databuild.event_log.group_commit import ClaimAll, Operation, RenewLease
from databuild.event_log.postgresql.connection import QUERIES, RESOURCES
from databuild.event_log.postgresql.read_models import Step
from databuild.event_log.postgresql.statements import ManyRows, as_json
from databuild.model import statuses

_CLAIM: Final = ManyRows(
    {"ref": "text", "build_request_id": "text", "job_run_id": "text", "token": "bigint"},
    """INSERT INTO claims (ref, build_request_id, job_run_id, token) SELECT * FROM {new} ORDER BY ref COLLATE "C"
    ON CONFLICT (ref) DO UPDATE SET job_run_id = excluded.job_run_id, token = excluded.token""",
)
_HOLD: Final = ManyRows(
    {"job_run_id": "text", "resource": "text", "build_request_id": "text", "amount": "bigint"},
    "INSERT INTO holdings (job_run_id, resource, build_request_id, amount) SELECT * FROM {new}",
)
_GIVE_BACK: Final = ManyRows(
    {"job_run_id": "text"}, "DELETE FROM holdings USING {new} WHERE holdings.job_run_id = new.job_run_id"
)
_RELEASE: Final = ManyRows(
    {"ref": "text", "build_request_id": "text"},
    "DELETE FROM claims USING {new} WHERE claims.ref = new.ref AND claims.build_request_id = new.build_request_id",
)
_RELEASE_RUNS: Final = ManyRows(
    {"build_request_id": "text", "job_run_id": "text"},
    """DELETE FROM claims USING {new}
    WHERE claims.build_request_id = new.build_request_id AND claims.job_run_id = new.job_run_id""",
)


class Claims:
    """The claims and leases of one transaction, from the locks to the last statement."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        operations: Sequence[Operation],
        clock: Callable[[], float] | None,
        sharing: set[str],
    ) -> None:
        """Takes the operations that are about claims or leases.

        Args:
            connection: The connection.
            operations: All operations of the transaction.
            clock: The clock of leases; None for the server's.
            sharing: The builds of this writer that share resources; those that come to do so are added.
        """
        self._connection = connection
        self._clock = clock
        self._sharing = sharing
        self._operations = [(n, one) for n, one in enumerate(operations) if isinstance(one, ClaimAll | RenewLease)]
        self._renewals: list[RenewLease] = []
        self._leased: psycopg.Cursor[tuple[str, str]] | None = None
        self._candidates: psycopg.Cursor[tuple[str, str | None, str | None]] | None = None
        self._tokens: psycopg.Cursor[tuple[int]] | None = None
        self._used: psycopg.Cursor[tuple[str, int]] | None = None
        self._sharers: psycopg.Cursor[tuple[str, int, str, bool]] | None = None
        self._grants = Grants((), FairShares({}, ()))
        requests = [request for _, one in self._operations if isinstance(one, ClaimAll) for request in one.requests]
        self.wanted: list[tuple[int, ClaimAll]] = []
        self.refs = {ref for request in requests for ref in request.refs}
        self.builds = {request.build_request_id for request in requests}
        self.builds.update(one.build_request_id for _, one in self._operations if isinstance(one, RenewLease))

    def lock(self) -> None:
        """Reads the leases of builds that are locked."""
        if self.refs or any(isinstance(one, RenewLease) and one.owner for _, one in self._operations):
            self._leased = self._execute("lease_holders", keys=as_json(sorted(self.builds)))

    def judge(self, statuses_of: Mapping[str, str], results: list[object]) -> None:
        """Refuses what builds that have ended ask for.

        Args:
            statuses_of: The statuses of builds after everything else in the transaction.
            results: Takes the refusals.
        """
        holders = dict(self._leased or ())
        alive = {build for build in holders if statuses_of.get(build) not in statuses.BUILD.ended}
        for number, one in self._operations:
            if isinstance(one, RenewLease):
                build, holder, _, owner = one
                results[number] = lease_refusal(build, holder, owner, statuses_of.get(build), holders)
                if results[number] is None:
                    holders[build] = holder
                    self._renewals.append(one)
                    alive.add(build)
            else:
                results[number] = claims_refusal(one.requests, alive)
                if results[number] is None:
                    self.wanted.append((number, one))

    def release(self, steps: Sequence[Step]) -> None:
        """Ends the claims that steps have no more need of; those of a build that has ended, with its lease."""
        ended = [step.build_request_id for step in steps if step.status in statuses.BUILD.ended]
        if ended:
            for query in ("end_claims", "end_leases", "end_sharing", "end_holdings"):
                self._execute(query, keys=as_json(ended))
        open_ = [(step.build_request_id, step.changes) for step in steps if step.status not in statuses.BUILD.ended]
        _RELEASE.execute(self._connection, [(ref, build) for build, changes in open_ for ref in changes.released])
        runs = [run.job_run_id for build, it in open_ if build in self._sharing for run in it.ended_runs]
        _GIVE_BACK.execute(self._connection, [(run,) for run in runs])
        _RELEASE_RUNS.execute(self._connection, [(build, run) for build, it in open_ for run in it.released_runs])

    def renew(self) -> None:
        """Takes the leases that were asked for, or takes them further."""
        now = self._now()
        for build, holder, seconds, owner in self._renewals:
            submitter = owner.name if owner is not None else ""
            lease = {"build_request_id": build, "seconds": seconds, "holder": holder, "submitter": submitter}
            self._execute("renew_lease", now=now, **lease)

    def read(self) -> None:
        """Reads who holds what is wanted, after everything else that the transaction changes."""
        self._candidates = self._execute("claim_candidates", keys=as_json(sorted(self.refs)))
        if any(request.needs for _, one in self.wanted for request in one.requests):
            kind, resources = RESOURCES
            self._execute("lock_resources", kind=kind, resources=resources)
            self._used = self._execute("resources_used")
            self._sharers = self._execute("sharers", now=self._now())
        self._tokens = self._execute("take_tokens", number=sum(len(one.requests) for _, one in self.wanted))

    def grant(self, results: list[object]) -> None:
        """Grants what nobody else holds, and puts the answers among the results."""
        self._grants = Grants(self._candidates or (), shares_of(self._used or (), self._sharers or ()))
        tokens = iter(sorted(token for (token,) in self._tokens or ()))
        for number, one in self.wanted:
            results[number] = self._grants.grant(one.requests, tokens)

    def write(self) -> None:
        """Writes what was granted."""
        _CLAIM.execute(self._connection, list(self._grants.claims.values()))
        _HOLD.execute(self._connection, self._grants.shares.granted)
        for build, turn, waiting_for in self._grants.shares.asked.values():
            waiting = {"build_request_id": build, "turn": turn, "waiting_for": as_json(sorted(waiting_for))}
            self._execute("share", now=self._now(), seconds=WAIT_SECONDS, **waiting)
            self._sharing.add(build)

    def _execute(self, query: str, **values: Any) -> psycopg.Cursor[Any]:
        return self._connection.execute(QUERIES[query].encode(), values)

    def _now(self) -> float | None:
        return None if self._clock is None else self._clock()
