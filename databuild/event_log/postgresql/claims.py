"""Reads and writes claims and leases in PostgreSQL, and refuses operations. `grants.py` decides about the first two.

Used inside a transaction of the writer that has locked the claiming builds and the claimed partitions. So free
partitions stay free until the commit, and a build that another process has ended cannot claim any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, Final

import psycopg

from databuild.errors import AdoptionRefusedError, DataBuildError
from databuild.event_log.fair_shares import WAIT_SECONDS, FairShares
from databuild.event_log.grants import (
    Grants,
    claims_refusal,
    lease_refusal,
    promotion_refusal,
    removal_refusal,
    shares_of,
)
from databuild.event_log.group_commit import ClaimAll, Operation, RemoveLease, RenewLease
from databuild.event_log.postgresql.connection import QUERIES, RESOURCES
from databuild.event_log.postgresql.read_models import Step
from databuild.event_log.postgresql.statements import ManyRows, as_json
from databuild.model import statuses
from databuild.v1 import events_pb2 as ev

_CLAIM: Final = ManyRows(
    {"ref": "text", "build_request_id": "text", "job_run_id": "text", "token": "bigint"},
    """INSERT INTO claims (ref, build_request_id, job_run_id, token) SELECT * FROM {new} ORDER BY ref COLLATE "C"
    ON CONFLICT (ref) DO UPDATE SET job_run_id = excluded.job_run_id, token = excluded.token""",
)
_HOLD: Final = ManyRows(
    {"job_run_id": "text", "resource": "text", "build_request_id": "text", "amount": "bigint"},
    "INSERT INTO holdings (job_run_id, resource, build_request_id, amount) SELECT * FROM {new}",
)
_RELEASE_RESOURCES: Final = ManyRows(
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
    """The claims and leases of one transaction.

    The writer calls the methods in this order: `read_leases`, `check_leases`, `release`, `renew` and, if claims are
    left, `read_candidates`, `grant` and `write`. Statements are pipelined, so that each step between two trips to the
    server is a method of its own.

    Attributes:
        accepted: The claim operations that are not refused, with their numbers in the transaction.
        refs: The refs that are requested.
        builds: The builds that request claims or leases.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        operations: Sequence[Operation],
        clock: Callable[[], float] | None,
        sharing: set[str],
    ) -> None:
        """Selects the operations on claims and leases.

        Args:
            connection: The connection.
            operations: All operations of the transaction.
            clock: The clock of leases; None for the server's.
            sharing: The builds of this writer that use resources; new ones are added.
        """
        self._connection = connection
        self._clock = clock
        self._sharing = sharing
        self._operations = [
            (number, operation)
            for number, operation in enumerate(operations)
            if isinstance(operation, ClaimAll | RenewLease | RemoveLease)
        ]
        self._lease_changes: list[RenewLease | RemoveLease] = []
        self._leased: psycopg.Cursor[tuple[str, str]] | None = None
        self._candidates: psycopg.Cursor[tuple[str, str | None, str | None]] | None = None
        self._tokens: psycopg.Cursor[tuple[int]] | None = None
        self._used: psycopg.Cursor[tuple[str, int]] | None = None
        self._sharers: psycopg.Cursor[tuple[str, int, str, bool]] | None = None
        self._grants = Grants((), FairShares({}, ()))
        requests = [
            request
            for _, operation in self._operations
            if isinstance(operation, ClaimAll)
            for request in operation.requests
        ]
        self.accepted: list[tuple[int, ClaimAll]] = []
        self.refs = {ref for request in requests for ref in request.refs}
        self.builds = {request.build_request_id for request in requests}
        self.builds.update(
            operation.build_request_id for _, operation in self._operations if isinstance(operation, RenewLease)
        )

    def read_leases(self) -> None:
        """Reads the leases of the builds, after the builds were locked."""
        if self.refs or any(isinstance(operation, RenewLease) and operation.owner for _, operation in self._operations):
            self._leased = self._execute("lease_holders", keys=as_json(sorted(self.builds)))

    def check_leases(self, statuses_of: Mapping[str, str], results: list[object]) -> None:
        """Refuses leases and claims of builds that have ended or lost their lease.

        Args:
            statuses_of: The statuses of the builds after the appends of the transaction.
            results: Receives the refusals.
        """
        holders = dict(self._leased or ())
        alive = {build for build in holders if statuses_of.get(build) not in statuses.BUILD.ended}
        for number, operation in self._operations:
            if isinstance(operation, RenewLease):
                build, holder, _, owner = operation
                results[number] = lease_refusal(build, holder, owner, statuses_of.get(build), holders)
                if results[number] is None:
                    holders[build] = holder
                    self._lease_changes.append(operation)
                    alive.add(build)
            elif isinstance(operation, RemoveLease):
                self._lease_changes.append(operation)
            else:
                results[number] = claims_refusal(operation.requests, alive)
                if results[number] is None:
                    self.accepted.append((number, operation))

    def release(self, steps: Sequence[Step]) -> None:
        """Ends the claims and resources that steps release; for builds that have ended, also their leases."""
        ended = [step.build_request_id for step in steps if step.status in statuses.BUILD.ended]
        if ended:
            for query in ("end_claims", "end_leases", "end_sharing", "end_holdings"):
                self._execute(query, keys=as_json(ended))
        open_ = [(step.build_request_id, step.changes) for step in steps if step.status not in statuses.BUILD.ended]
        _RELEASE.execute(self._connection, [(ref, build) for build, changes in open_ for ref in changes.released])
        runs = [run.job_run_id for build, changes in open_ if build in self._sharing for run in changes.ended_runs]
        _RELEASE_RESOURCES.execute(self._connection, [(run,) for run in runs])
        _RELEASE_RUNS.execute(
            self._connection, [(build, run) for build, changes in open_ for run in changes.released_runs]
        )

    def renew(self) -> None:
        """Writes the leases that are not refused, and removes others, in the order of the operations."""
        now = self._now()
        for change in self._lease_changes:
            if isinstance(change, RemoveLease):
                self._execute("remove_lease", **change._asdict())
                continue
            build, holder, seconds, owner = change
            submitter = owner.name if owner is not None else ""
            lease = {"build_request_id": build, "seconds": seconds, "holder": holder, "submitter": submitter}
            self._execute("renew_lease", now=now, **lease)

    def read_candidates(self) -> None:
        """Reads the holders of the requested refs and resources, after all other changes of the transaction."""
        self._candidates = self._execute("claim_candidates", keys=as_json(sorted(self.refs)))
        if any(request.needs for _, operation in self.accepted for request in operation.requests):
            space, key = RESOURCES
            self._execute("lock_resources", space=space, key=key)
            self._used = self._execute("resources_used")
            self._sharers = self._execute("sharers", now=self._now())
        number = sum(len(operation.requests) for _, operation in self.accepted)
        self._tokens = self._execute("take_tokens", number=number)

    def grant(self, results: list[object]) -> None:
        """Decides about the claims, and stores the answers in the results."""
        self._grants = Grants(self._candidates or (), shares_of(self._used or (), self._sharers or ()))
        tokens = iter(sorted(token for (token,) in self._tokens or ()))
        for number, operation in self.accepted:
            results[number] = self._grants.grant(operation.requests, tokens)

    def write(self) -> None:
        """Writes the granted claims and resources."""
        _CLAIM.execute(self._connection, list(self._grants.claims.values()))
        _HOLD.execute(self._connection, self._grants.shares.granted)
        for build, turn, waiting_for in self._grants.shares.updated.values():
            waiting = {"build_request_id": build, "turn": turn, "waiting_for": as_json(sorted(waiting_for))}
            self._execute("share", now=self._now(), seconds=WAIT_SECONDS, **waiting)
            self._sharing.add(build)

    def _execute(self, query: str, **values: Any) -> psycopg.Cursor[Any]:
        return self._connection.execute(QUERIES[query].encode(), values)

    def _now(self) -> float | None:
        return None if self._clock is None else self._clock()


