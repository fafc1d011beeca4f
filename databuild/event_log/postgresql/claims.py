"""Claims and leases in PostgreSQL: who produces a partition, and until when a build counts as alive.

Used inside a transaction of the writer that has locked the builds that claim and the partitions that are claimed, so that
what is free stays free until the commit, and a build that others have ended claims nothing any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import psycopg

from databuild.errors import CoordinationError
from databuild.event_log.log import Claim, ClaimRequest
from databuild.event_log.postgresql.read_models import Step
from databuild.event_log.postgresql.statements import ManyRows, as_json
from databuild.model.lifecycle import BUILD_ENDS, build_status_name

ENDED: Final = frozenset(build_status_name(status) for status in BUILD_ENDS)
"""The statuses of builds that claim nothing any more."""

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
_RELEASE: Final = ManyRows(
    {"ref": "text", "build_request_id": "text"},
    "DELETE FROM claims USING {new} WHERE claims.ref = new.ref AND claims.build_request_id = new.build_request_id",
)
_RELEASE_RUNS: Final = ManyRows(
    {"build_request_id": "text", "job_run_id": "text"},
    """DELETE FROM claims USING {new}
    WHERE claims.build_request_id = new.build_request_id AND claims.job_run_id = new.job_run_id""",
)
_RENEW: Final = """
INSERT INTO leases (build_request_id, expires, holder)
VALUES (%s, coalesce(%s::float8, extract(epoch FROM clock_timestamp())::float8) + %s, %s)
ON CONFLICT (build_request_id) DO UPDATE SET expires = excluded.expires, holder = excluded.holder
"""


class Grant:
    """Claims that are asked for in one transaction: what is known of them is read first, then all are answered."""

    def __init__(self, connection: psycopg.Connection[Any], requests: Sequence[ClaimRequest]) -> None:
        """Reads who holds the refs, after everything else that the transaction changes."""
        self._connection = connection
        refs = sorted({ref for request in requests for ref in request.refs})
        self._known = connection.execute(_KNOWN, (as_json(refs),))
        self._tokens = connection.execute(_TOKENS, (len(requests),))
        self._rows: dict[str, tuple[str, str, str, int]] = {}

    def take(self) -> None:
        """Takes the answers of the database."""
        self._holders: dict[str, str] = {}
        self._versions: dict[str, str] = {}
        for ref, holder, version in self._known:
            if holder is not None:
                self._holders[ref] = holder
            if version is not None:
                self._versions[ref] = version
        self._free_tokens = iter(sorted(token for (token,) in self._tokens))

    def answer(self, requests: Sequence[ClaimRequest]) -> list[Claim]:
        """Grants what nobody else holds."""
        answers: list[Claim] = []
        for build, run, wanted in requests:
            token = next(self._free_tokens)
            held_by = {ref: holder for ref in wanted if (holder := self._holders.get(ref, build)) != build}
            if held_by:
                answers.append(Claim(0, held_by))
                continue
            answers.append(Claim(token, versions={ref: self._versions[ref] for ref in wanted if ref in self._versions}))
            self._rows.update({ref: (ref, build, run, token) for ref in wanted})
            self._holders.update(dict.fromkeys(wanted, build))
        return answers

    def write(self) -> None:
        """Writes what was granted."""
        _CLAIM.execute(self._connection, list(self._rows.values()))


def leased(connection: psycopg.Connection[Any], builds: Iterable[str]) -> psycopg.Cursor[tuple[str]]:
    """Returns those of some builds that have a lease."""
    return connection.execute(f"SELECT build_request_id FROM leases {_OF_BUILDS}", (as_json(sorted(builds)),))


def renew(connection: psycopg.Connection[Any], build: str, holder: str, seconds: float, now: float | None) -> None:
    """Takes a lease, or takes it further, from now on, which is the server's now unless it is given."""
    connection.execute(_RENEW, (build, now, seconds, holder))


def release(connection: psycopg.Connection[Any], steps: Iterable[Step]) -> None:
    """Ends the claims that steps have no more need of, and with builds that have ended, all of them and their leases."""
    ended = [step.build_request_id for step in steps if step.changes.build.get("status") in ENDED]
    if ended:
        for table in ("claims", "leases"):
            connection.execute(f"DELETE FROM {table} {_OF_BUILDS}", (as_json(ended),))
    going_on = [(step.build_request_id, step.changes) for step in steps if step.build_request_id not in ended]
    _RELEASE.execute(connection, [(ref, build) for build, changes in going_on for ref in changes.released])
    _RELEASE_RUNS.execute(connection, [(build, run) for build, changes in going_on for run in changes.released_runs])


def refusal(build: str, status: str) -> CoordinationError:
    """Returns why a build that has ended cannot stay alive."""
    return CoordinationError(build, f"it is {status}")


def no_lease(build: str) -> CoordinationError:
    """Returns why a build that others have taken for dead cannot claim."""
    return CoordinationError(build, "it has no lease any more")
