"""Opens SQLite files, migrates their schema, and translates errors of SQLite."""

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
"""The `application_id` in the header of an event log of DataBuild ("DatB"); see sqlite.org/fileformat2.html."""

SCHEMA_VERSION: Final = 4
"""The newest version of the schema; `schema_N.sql` migrates a file from version N-1 to N."""

BUSY_SECONDS: Final = 60.0
"""The maximum wait for transactions of other processes; each takes milliseconds."""

QUERIES: Final = Queries(os.path.dirname(__file__))  # noqa: PTH120

_MAX_CACHE_KIB: Final = 16 * 1024
"""With SQLite's default of 2 MiB, the records of a large plan would be read from the file several times."""

_BUSY_POLL_SECONDS: Final = 0.005


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
        # To read, SQLite creates an index file for the write-ahead log, which needs space and permission. While the
        # log is empty, the database file is complete and can be read without it.
        if not (read_only and _cannot_create_beside(path)) or _size_of(f"{path}-wal"):
            raise event_log_error(error, path) from error
        try:
            connection, version, foreign = _open(f"{uri}&immutable=1")
        except sqlite3.Error as unreadable:
            raise event_log_error(unreadable, path) from unreadable
    if foreign:
        connection.close()
        raise EventLogError("it is a database of another program", uri=f"sqlite:{path}")
    if version > SCHEMA_VERSION:
        connection.close()
        raise SchemaTooNewError(version, SCHEMA_VERSION, uri=f"sqlite:{path}")
    return connection


def _open(uri: str) -> tuple[sqlite3.Connection, int, bool]:
    """Opens a connection, and returns it with its schema version and True if it belongs to another program."""
    # Transactions are explicit (isolation_level). Connections move between threads, with one thread at a time.
    connection = sqlite3.connect(
        uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        connection.execute("PRAGMA case_sensitive_like = ON")
        connection.execute(f"PRAGMA cache_size = -{_MAX_CACHE_KIB}")
        connection.execute("BEGIN")  # one snapshot: another process may be creating the tables
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        foreign = application != APPLICATION_ID and (application or version or _has_tables(connection))
        connection.execute("COMMIT")
    except sqlite3.Error:
        connection.close()
        raise
    return connection, version, bool(foreign)


def connect_for_writing(path: str) -> sqlite3.Connection:
    """Opens a connection; creates the file if it does not exist, and migrates its schema.

    Raises:
        EventLogError: The file cannot be opened or written.
        SchemaTooNewError: A newer DataBuild wrote it.
    """
    if not path.startswith("file:"):
        try:
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)  # noqa: PTH100, PTH103, PTH120
        except OSError as error:
            message = f"its directory cannot be created: {error.strerror}"
            raise EventLogError(message, uri=f"sqlite:{path}").with_remedy("OTHER_STATE_DIRECTORY") from error
    connection = connect(path)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # for `vacuum`; has an effect on new files only
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous = FULL")  # commits survive a power failure, not only a crash
        if connection.execute("PRAGMA user_version").fetchone()[0] < SCHEMA_VERSION:
            _migrate(connection)
        connection.execute("BEGIN IMMEDIATE")  # fails now, not in the middle of a build, if the file is read-only
        connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        connection.close()
        raise event_log_error(error, path) from error
    return connection


def connect_for_reading(path: str) -> sqlite3.Connection:
    """Opens a connection for reading; migrates the schema of a file that is empty or that an older DataBuild wrote.

    A file that does not exist reads as an empty log, and is not created.

    Raises:
        EventLogError: The file cannot be opened, or has to be migrated and cannot be written.
        SchemaTooNewError: A newer DataBuild wrote it.
    """
    if path.startswith("file:") or os.path.exists(path):  # noqa: PTH110
        connection = connect(path, read_only=True)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == SCHEMA_VERSION:
            return connection
        connection.close()
        # Version 0 is that of a file that another process is creating.
        connect_for_writing(path).close()
        return connect(path, read_only=True)
    empty = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _migrate(empty)
    return empty


def event_log_error(error: sqlite3.Error, path: str) -> EventLogError:
    """Translates an error of SQLite, and adds the next step."""
    text = str(error)
    remedy: Remedy | None = None
    if "disk I/O" in text and _is_full(path):
        text = "the disk is full"  # SQLite reports an I/O error when it finds that while it maps memory
    elif "unable to open" in text and os.path.exists(path) and not _is_writable(path):  # noqa: PTH110
        text = "attempt to write a readonly database"  # SQLite could not create a file beside the database
    if "full" in text:
        text += "; free space on the disk and try again: finished partitions are kept"
    elif "readonly" in text:
        remedy = "WRITABLE_STATE_DIRECTORY"
    elif "unable to open" in text:
        text += "; check that the state directory exists and that you may read it"
    elif "not a database" in text or "malformed" in text:
        remedy = "MOVE_EVENT_LOG_AWAY"
    translated = EventLogError(text, uri="memory:" if path.startswith("file:") else f"sqlite:{path}")
    return translated.with_remedy(remedy) if remedy else translated


def _cannot_create_beside(path: str) -> bool:
    return _is_full(path) or not _is_writable(path)


def _is_writable(path: str) -> bool:
    """Returns True if the directory of a database is writable."""
    return os.access(os.path.dirname(path) or ".", os.W_OK)  # noqa: PTH120


def _size_of(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 (pathlib costs 8 ms)
    except FileNotFoundError:
        return 0


def _is_full(path: str) -> bool:
    """Returns True if the file system of a database has no free block."""
    try:
        return os.statvfs(os.path.dirname(path) or ".").f_bavail == 0  # noqa: PTH120
    except OSError:
        return False


def _escaped(path: str) -> str:
    """Returns a path escaped for a URI of SQLite (sqlite.org/uri.html, 3.1); importing urllib would cost 3 ms."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switches a file to a write-ahead log. Retries, since SQLite's busy timeout does not apply to this statement."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(_BUSY_POLL_SECONDS)


def _migrate(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    # Read the version again: another process may have migrated the file while this one waited for the lock.
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
    """Returns the statements of a script; `executescript` would commit before the first."""
    statements = []
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            statements.append(statement)
            statement = ""
    return statements
