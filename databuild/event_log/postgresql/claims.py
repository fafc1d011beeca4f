"""Claims and leases in PostgreSQL: who produces a partition, and until when a build counts as alive.

Used inside a transaction of the writer that has locked the builds that claim and the partitions that are claimed, so
that what is free stays free until the commit, and a build that others have ended claims nothing any more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import psycopg

from databuild.errors import CoordinationError
from databuild.event_log.coordination import TAKEN_OVER, Claim
from databuild.event_log.fair_shares import WAIT_SECONDS, FairShares, Sharer
from databuild.event_log.group_commit import ClaimAll, Operation, RenewLease
from databuild.event_log.postgresql.connection import RESOURCES
from databuild.event_log.postgresql.read_models import Step
from databuild.event_log.postgresql.statements import ManyRows, as_json
from databuild.model.lifecycle import BUILD_ENDS, build_status_name

_ENDED: Final = frozenset(build_status_name(status) for status in BUILD_ENDS)
_OF_BUILDS: Final = "WHERE build_request_id = ANY (ARRAY(SELECT json_array_elements_text(%s)))"
_KNOWN: Final = """
SELECT ref, c.build_request_id, p.version FROM json_array_elements_text(%s) AS wanted (ref)
LEFT JOIN claims c USING (ref) LEFT JOIN (SELECT ref, version FROM partitions WHERE available) AS p USING (ref)
"""
_TOKENS: Final = "SELECT nextval('tokens') FROM generate_series(1, %s)"
_CLAIM: Final = ManyRows(
    {"ref": "text", "build_request_id": "text", "job_run_id": "text", "token": "bigint"},
    """INSERT INTO claims (ref, build_request_id, job_run_id, token) SELECT * FROM {new} ORDER BY ref COLLATE "C"
    ON CONFLICT (ref) DO UPDATE SET job_run_id = excluded.job_run_id, token = excluded.token""",
)
_NOW: Final = "coalesce(%s::float8, extract(epoch FROM clock_timestamp())::float8)"
_SHARERS: Final = f"SELECT build_request_id, turn, waiting_for, waiting_until > {_NOW} FROM sharers"
_HOLD: Final = ManyRows(
    {"job_run_id": "text", "resource": "text", "build_request_id": "text", "amount": "bigint"},
    "INSERT INTO holdings (job_run_id, resource, build_request_id, amount) SELECT * FROM {new}",
)
_SHARE: Final = f"""
INSERT INTO sharers (build_request_id, turn, waiting_for, waiting_until) VALUES (%s, %s, %s, {_NOW} + %s)
ON CONFLICT (build_request_id) DO UPDATE
  SET turn = excluded.turn, waiting_for = excluded.waiting_for, waiting_until = excluded.waiting_until
