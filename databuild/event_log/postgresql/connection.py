"""Connects to PostgreSQL, configures sessions, migrates the schema, and translates errors.

libpq finds passwords and certificates (in the URI, ~/.pgpass, PGPASSWORD, ...). This module only keeps them out of
messages.
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
"""The PostgreSQL schema that holds our tables, in the database that the URI names."""

_ENVIRONMENT: Final = "#environment="
"""Precedes the name of an environment at the end of a URI. Its tables are in a schema of their own."""

SCHEMA_VERSION: Final = 4
"""The newest version of the schema; `schema_N.sql` migrates a database from version N-1 to N."""

RECONNECT_SECONDS: Final = 60.0
"""The time for which a build tries to reconnect before it fails."""

MAINTENANCE: Final = (0x44617442, 1)
"""Advisory lock ("DatB"): writers hold it shared, migrations and rebuilds hold it exclusively."""

RESOURCES: Final = (0x44617442, 2)
"""Advisory lock, held exclusively by transactions that take resources."""

CHANNEL: Final = "databuild_events"
"""The channel on which writers notify of new events (NOTIFY)."""

QUERIES: Final = Queries(
    os.path.dirname(__file__),  # noqa: PTH120
    lambda text: re.sub(r"(?<![:\w]):(\w+)", r"%(\1)s", text),
)

# Detects a lost server within half a minute; the default keepalives take two hours.
_DEFAULTS: Final = {
    "connect_timeout": "10",
    "fallback_application_name": "databuild",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
}
# All our statements look rows up by key. The planner would choose other plans for tables that are small or not analyzed
# yet, and those plans would become slow as the tables grow.
_SESSION: Final = """
SET default_transaction_isolation = 'read committed';
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
SET client_min_messages = warning;
"""
# A writer that is suspended in the middle of a transaction must not block the others: the server ends its session, and
# it reconnects when it continues.
_WRITING_SESSION: Final = """
SET idle_in_transaction_session_timeout = '10s';
SET lock_timeout = '60s';
"""
_STATE: Final = """
SELECT to_regclass('databuild_log') IS NOT NULL,
  EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace(current_setting('search_path'))),
  current_setting('transaction_read_only')::boolean,
  current_setting('server_encoding') = 'UTF8'
