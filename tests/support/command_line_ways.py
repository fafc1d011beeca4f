"""The command line as a way to request builds: by itself, or as a client of a service, with and without workers.

Every way has a workspace of its own with the same graph of two jobs in bash, over an event log that the test chooses.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, Unpack

from databuild.model.build_options import BuildKeywords
from tests.support.answers import (
    Answer,
    comparison_answer,
    environment_removal_answer,
    environments_answer,
    plan_answer,
    promotion_answer,
    removal_answer,
)
from tests.support.fork_server import start_fork_server
from tests.support.script_graph import Process, ScriptGraph

_MODULES = tuple(
    f"databuild.{name}"
    for name in (
        "cli.backend.local_build",
        "cli.backend.local_removals",
        "cli.backend.remote_backend",
        "cli.backend.remote_build",
        "cli.commands.build",
        "cli.commands.cancel",
        "cli.commands.environments",
        "cli.commands.partitions",
        "cli.commands.plan",
        "cli.commands.removals",
        "cli.commands.retry",
        "cli.commands.serve",
        "cli.commands.verify_stores",
        "cli.flags.full_parse",
        "service.dashboard.app",
        "service.http.http_api",
        "service.process.server",
        "service.rpc.grpc_api",
    )
)
"""The modules of the commands and of the service."""


class RetryKeywords(BuildKeywords, total=False):
    """The options of a retry."""

    failed_jobs_only: bool


def graph_in(folder: Path, *, workers: bool = False, forks: bool = True) -> ScriptGraph:
    """Returns the graph, in which every build schedules its tasks in the same order. Numbers need not be retained.

    Args:
        folder: An empty folder for the workspace.
        workers: True to let workers run the jobs.
        forks: True to fork the processes of commands, False to start a Python for each.
    """
    default = ("sum/one_two",)
    graph = ScriptGraph(
        folder, default_partitions=default, slow=True, workers=workers, fork_server=_fork_server() if forks else None
    )
    graph.jobs[0]["retentionSeconds"] = 0.000001
    graph.write_catalog()
    return graph


@functools.cache
def _fork_server() -> ForkServerContext:
    return start_fork_server(*_MODULES)


class CommandLine:
    """Each build is its own process."""

    workers = False
    forks = True

    def __init__(self, folder: Path, uri: str, executor: str = "local") -> None:
        """Starts nothing yet.

        Args:
            folder: An empty folder for the workspace.
            uri: The event log.
            executor: Runs the jobs.
        """
        self.uri = uri
        self.executor = executor
        self.graph = graph_in(folder, workers=self.workers, forks=self.forks)
        self.flags = (f"--event_log={uri}",)
        self.running: dict[str, Process] = {}
        self.environments_of_builds: dict[str, str] = {}

    def restart(self) -> None:
        """Loads the catalog again, which happens only when a service starts."""

    def begin(
        self,
        build: str,
        *partitions: str,
        environment: str = "",
        downstream: bool = False,
        **options: Unpack[BuildKeywords],
    ) -> None:
        """Starts a build, and returns when it is recorded or refused."""
        more = ["--downstream"] if downstream else []
        self._start(build, environment, "build", *partitions, *more, **options)

    def retry(self, build: str, old: str, **options: Unpack[RetryKeywords]) -> None:
        """Starts a build of the partitions of another build, in the environment of that build."""
        self._start(build, self.environments_of_builds[old], "retry", old, **options)

    def cancel(self, build: str) -> None:
        """Requests that a build be cancelled."""
        flags = (*_in_environment(self.environments_of_builds[build]), *self.flags)
        code, _, err = self.graph.run("cancel", build, *flags)
        assert code == 0, err + self.graph.run("status", build, *flags)[1]

    def end(self, build: str) -> int:
        """Waits for the end of a build, and returns its exit code."""
        process = self.running.pop(build)
        _, err = process.communicate(timeout=60)
        assert process.returncode in {0, 1, 2, 130}, err
        return process.returncode

    def forget(self, *refs: str) -> Answer:
        """Forgets partitions."""
        return self._partitions("forget", *refs, "--reason=wrong")

    def delete(self, *refs: str, dry_run: bool = False) -> Answer:
        """Deletes the data of partitions."""
        return self._partitions("delete", *refs, *(["--dry_run"] if dry_run else ["--reason=old", "--yes"]))

    def clean(self, *, delete_inputs: bool = False) -> Answer:
        """Deletes old data."""
        return self._partitions("clean", *(["--delete_inputs"] if delete_inputs else []))

    def verify(self, changed: str, environment: str = "") -> Answer:
        """Looks for the data of all partitions, and records what is missing or changed."""
        return self._partitions("verify", f"--changed={changed}", *_in_environment(environment))

    def plan(self, *partitions: str, environment: str = "") -> Answer:
        """Makes a plan."""
        return self._asked(plan_answer, "plan", *partitions, *_in_environment(environment))

    def environments(self) -> Answer:
        """Lists the environments."""
        return self._asked(lambda document: environments_answer(document["environments"]), "environments", "list")

    def compare(self, environment: str, *refs: str) -> Answer:
        """Compares partitions of an environment with those of the base."""
        return self._asked(
            lambda document: comparison_answer(document["partitions"]), "environments", "diff", environment, *refs
        )

    def promote(self, environment: str, *refs: str) -> Answer:
        """Promotes partitions of an environment."""
        return self._asked(promotion_answer, "environments", "promote", environment, *refs, "--reason=merged")

    def remove(self, environment: str, *, delete_data: bool) -> Answer:
        """Removes an environment."""
        flags = ["--delete_data"] if delete_data else []
        folder = str(self.graph.folder)
        return self._asked(
            lambda document: environment_removal_answer(document, folder),
            "environments",
            "remove",
            environment,
            *flags,
        )

    def close(self) -> None:
        self.graph.close()

    def _partitions(self, *args: str) -> Answer:
        return self._asked(removal_answer, "partitions", *args)

    def _asked(self, read: Callable[[Any], Answer], *args: str) -> Answer:
        """Runs a command, and returns its answer, or the message of its error."""
        code, out, err = self.graph.run(*args, "--output=json", *self.flags)
        if out:
            return read(json.loads(out))
        assert code == 2, err
        return {"refused": err.strip().removeprefix("databuild: ")}

    def _start(self, build: str, environment: str, *args: str, **options: object) -> None:
        flags = [f"--{name}={value}" if value is not True else f"--{name}" for name, value in options.items()]
        flags += [f"--build_request_id={build}", "--jobs=1", *_in_environment(environment), *self.flags]
        if self.executor != "local":
            flags.append(f"--executor={self.executor}")
        self.environments_of_builds[build] = environment
        self.running[build] = self.graph.begin(*args, *flags)


class StartedCommandLine(CommandLine):
    """Each build is its own process, with a Python of its own, and so with hashes of its own."""

    forks = False


class Server(CommandLine):
    """Each build is a client process of a service."""

    def __init__(self, folder: Path, uri: str, executor: str = "local") -> None:
        super().__init__(folder, uri)
        self._service_flags = ("--jobs=1", *self.flags, f"--executor={executor}")
        self._serve()

    def restart(self) -> None:
        self.service.end()
        self._serve()

    def _serve(self) -> None:
        self.service = self.graph.serve(*self._service_flags)
        self.flags = (f"--server={self.service.addresses['grpc']}",)


class Workers(CommandLine):
    """Each build is its own process, and workers serve its jobs."""

    workers = True


class WorkersOfServer(Server):
    """Each build is a client process of a service, whose workers serve the jobs of all builds."""

    workers = True


def _in_environment(environment: str) -> list[str]:
    """Returns the flags of a command that is about an environment; none for the base."""
    return [f"--environment={environment}"] if environment else []
