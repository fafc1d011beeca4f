"""Connects to PostgreSQL: the session as we need it, the schema brought up to date, and errors with their next step.

Passwords and certificates come from where libpq looks for them (the URI, ~/.pgpass, PGPASSWORD, ...). This module knows
only where they must not go: into a message.
"""

from __future__ import annotations

import logging
import os
import random
import re
import time
from typing import Any, Final

import psycopg
from psycopg import conninfo, pq

from databuild.errors import EventLogError, InvalidRequestError, SchemaTooNewError
from databuild.event_log.queries import Queries

SCHEMA: Final = "databuild"
"""The PostgreSQL schema that holds our tables, in whatever database the URI names."""

SCHEMA_VERSION: Final = 1
"""The newest version of our schema; `schema_N.sql` takes a database from version N-1 to N."""

RECONNECT_SECONDS: Final = 60.0
"""How long a server that was there may be away before a build gives up."""

MAINTENANCE: Final = (0x44617442, 1)
"""Advisory lock ("DatB"): writers hold it shared; who changes all tables at once, alone."""

RESOURCES: Final = (0x44617442, 2)
"""Advisory lock: whoever takes resources holds it alone."""

CHANNEL: Final = "databuild_events"
"""Where whoever has written events tells so (NOTIFY)."""

QUERIES: Final = Queries(
    os.path.dirname(__file__),  # noqa: PTH120
    lambda text: re.sub(r"(?<![:\w]):(\w+)", r"%(\1)s", text),
)

# A server that vanished without a word is noticed within half a minute, rather than after libpq's two hours.
_DEFAULTS: Final = {
    "connect_timeout": "10",
    "fallback_application_name": "databuild",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
}
# Every statement of ours is by key: plans of other kinds come from tables that were small, or not analyzed yet.
_SESSION: Final = f"""
SET search_path = {SCHEMA};
SET default_transaction_isolation = 'read committed';
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
SET client_min_messages = warning;
"""
# A writer that is stopped in the middle of a transaction must not hold up the others: the server ends its session, and
# it connects again when it goes on.
_WRITING_SESSION: Final = """
SET idle_in_transaction_session_timeout = '10s';
SET lock_timeout = '60s';
"""
_STATE: Final = f"""
SELECT to_regclass('{SCHEMA}.databuild_log') IS NOT NULL,
  EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('{SCHEMA}')),
  current_setting('transaction_read_only')::boolean,
  current_setting('server_encoding') = 'UTF8'
"""
# What psycopg warns of when a connection is lost, this package deals with.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

_MAX_PAUSE_SECONDS: Final = 2.0
_AWAY: Final = ("08", "57P", "25P03")
"""SQLSTATEs, or how they begin, that come with the end of a session."""


def connect(uri: str) -> psycopg.Connection[Any]:
    """Opens a connection for reading. Where there is no log yet, what is read is empty, and nothing is made.

    Raises:
        InvalidRequestError: The URI cannot be read.
        EventLogError: The database cannot be reached.
        SchemaTooNewError: A newer DataBuild wrote it.
    """
    connection, _ = _connect(uri, _SESSION)
    # Plans cost less than a plan that was made when the tables looked different.
    connection.prepare_threshold = None
    return connection


def connect_for_writing(uri: str) -> psycopg.Connection[Any]:
    """Opens a connection for writing, makes the tables where there are none, and brings their schema up to date.

    Raises:
        InvalidRequestError: The URI cannot be read.
        EventLogError: The database cannot be reached or written.
        SchemaTooNewError: A newer DataBuild wrote it.
    """
    connection, version = _connect(uri, _SESSION + _WRITING_SESSION, writing=True)
    connection.prepare_threshold = 1
    try:
        if version < SCHEMA_VERSION:
            _migrate(connection)
    except psycopg.Error as error:
        connection.close()
        raise fault(error, uri) from error
    return connection


def connect_again(uri: str, deadline: float, *, writing: bool = False) -> psycopg.Connection[Any]:
    """Connects to a server that was there before, as soon as it is back.

    Args:
        uri: The database.
        deadline: When to give up, on the monotonic clock.
        writing: Whether for writing.

    Raises:
        EventLogError: It is not back in time.
    """
    pause = 0.02
    while True:
        try:
            return connect_for_writing(uri) if writing else connect(uri)
        except SchemaTooNewError:
            raise
        except EventLogError as error:
            if time.monotonic() >= deadline:
                raise EventLogError(f"the connection was lost, and {error.fault}", uri=error.uri) from error
        # Those who lost it together do not all come back at once.
        time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - not a secret
        pause = min(2 * pause, _MAX_PAUSE_SECONDS)


def is_lost(connection: psycopg.Connection[Any], error: psycopg.Error) -> bool:
    """Whether an error means that the connection is gone, and another may do."""
    if error.sqlstate is not None:
        return connection.closed or error.sqlstate.startswith(_AWAY)
    # What no server has said is of the connection; a pipeline that broke tells of itself, and not of what broke it.
    return connection.closed or isinstance(error, psycopg.OperationalError)


def schema_version(connection: psycopg.Connection[Any]) -> int:
    """Returns the version of the schema that stands in the database; 0 where there is none."""
    row = connection.execute(f"SELECT schema_version FROM {SCHEMA}.databuild_log").fetchone()
    return row[0] if row is not None else 0


def fault(error: psycopg.Error, uri: str) -> EventLogError:
    """Returns what an error of PostgreSQL means, with the next step."""
    text = _first_line(error)
    for hint, codes, words in _HINTS:
        # What a server says before there is a session comes without its code.
        if error.sqlstate.startswith(codes) if error.sqlstate else any(word in text for word in words):
            text += f"; {hint}"
            break
    return EventLogError(_without_secrets(text, uri), uri=shown(uri))