def operation_refusals(
    connection: psycopg.Connection[Any],
    accepted: Mapping[str, Sequence[ev.BuildEvent]],
    groups: Sequence[Sequence[Step]],
) -> dict[str, DataBuildError]:
    """Returns errors for adoptions of data that exists, old promotions, and operations on claimed data, by operation.

    Args:
        connection: The connection.
        accepted: The events that are about to be written, by build or operation, in their order.
        groups: The changes of these events.
    """
    refusals: dict[str, DataBuildError] = {}
    produced: set[str] = set()  # by earlier events of this transaction, which the database does not show yet
    for build, events in accepted.items():
        refusal = _refusal(connection, events[0], produced)
        if refusal is not None:
            refusals[build] = refusal
            continue
        changed = [step.changes.partitions for steps in groups for step in steps if step.build_request_id == build]
        produced.update(ref for changes in changed for ref, change in changes.items() if change.data is not None)
    return refusals


def _refusal(connection: psycopg.Connection[Any], event: ev.BuildEvent, produced: Set[str]) -> DataBuildError | None:
    if event.removal.partitions and not event.removal.completed:
        refs = {removed.ref for removed in event.removal.partitions}
        claimed = connection.execute(QUERIES["claimed"].encode(), {"keys": as_json(sorted(refs))}).fetchall()
        return removal_refusal(dict(claimed))
    adoption = event.adoption
    if adoption.expected:
        refs = {used.ref for used in adoption.expected}
        candidates = connection.execute(QUERIES["claim_candidates"].encode(), {"keys": as_json(sorted(refs))})
        return promotion_refusal(adoption, candidates, produced)
    if not adoption.partitions or adoption.force:
        return None
    refs = {ref.str for ref in adoption.partitions}
    conflicts = dict.fromkeys(sorted(refs & produced), "")
    query = QUERIES["adoption_conflicts"].encode()
    conflicts.update(connection.execute(query, {"keys": as_json(sorted(refs))}).fetchall())
    return AdoptionRefusedError(conflicts) if conflicts else None