"""
# psycopg logs warnings about lost connections, which this package handles.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

_MIN_BACKOFF_SECONDS: Final = 0.02
_MAX_BACKOFF_SECONDS: Final = 2.0
_SESSION_ENDED: Final = ("08", "57P", "25P03")
"""Prefixes of the SQLSTATEs with which a session ends."""


def environment_uri(uri: str, environment: str) -> str:
    """Returns the URI of the log of an environment, for the functions of this package."""
    return f"{uri}{_ENVIRONMENT}{environment}"


def environments(uri: str) -> list[str]:
    """Returns the names of the environments of a log, in order.

    Raises:
        InvalidRequestError: The URI cannot be read.
        EventLogError: The database cannot be reached.
    """
    with connect(uri) as connection:
        query = 'SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s) ORDER BY nspname COLLATE "C"'
        rows = connection.execute(query, (f"{SCHEMA}.",)).fetchall()
    return [name.removeprefix(f"{SCHEMA}.") for (name,) in rows]


def remove_environment(uri: str, environment: str) -> None:
    """Removes the log of an environment.

    Raises:
        EventLogError: The database cannot be reached, or the schema cannot be removed.
    """
    with connect_for_writing(uri) as connection:
        try:
            connection.execute(f"DROP SCHEMA {_schema(environment)} CASCADE")
        except psycopg.Error as error:
            raise event_log_error(error, uri) from error


def connect(uri: str) -> psycopg.Connection[Any]:
    """Opens a connection for reading; migrates the tables of a log that an older DataBuild wrote.

    It creates nothing else: without tables, reads fail with UndefinedTable.

    Raises:
        InvalidRequestError: The URI cannot be read.
        EventLogError: The database cannot be reached, or has to be migrated and cannot be written.
        SchemaTooNewError: A newer DataBuild wrote it.
    """
    connection, version = _connect(uri, _SESSION)
    if 0 < version < SCHEMA_VERSION:
        connection.close()
        connect_for_writing(uri).close()
        connection, _ = _connect(uri, _SESSION)
    # Readers live long and read rarely: planning each time costs less than a cached plan for tables that have changed.
    connection.prepare_threshold = None
    return connection


def connect_for_writing(uri: str) -> psycopg.Connection[Any]:
    """Opens a connection for writing; creates the tables if they do not exist, and migrates their schema.

    Raises:
        InvalidRequestError: The URI cannot be read.
        EventLogError: The database cannot be reached or written.
        SchemaTooNewError: A newer DataBuild wrote it.
    """
    connection, version = _connect(uri, _SESSION + _WRITING_SESSION, writing=True)
    connection.prepare_threshold = 1  # a writer repeats few statements
    try:
        if version < SCHEMA_VERSION:
            _migrate(connection)
    except psycopg.Error as error:
        connection.close()
        raise event_log_error(error, uri) from error
    return connection


def connect_again(uri: str, deadline: float, *, writing: bool = False) -> psycopg.Connection[Any]:
    """Reconnects to a server, with back-off.

    Args:
        uri: The database.
        deadline: The time at which to give up, on the monotonic clock.
        writing: True for a connection for writing.

    Raises:
        EventLogError: The server cannot be reached before the deadline.
    """
    pause = _MIN_BACKOFF_SECONDS
    while True:
        try:
            return connect_for_writing(uri) if writing else connect(uri)
        except SchemaTooNewError:
            raise
        except EventLogError as error:
            if time.monotonic() >= deadline:
                raise EventLogError(f"the connection was lost, and {error.fault}", uri=error.uri) from error
        # Jitter, so that clients which lost the server together do not all reconnect at once.
        time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - not a secret
        pause = min(2 * pause, _MAX_BACKOFF_SECONDS)


def is_lost(connection: psycopg.Connection[Any], error: psycopg.Error) -> bool:
    """Returns True if the connection is lost, so that a retry over a new one may succeed."""
    if error.sqlstate is not None:
        return connection.closed or error.sqlstate.startswith(_SESSION_ENDED)
    # Errors without SQLSTATE come from the client: from the connection, or from a pipeline that it aborted.
    return connection.closed or isinstance(error, psycopg.OperationalError)


def schema_version(connection: psycopg.Connection[Any]) -> int:
    """Returns the schema version in the database; 0 if there is none."""
    row = connection.execute("SELECT schema_version FROM databuild_log").fetchone()
    return row[0] if row is not None else 0


def event_log_error(error: psycopg.Error, uri: str) -> EventLogError:
    """Translates an error of PostgreSQL, and adds the next step."""
    text = _first_line(error)
    for hint, codes, words in _HINTS:
        # psycopg gives no SQLSTATE for errors during the connection.
        if error.sqlstate.startswith(codes) if error.sqlstate else any(word in text for word in words):
            text += f"; {hint}"
            break
    return EventLogError(_without_secrets(text, uri), uri=redacted(uri))


def redacted(uri: str) -> str:
    """Returns a URI with user, host, port and database only."""
    uri, _ = _split(uri)
    parameters = {key: str(value) for key, value in conninfo.conninfo_to_dict(uri).items()}
    user = f"{parameters['user']}@" if "user" in parameters else ""
    host = parameters.get("host") or parameters.get("hostaddr") or ""
    socket_directory = f"?host={host}" if host.startswith("/") else ""
    port = f":{parameters['port']}" if "port" in parameters else ""
    authority = f"{user}{'' if socket_directory else host}{port}"
    return f"postgresql://{authority}/{parameters.get('dbname', '')}{socket_directory}"


_HINTS: Final[tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]] = (
    (
        "check the user, and the password in the URI, in ~/.pgpass or in PGPASSWORD",
        ("28",),
        ("password", "authentication", "pg_hba.conf", 'role "', "certificate"),
    ),
    ("create it with `createdb`, or correct the URI", ("3D000",), ('database "',)),
    ("wait, and try again: finished partitions are kept", ("57P03",), ("starting up", "shutting down", "recovery")),
    ("end other sessions, or raise max_connections of the server", ("53300",), ("too many clients", "reserved for")),
    ("name the primary in the URI, or make the server writable", ("25006",), ()),
    (
        f"let the owner of the database run CREATE SCHEMA {SCHEMA} AUTHORIZATION your user, or grant missing rights",
        ("42501",),
        (),
    ),
    ("free space on the server's disk and try again: finished partitions are kept", ("53100",), ()),
    ("check that the server is running and reachable from this machine", ("08", "57P"), ("",)),
)
"""Each next step with prefixes of its SQLSTATEs, and with parts of messages that come without SQLSTATE."""


def _connect(uri: str, session: str, *, writing: bool = False) -> tuple[psycopg.Connection[Any], int]:
    """Returns a connection and the schema version of the database."""
    target, environment = _split(uri)
    parameters = _parameters(target)
    try:
        connection = psycopg.Connection[Any].connect(**parameters, autocommit=True)
    except psycopg.Error as error:
        raise event_log_error(error, uri) from None  # the traceback of psycopg may quote the password
    problem = ""
    version = 0
    try:
        connection.execute(f"SET search_path = {_schema(environment)};{session}")
        row = connection.execute(_STATE).fetchone()
        assert row is not None
        has_log, has_tables, read_only, is_utf8 = row
        if has_log:
            version = schema_version(connection)
        elif has_tables:
            schema = _schema(environment)
            problem = f"its schema {schema} holds tables of another program; use another database"
        if read_only and writing:
            problem = "the server or the database is read-only; name the primary in the URI, or make it writable"
        if not is_utf8:
            problem = (
                "the database is not encoded in UTF-8; use another, created with ENCODING 'UTF8' TEMPLATE template0"
            )
    except psycopg.Error as error:
        connection.close()
        raise event_log_error(error, uri) from error
    if problem or version > SCHEMA_VERSION:
        connection.close()
        if problem:
            raise EventLogError(problem, uri=redacted(uri))
        raise SchemaTooNewError(version, SCHEMA_VERSION, uri=redacted(uri))
    return connection, version


def _split(uri: str) -> tuple[str, str]:
    """Returns the URI for libpq and the name of the environment; empty for the base."""
    target, marker, environment = uri.rpartition(_ENVIRONMENT)
    return (target, environment) if marker else (uri, "")


def _schema(environment: str) -> str:
    """Returns the schema of an environment, quoted; the names of environments have no quotes."""
    return f'"{SCHEMA}.{environment}"' if environment else SCHEMA


def _parameters(uri: str) -> dict[str, Any]:
    """Returns the parameters of a URI, with our defaults for those that neither the URI nor the environment sets."""
    try:
        parameters = conninfo.conninfo_to_dict(uri)
    except psycopg.Error:
        parameters = {"host": "@"}
    ports = str(parameters.get("port") or 0).split(",")
    # An unencoded @ or / in a password moves the rest of it into the host, database or port.
    misread = "@" in f"{parameters.get('host')}{parameters.get('dbname')}" or not all(port.isdigit() for port in ports)
    if misread:
        # The message shows neither the URI nor the error of libpq: both may hold the password.
        message = (
            "the URI of the event log cannot be read: write postgresql://USER@HOST:PORT/DATABASE, with special "
            "characters percent-encoded (@ as %40, / as %2F)"
        )
        raise InvalidRequestError(message)
    from_environment = {
        option.keyword.decode() for option in pq.Conninfo.get_defaults() if option.val != option.compiled
    }
    return {**{key: value for key, value in _DEFAULTS.items() if key not in from_environment}, **parameters}


def _first_line(error: psycopg.Error) -> str:
    text = error.diag.message_primary or next(iter(str(error).splitlines()), "") or type(error).__name__
    return text.removeprefix("connection failed: ").removeprefix("connection is bad: ").strip()


def _without_secrets(text: str, uri: str) -> str:
    parameters = conninfo.conninfo_to_dict(_split(uri)[0])
    for key in ("password", "sslpassword", "oauth_client_secret"):
        if secret := parameters.get(key):
            text = text.replace(str(secret), "***")
    return text


def _migrate(connection: psycopg.Connection[Any]) -> None:
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", MAINTENANCE)
        # Read the version again: another process may have migrated the schema while this one waited for the lock.
        row = connection.execute(_STATE).fetchone()
        assert row is not None
        version = schema_version(connection) if row[0] else 0
        if version == 0:
            query = "SELECT current_setting('search_path'), to_regnamespace(current_setting('search_path')) IS NULL"
            row = connection.execute(query).fetchone()
            if row is not None and row[1]:
                connection.execute(f"CREATE SCHEMA {row[0]}")
        for number in range(version + 1, SCHEMA_VERSION + 1):
            path = os.path.join(os.path.dirname(__file__), f"schema_{number}.sql")  # noqa: PTH118, PTH120
            with open(path, encoding="utf-8") as script:  # noqa: PTH123
                connection.execute(script.read().encode())
        connection.execute("UPDATE databuild_log SET schema_version = %s", (SCHEMA_VERSION,))