def shown(uri: str) -> str:
    """Returns a URI as it may be shown: user, host, port and database, and nothing else."""
    known = {key: str(value) for key, value in conninfo.conninfo_to_dict(uri).items()}
    user = f"{known['user']}@" if "user" in known else ""
    host = known.get("host") or known.get("hostaddr") or ""
    folder = f"?host={host}" if host.startswith("/") else ""
    port = f":{known['port']}" if "port" in known else ""
    return f"postgresql://{user}{'' if folder else host}{port}/{known.get('dbname', '')}{folder}"


_HINTS: Final[tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]] = (
    (
        "check the user, and the password in the URI, in ~/.pgpass or in PGPASSWORD",
        ("28",),
        ("password", "authentication", "pg_hba.conf", 'role "', "certificate"),
    ),
    ("make it with `createdb`, or correct the URI", ("3D000",), ('database "',)),
    ("wait, and build again: what was finished is kept", ("57P03",), ("starting up", "shutting down", "recovery")),
    ("end other sessions, or raise max_connections of the server", ("53300",), ("too many clients", "reserved for")),
    ("name the primary in the URI, or make the server writable", ("25006",), ()),
    (
        f"let the owner of the database run CREATE SCHEMA {SCHEMA} AUTHORIZATION your user, or grant what is missing",
        ("42501",),
        (),
    ),
    ("make room on the server's disk and build again: what was finished is kept", ("53100",), ()),
    ("is the server running, and can it be reached from here?", ("08", "57P"), ("",)),
)
"""The next step, the SQLSTATEs that it helps with, as they begin, and what a message says that comes without one."""


def _connect(uri: str, session: str, *, writing: bool = False) -> tuple[psycopg.Connection[Any], int]:
    """Returns a connection, and the version of the schema that it found."""
    parameters = _parameters(uri)
    try:
        connection = psycopg.Connection[Any].connect(**parameters, autocommit=True)
    except psycopg.Error as error:
        raise fault(error, uri) from None  # what psycopg adds may quote the parameters
    problem = ""
    version = 0
    try:
        connection.execute(session)
        row = connection.execute(_STATE).fetchone()
        assert row is not None
        ours, taken, read_only, is_utf8 = row
        if ours:
            version = schema_version(connection)
        elif taken:
            problem = f"its schema {SCHEMA!r} holds tables of another program; use another database"
        if read_only and writing:
            problem = "the server or the database is read-only; name the primary in the URI, or make it writable"
        if not is_utf8:
            problem = "the database is not encoded in UTF-8; use another, made with ENCODING 'UTF8' TEMPLATE template0"
    except psycopg.Error as error:
        connection.close()
        raise fault(error, uri) from error
    if problem or version > SCHEMA_VERSION:
        connection.close()
        if problem:
            raise EventLogError(problem, uri=shown(uri))
        raise SchemaTooNewError(version, SCHEMA_VERSION, uri=shown(uri))
    return connection, version


def _parameters(uri: str) -> dict[str, Any]:
    """Returns what a URI says, with our own defaults for what neither it nor the environment says."""
    try:
        parameters = conninfo.conninfo_to_dict(uri)
    except psycopg.Error:
        parameters = {"host": "@"}
    ports = str(parameters.get("port") or 0).split(",")
    # An @ or / of a password that was not encoded ends up in these.
    misread = "@" in f"{parameters.get('host')}{parameters.get('dbname')}" or not all(port.isdigit() for port in ports)
    if misread:
        # Neither the URI nor what libpq says of it is shown: both may hold a password.
        message = (
            "the URI of the event log cannot be read: write postgresql://USER@HOST:PORT/DATABASE, with what is special "
            "in a URI percent-encoded (@ as %40, / as %2F)"
        )
        raise InvalidRequestError(message)
    told = {option.keyword.decode() for option in pq.Conninfo.get_defaults() if option.val != option.compiled}
    return {**{key: value for key, value in _DEFAULTS.items() if key not in told}, **parameters}


def _first_line(error: psycopg.Error) -> str:
    text = error.diag.message_primary or next(iter(str(error).splitlines()), "") or type(error).__name__
    return text.removeprefix("connection failed: ").removeprefix("connection is bad: ").strip()


def _without_secrets(text: str, uri: str) -> str:
    known = conninfo.conninfo_to_dict(uri)
    for key in ("password", "sslpassword", "oauth_client_secret"):
        if secret := known.get(key):
            text = text.replace(str(secret), "***")
    return text


def _migrate(connection: psycopg.Connection[Any]) -> None:
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", MAINTENANCE)
        # Another process may have done it while this one waited.
        row = connection.execute(_STATE).fetchone()
        assert row is not None
        version = schema_version(connection) if row[0] else 0
        if version == 0:
            row = connection.execute("SELECT to_regnamespace(%s) IS NULL", (SCHEMA,)).fetchone()
            if row is not None and row[0]:
                connection.execute(f"CREATE SCHEMA {SCHEMA}")
        for number in range(version + 1, SCHEMA_VERSION + 1):
            path = os.path.join(os.path.dirname(__file__), f"schema_{number}.sql")  # noqa: PTH118, PTH120
            with open(path, encoding="utf-8") as script:  # noqa: PTH123
                connection.execute(script.read().encode())
        connection.execute(f"UPDATE {SCHEMA}.databuild_log SET schema_version = %s", (SCHEMA_VERSION,))
