"""One invocation of the command line: its flags, environment, paths and streams.

It derives paths, the workspace and the service from flags and environment variables. It imports little, and opens the
event log and the catalog on first use, since commands that only read must start fast.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TextIO

from databuild.cli.display.output import Output
from databuild.errors import InvalidCatalogError, InvalidRequestError

if TYPE_CHECKING:
    from databuild.cli.backend.backend import Backend
    from databuild.event_log.log import EventLog
    from databuild.event_log.open import EnvironmentLogs
    from databuild.event_log.reads import Reader
    from databuild.graph.catalog import JobCatalog


SERVER_VARIABLE = "DATABUILD_SERVER"
_LOCAL_FLAGS = {
    "state_dir": None,
    "event_log": None,
    "event_sink": (),
    "grace_period": 10.0,
    "remote_header": (),
    "credential_helper": None,
    "tls_certificate": None,
    "tls_client_certificate": None,
    "tls_client_key": None,
    "notify": (),
    "notify_on": (),
    "notify_template": None,
    "notify_wait_seconds": 600.0,
    "exporter": (),
    "exporter_seconds": 10.0,
    "exporter_failure": "warn",
    "run": False,
    "scratch_dir": None,
}
"""The flags that are refused together with a service, with their defaults."""

_WITHOUT_RECORDS: Final = frozenset({"build", "graph", "plan", "taint"})
"""The commands that make an environment or read the base if it does not exist yet."""

_ACTIONS_WITHOUT_RECORDS: Final = frozenset({"adopt", "forget", "delete", "clean"})
"""The actions of `partitions` that make an environment, or that every environment refuses."""


class Invocation:
    """The arguments and the context of a command.

    Args:
        command: The name of the command.
        flags: The value of each of its flags.
        positionals: Its other arguments.
        catalog_path: The path of the job catalog that Bazel wrote.
        runfiles: The runfiles root, to which paths in the catalog are relative.
        environ: The environment variables; None for those of this process.
        user_env: The values that the user had set for variables that the launcher or the Python rules have changed.
        out: Receives the result.
        err: Receives everything else.
        stdin: The answers of the user; None for the standard input.
        open_backend: Opens the backend, on its first use.
        kept: Receives large objects, such as plans. `main` keeps them until the process ends, since freeing them takes
            time.
        sleep: Waits for a number of seconds.
        clock: Returns the time in seconds since the epoch.
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
        stdin: TextIO | None = None,
        open_backend: Callable[[Invocation], Backend],
        kept: list[object] | None = None,
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
        self.stdin = stdin or sys.stdin
        self.kept = kept if kept is not None else []
        self.sleep = sleep
        self.clock = clock
        self._open_backend = open_backend
        self._backend: Backend | None = None
        self._graph_label = ""
        self._catalog: JobCatalog | None = None

    @property
    def json(self) -> bool:
        """True if the result is printed as JSON."""
        return bool(self.flags.get("output") == "json")

    @property
    def cwd(self) -> str:
        """The working directory of the user, in which jobs run too."""
        return working_directory(self.environ)

    @property
    def job_environ(self) -> dict[str, str]:
        """The environment of every job, to which the variables of each job are added."""
        from databuild.cli.backend.job_environment import job_environment

        return job_environment(
            self.environ, self._user_env, runfiles=self.runfiles, workspace=self.workspace, cwd=self.cwd
        )

    @property
    def workspace(self) -> str:
        """The workspace of Bazel, else the nearest folder above with a MODULE.bazel, else the working directory."""
        workspace = self.environ.get("BUILD_WORKSPACE_DIRECTORY")
        if workspace:
            return workspace
        folder = self.cwd
        while not os.path.exists(os.path.join(folder, "MODULE.bazel")):  # noqa: PTH110, PTH118
            parent = os.path.dirname(folder)  # noqa: PTH120
            if parent == folder:
                return self.cwd
            folder = parent
        return folder

    @property
    def graph_label(self) -> str:
        if not self._graph_label:
            self._graph_label = _graph_label(self.catalog_path)
        return self._graph_label

    @property
    def environment(self) -> str:
        """The environment of the command; empty for the base."""
        return self.flags.get("environment") or ""

    @property
    def state_dir(self) -> str:
        """The folder of the event log of the base, and of the folders of its environments."""
        value = self.flags.get("state_dir")
        if value:
            return self.path(value)
        # The folders follow the label, so that two graphs of a workspace never share a state directory.
        repository, _, name = self.graph_label.rpartition("//")
        folder = "/".join(filter(None, (repository, name.replace(":", "/").strip("/"))))
        return os.path.join(self.workspace, ".databuild", folder)  # noqa: PTH118

    @property
    def log_dir(self) -> str:
        """The folder of the job logs, with one folder for each build."""
        return self.log_dir_of(self.environment)

    def log_dir_of(self, environment: str) -> str:
        """Returns the folder of the job logs of an environment; empty for the base."""
        folders = ("environments", environment) if environment else ()
        return os.path.join(self.state_dir, *folders, "logs")  # noqa: PTH118

    @property
    def base_log_dir(self) -> str:
        """The folder of the job logs of the base, if the command is about an environment; else empty."""
        return os.path.join(self.state_dir, "logs") if self.environment else ""  # noqa: PTH118

    @property
    def event_log_uri(self) -> str:
        """The URI of the event log of the base, with an absolute path."""
        value = self.flags.get("event_log")
        if not value:
            return f"sqlite:{self.state_dir}/events.db"
        return self.absolute_uri(value)

    @property
    def event_sinks(self) -> tuple[str, ...]:
        """The URIs of the sinks, with absolute paths."""
        return tuple(self.absolute_uri(uri) for uri in self.flags.get("event_sink") or ())

    def path(self, text: str) -> str:
        """Makes a path of the user, which is relative to the working directory of the user, absolute."""
        return os.path.normpath(os.path.join(self.cwd, os.path.expanduser(text)))  # noqa: PTH111, PTH118

    def absolute_uri(self, uri: str) -> str:
        """Makes the path in the URI of an event log or a sink absolute, if it has one."""
        scheme, _, path = uri.partition(":")
        return f"{scheme}:{self.path(path)}" if scheme in {"sqlite", "jsonl"} and path else uri

    @property
    def traceparent(self) -> str:
        """The trace context of the caller; empty if the environment has none, or an invalid one."""
        from databuild.model.trace_context import TRACEPARENT_VARIABLE, valid_traceparent

        return valid_traceparent(self.environ.get(TRACEPARENT_VARIABLE, ""))

    @property
    def server(self) -> str:
        """The address of the service to use; empty for none."""
        if "server" not in self.flags:
            return ""
        value: str | None = self.flags["server"]
        # An empty --server= overrides the variable.
        return self.environ.get(SERVER_VARIABLE, "") if value is None else value

    def check_server(self) -> None:
        """Checks the flags against each other, if a service is named.

        Raises:
            UsageError: A flag works on this machine only.
        """
        if not self.server:
            return
        for name, default in _LOCAL_FLAGS.items():
            if self.flags.get(name, default) not in (default, [], ()):
                self._refuse_beside_server(f"--{name} works on this machine only")
        if self.flags.get("from") is not None:
            self._refuse_beside_server("--from copies records of a state directory to an event log of this machine")
        if self.flags.get("all"):
            self._refuse_beside_server("--all needs the event log itself, which a service does not offer")

    def check_environment(self) -> None:
        """Checks that the environment exists, if the command reads it from an event log of this machine.

        Raises:
            InvalidRequestError: The name is invalid.
            EnvironmentNotFoundError: There is no such environment.
        """
        if not self.environment or self.server or self.command in _WITHOUT_RECORDS:
            return
        if self.command == "partitions" and _ACTIONS_WITHOUT_RECORDS.intersection(self.positionals[:1]):
            return
        from databuild.event_log.open import EnvironmentLogs

        EnvironmentLogs(self.event_log_uri).check(self.environment)

    def one_build(self) -> str:
        """Returns the BUILD that the command line names, or `latest`.

        Raises:
            UsageError: It names several.
        """
        if len(self.positionals) > 1:
            from databuild.cli.flags.usage_error import UsageError

            raise UsageError(f"{self.command} takes one BUILD, not {len(self.positionals)}", self.command)
        return self.positionals[0] if self.positionals else "latest"

    def _refuse_beside_server(self, refusal: str) -> None:
        from databuild.cli.flags.usage_error import UsageError

        value = self.flags.get("server")
        source = f"--server={value}" if value else f"{SERVER_VARIABLE}={self.environ.get(SERVER_VARIABLE)}"
        raise UsageError(f"{refusal}, and {source} names a service; give only one of them", self.command)

    def backend(self) -> Backend:
        """Returns the backend, which is opened on first use."""
        if self._backend is None:
            self._backend = self._open_backend(self)
        return self._backend

    def open_reader(self) -> Reader:
        """Opens the event log for reading: that of the environment over that of the base."""
        from databuild.event_log.open import open_reader

        return open_reader(self.event_log_uri, self.environment)

    def open_event_log(self) -> EventLog:
        """Opens the event log for writing, with its sinks. Creates the state directory if it does not exist.

        Raises:
            InvalidRequestError: The state directory cannot be created.
            UsageError: The result and a sink would both be written to standard output.
        """
        from databuild.event_log.open import open_event_log

        if self.json and any(uri.partition(":")[0] == "stdout" for uri in self.event_sinks):
            from databuild.cli.flags.usage_error import UsageError

            raise UsageError("--event_sink=stdout: and --output=json would both write to standard output", self.command)
        try:
            os.makedirs(self.state_dir, exist_ok=True)  # noqa: PTH103
        except OSError as error:
            message = (
                f"the state directory {self.state_dir} cannot be created: {error.strerror}; choose another --state_dir"
            )
            raise InvalidRequestError(message) from error
        return open_event_log(self.event_log_uri, self.event_sinks, warn=self._warn, environment=self.environment)

    def environment_logs(self) -> EnvironmentLogs | None:
        """Returns the logs of the environments, with the sinks of the base; None for a log in memory."""
        from databuild.event_log.open import EnvironmentLogs

        if self.event_log_uri == "memory:":
            return None
        return EnvironmentLogs(self.event_log_uri, self.event_sinks, warn=self._warn)

    def _warn(self, text: str) -> None:
        self.err.line(f"databuild: {text}")
        self.err.flush()

    def catalog(self) -> JobCatalog:
        """Returns the job catalog, which is loaded on first use."""
        if self._catalog is None:
            from databuild.graph.catalog import load_catalog

            self._catalog = load_catalog(self.catalog_path, self.runfiles)
        return self._catalog

    def follow_up(self, arguments: str) -> str:
        """Returns a command line that the user may run next, in backquotes."""
        from databuild.cli.display.formats import launcher_command

        environment = f" --environment={self.environment}" if self.environment else ""
        server = f" --server={self.flags['server']}" if self.flags.get("server") else ""
        return f"`{launcher_command(self.graph_label)} {arguments}{environment}{server}`"


def working_directory(environ: Mapping[str, str] | None) -> str:
    """Returns the folder in which the user has called Bazel or, without Bazel, the one of this process."""
    folder = (os.environ if environ is None else environ).get("BUILD_WORKING_DIRECTORY")
    return folder or os.getcwd()  # noqa: PTH109 (pathlib costs 8 ms)


def _graph_label(catalog_path: str) -> str:
    """Finds the label in the text of the catalog. Parsing it would take as long as a command that only reads."""
    try:
        with open(catalog_path, encoding="utf-8") as file:  # noqa: PTH123
            text = file.read()
    except OSError as error:
        raise InvalidCatalogError(catalog_path, error.strerror or str(error)) from None
    # Protobuf JSON allows both spellings of the name of a field.
    for key in ('"graph_label"', '"graphLabel"'):
        _, separator, after = text.partition(key)
        parts = after.split('"', 2)
        if separator and len(parts) == 3 and parts[0].strip() == ":" and parts[1]:
            return parts[1]
    raise InvalidCatalogError(catalog_path, "it names no graph; build the graph again with Bazel")