"""
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
_RENEW: Final = f"""
INSERT INTO leases (build_request_id, expires, holder, submitter)
VALUES (%s, {_NOW} + %s, %s, %s)
ON CONFLICT (build_request_id) DO UPDATE
SET expires = excluded.expires, holder = excluded.holder, submitter = excluded.submitter
"""


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
        self._known: psycopg.Cursor[tuple[str, str | None, str | None]] | None = None
        self._tokens: psycopg.Cursor[tuple[int]] | None = None
        self._used: psycopg.Cursor[tuple[str, int]] | None = None
        self._sharers: psycopg.Cursor[tuple[str, int, str, bool]] | None = None
        self._shares = FairShares({}, ())
        self._rows: dict[str, tuple[str, str, str, int]] = {}
        requests = [request for _, one in self._operations if isinstance(one, ClaimAll) for request in one.requests]
        self.wanted: list[tuple[int, ClaimAll]] = []
        self.refs = {ref for request in requests for ref in request.refs}
        self.builds = {request.build_request_id for request in requests}
        self.builds.update(one.build_request_id for _, one in self._operations if isinstance(one, RenewLease))

    def lock(self) -> None:
        """Reads the leases of builds that are locked."""
        if self.refs or any(isinstance(one, RenewLease) and one.queued for _, one in self._operations):
            builds = as_json(sorted(self.builds))
            found = f"SELECT build_request_id, holder FROM leases {_OF_BUILDS}"
            self._leased = self._connection.execute(found, (builds,))

    def judge(self, statuses: Mapping[str, str], results: list[object]) -> None:
        """Refuses what builds that have ended ask for.

        Args:
            statuses: The statuses of builds after everything else in the transaction.
            results: Takes the refusals.
        """
        ended = {build: status for build, status in statuses.items() if status in _ENDED}
        holders = dict(self._leased or ())
        alive = {build for build in holders if build not in ended}
        for number, one in self._operations:
            if isinstance(one, RenewLease):
                build = one.build_request_id
                if build in ended:
                    results[number] = CoordinationError(build, f"it is {ended[build]}")
                elif one.queued and holders.get(build, one.holder) not in {one.holder, one.queued.left_by}:
                    results[number] = CoordinationError(build, TAKEN_OVER)
                else:
                    holders[build] = one.holder
                    self._renewals.append(one)
                    alive.add(build)
            elif gone := sorted({request.build_request_id for request in one.requests} - alive):
                results[number] = CoordinationError(gone[0], "it has no lease any more")
            else:
                self.wanted.append((number, one))

    def release(self, steps: Sequence[Step]) -> None:
        """Ends the claims that steps have no more need of; those of a build that has ended, with its lease."""
        ended = [step.build_request_id for step in steps if step.status in _ENDED]
        if ended:
            for table in ("claims", "leases", "sharers", "holdings"):
                self._connection.execute(f"DELETE FROM {table} {_OF_BUILDS}", (as_json(ended),))
        open_ = [(step.build_request_id, step.changes) for step in steps if step.status not in _ENDED]
        _RELEASE.execute(self._connection, [(ref, build) for build, changes in open_ for ref in changes.released])
        runs = [run.job_run_id for build, it in open_ if build in self._sharing for run in it.ended_runs]
        _GIVE_BACK.execute(self._connection, [(run,) for run in runs])
        _RELEASE_RUNS.execute(self._connection, [(build, run) for build, it in open_ for run in it.released_runs])

    def renew(self) -> None:
        """Takes the leases that were asked for, or takes them further."""
        now = self._now()
        for build, holder, seconds, queued in self._renewals:
            submitter = queued.submitter if queued is not None else ""
            self._connection.execute(_RENEW, (build, now, seconds, holder, submitter))

    def read(self) -> None:
        """Reads who holds what is wanted, after everything else that the transaction changes."""
        self._known = self._connection.execute(_KNOWN, (as_json(sorted(self.refs)),))
        if any(request.needs for _, one in self.wanted for request in one.requests):
            # Held to the end of the transaction, and taken after all other locks: whoever has it waits for nobody.
            self._connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", RESOURCES)
            self._used = self._connection.execute("SELECT resource, SUM(amount)::bigint FROM holdings GROUP BY 1")
            self._sharers = self._connection.execute(_SHARERS, (self._now(),))
        count = sum(len(one.requests) for _, one in self.wanted)
        self._tokens = self._connection.execute(_TOKENS, (count,))

    def grant(self, results: list[object]) -> None:
        """Grants what nobody else holds, and puts the answers among the results."""
        holders: dict[str, str] = {}
        versions: dict[str, str] = {}
        for ref, holder, version in self._known or ():
            if holder is not None:
                holders[ref] = holder
            if version is not None:
                versions[ref] = version
        if self._sharers is not None:
            known = [
                Sharer(build, turn, frozenset(json.loads(it) if on else ())) for build, turn, it, on in self._sharers
            ]
            self._shares = FairShares(dict(self._used or ()), known)
        tokens = iter(sorted(token for (token,) in self._tokens or ()))
        for number, one in self.wanted:
            answers: list[Claim] = []
            for request in one.requests:
                build, run, wanted, needs = request
                token = next(tokens)
                held_by = {ref: holder for ref in wanted if (holder := holders.get(ref, build)) != build}
                if held_by:
                    answers.append(Claim(0, held_by))
                    continue
                if needs and (short_of := self._shares.take(request, token)):
                    answers.append(Claim(0, short_of=short_of))
                    continue
                answers.append(Claim(token, versions={ref: versions[ref] for ref in wanted if ref in versions}))
                self._rows.update({ref: (ref, build, run, token) for ref in wanted})
                holders.update(dict.fromkeys(wanted, build))
            results[number] = answers

    def write(self) -> None:
        """Writes what was granted."""
        _CLAIM.execute(self._connection, list(self._rows.values()))
        _HOLD.execute(self._connection, self._shares.granted)
        for one in self._shares.asked.values():
            waiting = as_json(sorted(one.waiting_for))
            self._connection.execute(_SHARE, (one.build_request_id, one.turn, waiting, self._now(), WAIT_SECONDS))
            self._sharing.add(one.build_request_id)

    def _now(self) -> float | None:
        return None if self._clock is None else self._clock()
