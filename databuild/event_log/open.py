"""Opens event logs by URI. Only this module knows the schemes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from databuild.errors import EnvironmentNotFoundError, EventLogError, InvalidRequestError

if TYPE_CHECKING:
    from databuild.event_log.log import EventLog, Pruner
    from databuild.event_log.overlay.reader import OverlayReader
    from databuild.event_log.reads import Reader
    from databuild.event_log.sinks import JsonLinesSink

LOG_SCHEMES: Final = ("memory:", "sqlite:PATH", "postgresql://USER@HOST/DATABASE")
SINK_SCHEMES: Final = ("stdout:", "jsonl:PATH")


def open_event_log(
    uri: str,
    sinks: Sequence[str] = (),
    *,
    warn: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] | None = None,
    environment: str = "",
) -> EventLog:
    """Opens an event log for reading and writing, and creates it if it does not exist.

    Args:
        uri: `memory:`, `sqlite:PATH` or `postgresql://USER@HOST/DATABASE`, in the syntax of libpq.
        sinks: Write-only copies: `stdout:` or `jsonl:PATH`.
        warn: Called with a message when a sink fails.
        clock: Returns the time in seconds since the epoch, for leases; by default the clock of the store, which is that
            of the server if there is one.
        environment: The environment, whose log is over that of the URI; empty for the base.

    Raises:
        InvalidRequestError: A URI has an unknown scheme.
        EventLogError: The log or a sink cannot be opened.
        SchemaTooNewError: A newer DataBuild wrote the log.
    """
    if environment:
        from databuild.event_log.overlay.log import OverlayEventLog

        own = open_event_log(_environment_uri(uri, environment), sinks, warn=warn, clock=clock)
        return OverlayEventLog(own, lambda: _reader(uri), clock=clock or time.time)
    scheme, path = _split(uri, LOG_SCHEMES)
    opened = [_open_sink(sink, warn) for sink in sinks]  # first, so that a wrong sink creates no log
    log: EventLog
    # Only the driver that is needed is imported: commands must start fast.
    if scheme == "postgresql":
        from databuild.event_log.postgresql.log import PostgresqlEventLog

        log = PostgresqlEventLog(uri, clock=clock)
    else:
        from databuild.event_log.sqlite.log import SqliteEventLog

        log = SqliteEventLog("" if scheme == "memory" else path, clock=clock or time.time)
    for sink in opened:
        log.observe(sink)
    return log


def open_reader(uri: str, environment: str = "") -> Reader:
    """Opens an event log for reading only. A log that does not exist reads as empty.

    Args:
        uri: The event log.
        environment: The environment to read over it; empty for the base.

    Raises:
        InvalidRequestError: The URI has an unknown scheme, or is `memory:`.
        EventLogError: The log cannot be read.
        SchemaTooNewError: A newer DataBuild wrote the log.
    """
    scheme, path = _split(uri, LOG_SCHEMES)
    if scheme == "memory":
        message = "a log in memory ends with its process, so there is nothing to read"
        raise InvalidRequestError(message)
    if environment:
        return open_overlay_reader(uri, environment)
    if scheme == "postgresql":
        from databuild.event_log.postgresql.reader import PostgresqlReader

        postgresql = PostgresqlReader(uri)
        postgresql.connect()
        return postgresql
    from databuild.event_log.sqlite.reader import SqliteReader

    sqlite = SqliteReader(path)
    sqlite.connect()
    return sqlite


def open_overlay_reader(uri: str, environment: str) -> OverlayReader:
    """Opens the event log of an environment for reading, over that of the base.

    Raises:
        InvalidRequestError: The URI has an unknown scheme or is `memory:`, or the name is invalid.
        EventLogError: A log cannot be read.
        SchemaTooNewError: A newer DataBuild wrote a log.
    """
    from databuild.event_log.overlay.reader import OverlayReader

    return OverlayReader(open_reader(_environment_uri(uri, environment)), open_reader(uri))


def described(uri: str, environment: str = "") -> str:
    """Returns words for an event log, without any secret.

    Raises:
        InvalidRequestError: The URI cannot be read.
    """
    if uri.startswith("postgresql:"):
        from databuild.event_log.postgresql.connection import redacted

        uri = redacted(uri)
    return f"the environment {environment!r} of the event log {uri}" if environment else f"the event log {uri}"


def open_pruner(uri: str, environment: str = "") -> Pruner:
    """Opens a pruner of an event log.

    Args:
        uri: The event log.
        environment: The environment whose log is pruned; empty for the base.

    Raises:
        InvalidRequestError: The URI has an unknown scheme, or is `memory:`.
        EventLogError: The log cannot be opened or written.
        SchemaTooNewError: A newer DataBuild wrote it.
    """
    scheme, path = _split(uri, LOG_SCHEMES)
    if scheme == "memory":
        message = "a log in memory ends with its process, so there is nothing to prune"
        raise InvalidRequestError(message)
    if environment:
        return open_pruner(_environment_uri(uri, environment))
    if scheme == "postgresql":
        from databuild.event_log.postgresql.pruning import PostgresqlPruner

        return PostgresqlPruner(uri)
    from databuild.event_log.sqlite.pruning import SqlitePruner

    return SqlitePruner(path)


def environments(uri: str) -> Sequence[str]:
    """Returns the names of the environments of an event log, in order.

    Raises:
        InvalidRequestError: The URI has an unknown scheme, or is `memory:`.
        EventLogError: The log cannot be read.
    """
    scheme, path = _split(uri, LOG_SCHEMES)
    if scheme == "memory":
        raise _no_environments()
    if scheme == "postgresql":
        from databuild.event_log.postgresql import connection

        return connection.environments(uri)
    from databuild.event_log.sqlite import environments as files

    return files.environments(path)


def remove_environment(uri: str, environment: str) -> None:
    """Removes the event log of an environment.

    Raises:
        InvalidRequestError: The URI has an unknown scheme, or is `memory:`.
        EventLogError: The log cannot be removed.
    """
    scheme, path = _split(uri, LOG_SCHEMES)
    if scheme == "memory":
        raise _no_environments()
    if scheme == "postgresql":
        from databuild.event_log.postgresql import connection

        connection.remove_environment(uri, environment)
    else:
        from databuild.event_log.sqlite import environments as files

        files.remove_environment(path, environment)


class EnvironmentLogs:
    """The logs of the environments of an event log."""

    def __init__(self, uri: str, sinks: Sequence[str] = (), *, warn: Callable[[str], None] = lambda _: None) -> None:
        """Opens nothing yet; the arguments are those of `open_event_log`."""
        self._uri = uri
        self._sinks = sinks
        self._warn = warn

    def names(self) -> Sequence[str]:
        """Returns the names of the environments, as `environments` does; none for a log in memory."""
        return () if self._uri == "memory:" else environments(self._uri)

    def check(self, environment: str) -> None:
        """Checks that an environment exists.

        Raises:
            InvalidRequestError: The name is invalid.
            EnvironmentNotFoundError: There is no such environment.
        """
        from databuild.model.environments import check_environment

        check_environment(environment)
        known = self.names()
        if environment not in known:
            raise EnvironmentNotFoundError(environment, known=known)

    def open(self, environment: str) -> EventLog:
        """Opens the log of an environment for writing, and creates it if it does not exist."""
        return open_event_log(self._uri, self._sinks, warn=self._warn, environment=environment)

    def reader(self, environment: str) -> OverlayReader:
        """Opens the log of an environment for reading."""
        return open_overlay_reader(self._uri, environment)

    def remove(self, environment: str) -> None:
        """Removes the log of an environment."""
        remove_environment(self._uri, environment)


def _environment_uri(uri: str, environment: str) -> str:
    """Returns the URI of the log of an environment."""
    from databuild.model.environments import check_environment

    check_environment(environment)
    scheme, path = _split(uri, LOG_SCHEMES)
    if scheme == "memory":
        raise _no_environments()
    if scheme == "postgresql":
        from databuild.event_log.postgresql.connection import environment_uri

        return environment_uri(uri, environment)
    from databuild.event_log.sqlite.environments import environment_path

    return f"sqlite:{environment_path(path, environment)}"


def _no_environments() -> InvalidRequestError:
    return InvalidRequestError("a log in memory has no environments; name another event log")


def _reader(uri: str) -> Reader:
    """Returns a reader that connects when it first reads."""
    scheme, path = _split(uri, LOG_SCHEMES)
    if scheme == "postgresql":
        from databuild.event_log.postgresql.reader import PostgresqlReader

        return PostgresqlReader(uri)
    from databuild.event_log.sqlite.reader import SqliteReader

    return SqliteReader(path)


def _open_sink(uri: str, warn: Callable[[str], None]) -> JsonLinesSink:
    import sys

    from databuild.event_log.sinks import JsonLinesSink

    scheme, path = _split(uri, SINK_SCHEMES)
    if scheme == "stdout":
        return JsonLinesSink(sys.stdout, warn)
    try:
        return JsonLinesSink(open(path, "a", encoding="utf-8"), warn)  # noqa: PTH123 - the sink closes it
    except OSError as error:
        raise EventLogError(f"the sink cannot be opened: {error.strerror}", uri=uri) from error


def _split(uri: str, forms: Sequence[str]) -> tuple[str, str]:
    """Returns scheme and path of a URI; `forms` are the allowed ones, as an error message shows them."""
    scheme, colon, path = uri.partition(":")
    forms_by_scheme = {form.split(":")[0]: form for form in forms}
    if scheme == "postgres":  # libpq accepts both
        scheme = "postgresql"
    form = forms_by_scheme.get(scheme, "")
    if not colon or not form or (form.endswith("PATH") and not path) or ("//" in form and not path.startswith("//")):
        import difflib

        nearest = difflib.get_close_matches(scheme, forms_by_scheme, n=1)
        hint = f"; did you mean {forms_by_scheme[nearest[0]]!r}?" if nearest else ""
        message = f"{_without_secrets(uri)!r} is none of {', '.join(forms)}{hint}"
        raise InvalidRequestError(message)
    return scheme, path


def _without_secrets(uri: str) -> str:
    """Returns the part of a malformed URI that cannot hold a password: after the last `@` and before a `?`."""
    return uri.rsplit("@", maxsplit=1)[-1].split("?", maxsplit=1)[0]
