"""Opens SQLite files: for reading, and for writing with the schema brought up to date."""

from __future__ import annotations

import os
import sqlite3
import time
from typing import TYPE_CHECKING, Final

from databuild.errors import EventLogError, SchemaTooNewError
from databuild.event_log.queries import Queries

if TYPE_CHECKING:
    from databuild.remedies import Remedy

APPLICATION_ID: Final = 0x44617442
"""Marks a file as an event log of DataBuild ("DatB"), in SQLite's own header field."""

SCHEMA_VERSION: Final = 1
"""The newest version of the schema; `schema_N.sql` takes a file from version N-1 to N."""

BUSY_SECONDS: Final = 60.0
"""How long to wait for another process's transaction; each of ours takes milliseconds."""

QUERIES: Final = Queries(os.path.dirname(__file__))  # noqa: PTH120

_WAIT_SECONDS: Final = 0.005


def connect(path: str, *, read_only: bool = False) -> sqlite3.Connection:
    """Opens a connection; `path` may also be a `file:` URI of a database in memory.

    Raises:
        EventLogError: The file cannot be opened.
        SchemaTooNewError: A newer DataBuild wrote it.
    """
    uri = path if path.startswith("file:") else f"file:{_escaped(path)}{'?mode=ro' if read_only else ''}"
    try:
        connection, version, foreign = _open(uri)
    except sqlite3.Error as error:
        # SQLite has to make an index of the write-ahead log. While that log is empty, the file has everything, and can
        # be read as it is.
        if not (read_only and _has_no_room_beside(path)) or _bytes_of(f"{path}-wal"):
            raise fault(error, path) from error
        try:
            connection, version, foreign = _open(f"{uri}&immutable=1")
        except sqlite3.Error as unreadable:
            raise fault(unreadable, path) from unreadable
    if foreign:
        connection.close()
        raise EventLogError("it is a database of another program", uri=f"sqlite:{path}")
    if version > SCHEMA_VERSION:
        connection.close()
        raise SchemaTooNewError(version, SCHEMA_VERSION, uri=f"sqlite:{path}")
    return connection


def _open(uri: str) -> tuple[sqlite3.Connection, int, bool]:
    """Opens a connection, and returns it with the version of its schema and whether another program made it."""
    connection = sqlite3.connect(
        uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        connection.execute("PRAGMA case_sensitive_like = ON")
        connection.execute("BEGIN")  # another process may be making the tables: all of this is of before or after
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        foreign = application != APPLICATION_ID and (application or version or _has_tables(connection))
        connection.execute("COMMIT")
    except sqlite3.Error:
        connection.close()
        raise
    return connection, version, bool(foreign)


def connect_for_writing(path: str) -> sqlite3.Connection:
    """Opens a connection, makes the file where there is none, and brings its schema up to date.

    Raises:
        EventLogError: The file cannot be opened or written.
        SchemaTooNewError: A newer DataBuild wrote it.
    """
    if not path.startswith("file:"):
        try:
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)  # noqa: PTH100, PTH103, PTH120
        except OSError as error:
            message = f"its folder cannot be made: {error.strerror}"
            raise EventLogError(message, uri=f"sqlite:{path}").with_remedy("OTHER_STATE_DIRECTORY") from error
    connection = connect(path)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of a new file: pruning gives its room back
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous = FULL")
        if connection.execute("PRAGMA user_version").fetchone()[0] < SCHEMA_VERSION:
            _migrate(connection)
        connection.execute("BEGIN IMMEDIATE")  # finds out now, not in mid-build, whether the file can be written
        connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        connection.close()
        raise fault(error, path) from error
    return connection


def connect_for_reading(path: str) -> sqlite3.Connection:
    """Opens a connection for reading; a file that is not there reads as an empty log, and is not made.

    Raises:
        EventLogError: The file cannot be opened.
        SchemaTooNewError: A newer DataBuild wrote it.
    """
    if path.startswith("file:") or os.path.exists(path):  # noqa: PTH110
        return connect(path, read_only=True)
    empty = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _migrate(empty)
    return empty


def fault(error: sqlite3.Error, path: str) -> EventLogError:
    """Returns what an error of SQLite means, with the next step."""
    text = str(error)
    remedy: Remedy | None = None
    if "disk I/O" in text and _is_full(path):
        text = "the disk is full"  # SQLite has other words where that is found in mapping memory
    elif "unable to open" in text and os.path.exists(path) and not _is_writable(path):  # noqa: PTH110
        text = "attempt to write a readonly database"  # found in making a file beside it
    if "full" in text:
        text += "; make room on the disk and build again: what was finished is kept"
    elif "readonly" in text:
        remedy = "WRITABLE_STATE_DIRECTORY"
    elif "unable to open" in text:
        text += "; is the state directory there, and may you read it?"
    elif "not a database" in text or "malformed" in text:
        remedy = "MOVE_EVENT_LOG_AWAY"
    meaning = EventLogError(text, uri="memory:" if path.startswith("file:") else f"sqlite:{path}")
    return meaning.with_remedy(remedy) if remedy else meaning


def _has_no_room_beside(path: str) -> bool:
    return _is_full(path) or not _is_writable(path)


def _is_writable(path: str) -> bool:
    """Returns whether files can be made beside a database."""
    return os.access(os.path.dirname(path) or ".", os.W_OK)  # noqa: PTH120


def _bytes_of(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 (pathlib costs 8 ms)
    except FileNotFoundError:
        return 0


def _is_full(path: str) -> bool:
    """Returns whether the file system of a database has no room for another page."""
    try:
        return os.statvfs(os.path.dirname(path) or ".").f_bavail == 0  # noqa: PTH120
    except OSError:
        return False


def _escaped(path: str) -> str:
    """Returns a path as SQLite wants it in a URI (sqlite.org/uri.html, 3.1); importing urllib would cost 3 ms."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switches a file to a write-ahead log, which SQLite refuses at once while another process does so."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(_WAIT_SECONDS)


def _migrate(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    # Another process may have done it while this one waited.
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    for number in range(version + 1, SCHEMA_VERSION + 1):
        path = os.path.join(os.path.dirname(__file__), f"schema_{number}.sql")  # noqa: PTH118, PTH120
        with open(path, encoding="utf-8") as script:  # noqa: PTH123
            for statement in _statements(script.read()):
                connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _statements(script: str) -> list[str]:
    statements = []
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            statements.append(statement)
            statement = ""
    return statements
