"""One invocation of the command line: what was asked, where the user stands, and where results go.

The only module that knows environment variables and where the state directory lies. It imports next to nothing, since
the commands that only read must answer at once; event log and catalog are opened when a command first needs them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from databuild.cli.display.output import Output
from databuild.errors import InvalidCatalogError, InvalidRequestError

if TYPE_CHECKING:
    from databuild.cli.backend.backend import Backend
    from databuild.event_log.log import EventLog
    from databuild.graph.catalog import JobCatalog


SERVER_VARIABLE = "DATABUILD_SERVER"
_OF_THIS_MACHINE = {"state_dir": None, "event_log": None, "event_sink": (), "grace_period": 10.0}
"""The flags that make no sense beside a service, with their defaults."""


class Invocation:
    """What a command is called with.

    Args:
        command: The name of the command.
        flags: The value of each of its flags.
        positionals: Its other arguments.
        catalog_path: The job catalog that Bazel wrote.
        runfiles: The runfiles root, which paths of the catalog are relative to.
        environ: The environment variables.
        user_env: Those that the user had set before the launcher or the Python rules set them for this process.
        out: Where results go.
        err: Where everything else goes.
        open_backend: Opens the backend when it is first needed.
        sleep: Waits some seconds; for tests.
        clock: Returns the time in seconds since the epoch; for tests.
    """

    def __init__(
        self,
        command: str,
        flags: Mapping[str, Any],
        positionals: Sequence[str] = (),
        *,
        catalog_path: str = "",
        runfiles: str = "",
        environ: Mapping[str, str] | None = None,
        user_env: Mapping[str, str] | None = None,
        out: Output,
        err: Output,
        open_backend: Callable[[Invocation], Backend],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.command = command
        self.flags = flags
        self.positionals = list(positionals)
        self.catalog_path = catalog_path
        self.runfiles = runfiles
        self.environ = os.environ if environ is None else environ
        self._user_env = dict(user_env or {})
        self.out = out
        self.err = err
        self.sleep = sleep
        self.clock = clock
        self._open_backend = open_backend
        self._backend: Backend | None = None
        self._graph_label = ""
        self._catalog: JobCatalog | None = None

    @property
    def json(self) -> bool:
        """Whether the result is wanted as JSON."""
        return bool(self.flags.get("output") == "json")

    @property
    def cwd(self) -> str:
        """Where the user stands, which is also where jobs run."""
        return working_directory(self.environ)

    @property
    def job_environ(self) -> dict[str, str]:
        """The environment of jobs, before a job's own variables."""
        from databuild.cli.backend.job_environment import job_environment

        return job_environment(
            self.environ, self._user_env, runfiles=self.runfiles, workspace=self.workspace, cwd=self.cwd
        )

    @property
    def workspace(self) -> str:
        """The workspace: Bazel's, else the nearest folder above with a MODULE.bazel, else where the user stands."""
        told = self.environ.get("BUILD_WORKSPACE_DIRECTORY")
        if told:
            return told
        folder = self.cwd
        while not os.path.exists(os.path.join(folder, "MODULE.bazel")):  # noqa: PTH110, PTH118
            above = os.path.dirname(folder)  # noqa: PTH120
            if above == folder:
                return self.cwd
            folder = above
        return folder

    @property
    def graph_label(self) -> str:
        """The label of the graph."""
        if not self._graph_label:
            self._graph_label = _graph_label(self.catalog_path)
        return self._graph_label

    @property
    def state_dir(self) -> str:
        """Where the event log and the logs of job runs are kept."""
        told = self.flags.get("state_dir")
        if told:
            return self.path(told)
        repository, _, name = self.graph_label.rpartition("//")
        folder = "/".join(filter(None, (repository, name.replace(":", "/").strip("/"))))
        return os.path.join(self.workspace, ".databuild", folder)  # noqa: PTH118

    @property
    def log_dir(self) -> str:
        """Where the logs of job runs are kept, in one folder per build."""
        return os.path.join(self.state_dir, "logs")  # noqa: PTH118

    @property
    def event_log_uri(self) -> str:
        """The event log; paths in it are absolute."""
        told = self.flags.get("event_log")
        if not told:
            return f"sqlite:{self.state_dir}/events.db"
        return self.absolute_uri(told)

    @property
    def event_sinks(self) -> tuple[str, ...]:
        """Where events are copied to; paths in them are absolute."""
        return tuple(self.absolute_uri(uri) for uri in self.flags.get("event_sink") or ())

    def path(self, text: str) -> str:
        """Returns a path that the user wrote, which is relative to where the user stands."""
        return os.path.normpath(os.path.join(self.cwd, os.path.expanduser(text)))  # noqa: PTH111, PTH118

    def absolute_uri(self, uri: str) -> str:
        """Returns the URI of a store or sink with its path, if it has one, made absolute."""
        scheme, _, path = uri.partition(":")
        return f"{scheme}:{self.path(path)}" if scheme in {"sqlite", "jsonl"} and path else uri

    @property
    def server(self) -> str:
        """The service that is asked instead of the event log here; empty for none."""
        if "server" not in self.flags:
            return ""
        told: str | None = self.flags["server"]
        return self.environ.get(SERVER_VARIABLE, "") if told is None else told

    def check_server(self) -> None:
        """Checks that nothing is asked for besides a service that it has itself, or cannot do.

        Raises:
            UsageError: Something is.
        """
        if not self.server:
            return
        for name, default in _OF_THIS_MACHINE.items():
            if self.flags.get(name, default) not in (default, [], ()):
                self._refuse_beside_server(f"--{name} is for what runs on this machine")
        if self.flags.get("from") is not None:
            self._refuse_beside_server("--from copies records of a state directory to an event log of this machine")
        if self.flags.get("all"):
            self._refuse_beside_server("--all reads the event log itself, which a service does not give away")

    def _refuse_beside_server(self, what: str) -> None:
        from databuild.cli.flags.full_parse import UsageError

        told = self.flags.get("server")
        named = f"--server={told}" if told else f"{SERVER_VARIABLE}={self.environ.get(SERVER_VARIABLE)}"
        raise UsageError(f"{what}, and {named} names a service; give only one of them", self.command)

    def backend(self) -> Backend:
        """Returns the backend, opened once."""
        if self._backend is None:
            self._backend = self._open_backend(self)
        return self._backend

    def open_event_log(self) -> EventLog:
        """Opens the event log for writing, with its sinks; the state directory is made where there is none."""
        from databuild.event_log.open import open_event_log

        if self.json and any(uri.partition(":")[0] == "stdout" for uri in self.event_sinks):
            from databuild.cli.flags.full_parse import UsageError

            raise UsageError("--event_sink=stdout: and --output=json would both write to standard output", self.command)
        try:
            os.makedirs(self.state_dir, exist_ok=True)  # noqa: PTH103
        except OSError as error:
            message = (
                f"the state directory {self.state_dir} cannot be made: {error.strerror}; choose another --state_dir"
            )
            raise InvalidRequestError(message) from error
        return open_event_log(self.event_log_uri, self.event_sinks, warn=self._warn)

    def _warn(self, text: str) -> None:
        self.err.line(f"databuild: {text}")
        self.err.flush()

    def catalog(self) -> JobCatalog:
        """Returns the job catalog, loaded once."""
        if self._catalog is None:
            from databuild.graph.catalog import load_catalog

            self._catalog = load_catalog(self.catalog_path, self.runfiles)
        return self._catalog

    def follow_up(self, arguments: str) -> str:
        """Returns a command to type next, in backquotes."""
        from databuild.cli.display.formats import launcher_command

        where = f" --server={self.flags['server']}" if self.flags.get("server") else ""
        return f"`{launcher_command(self.graph_label)} {arguments}{where}`"


def working_directory(environ: Mapping[str, str] | None) -> str:
    """Returns where the user stands: where Bazel was started or, without it, this process."""
    told = (os.environ if environ is None else environ).get("BUILD_WORKING_DIRECTORY")
    return told or os.getcwd()  # noqa: PTH109 (pathlib costs 8 ms)


def _graph_label(catalog_path: str) -> str:
    """Finds the label in the catalog's text: importing json and parsing it all would cost as much as the query."""
    try:
        with open(catalog_path, encoding="utf-8") as file:  # noqa: PTH123
            text = file.read()
    except OSError as error:
        raise InvalidCatalogError(catalog_path, error.strerror or str(error)) from None
    for key in ('"graph_label"', '"graphLabel"'):
        _, found, after = text.partition(key)
        parts = after.split('"', 2)
        if found and len(parts) == 3 and parts[0].strip() == ":" and parts[1]:
            return parts[1]
    raise InvalidCatalogError(catalog_path, "it names no graph; build the graph again with Bazel")
