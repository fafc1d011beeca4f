"""The ways to request a build, behind one interface: a test states the request, and each way makes it.

Every way has a workspace of its own with the same graph of two jobs in bash, over an event log that the test chooses.
"""

from __future__ import annotations

import json
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias, Unpack

import grpc
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from databuild.client import DatabuildClient
from databuild.error_codes import code_of
from databuild.model.build_options import BuildKeywords
from databuild.v1 import service_pb2 as sv
from databuild.v1.service_pb2_grpc import DataBuildServiceStub
from tests.support.script_graph import ScriptGraph


class RetryKeywords(BuildKeywords, total=False):
    """The options of a retry."""

    failed_jobs_only: bool


def graph_in(folder: Path, *, workers: bool = False) -> ScriptGraph:
    """Returns the graph, in which every build schedules its tasks in the same order."""
    return ScriptGraph(folder, default_partitions=("sum/one_two",), slow=True, workers=workers)


class CommandLine:
    """Each build is its own process."""

    workers = False

    def __init__(self, folder: Path, uri: str, executor: str = "local") -> None:
        """Starts nothing yet.

        Args:
            folder: An empty folder for the workspace.
            uri: The event log.
            executor: Runs the jobs.
        """
        self.uri = uri
        self.executor = executor
        self.graph = graph_in(folder, workers=self.workers)
        self.flags = (f"--event_log={uri}",)
        self.running: dict[str, subprocess.Popen[str]] = {}

    def begin(self, build: str, *partitions: str, downstream: bool = False, **options: Unpack[BuildKeywords]) -> None:
        """Starts a build, and returns when it is recorded or refused."""
        more = ["--downstream"] if downstream else []
        self._start(build, "build", *partitions, *more, **options)

    def retry(self, build: str, old: str, **options: Unpack[RetryKeywords]) -> None:
        """Starts a build of the partitions of another build."""
        self._start(build, "retry", old, **options)

    def cancel(self, build: str) -> None:
        """Requests that a build be cancelled."""
        code, _, err = self.graph.run("cancel", build, *self.flags)
        assert code == 0, err + self.graph.run("status", build, *self.flags)[1]

    def end(self, build: str) -> int:
        """Waits for the end of a build, and returns its exit code."""
        process = self.running.pop(build)
        _, err = process.communicate(timeout=60)
        assert process.returncode in {0, 1, 2, 130}, err
        return process.returncode

    def close(self) -> None:
        self.graph.close()

    def _start(self, build: str, *args: str, **options: object) -> None:
        flags = [f"--{name}={value}" if value is not True else f"--{name}" for name, value in options.items()]
        flags += [f"--build_request_id={build}", "--jobs=1", *self.flags]
        if self.executor != "local":
            flags.append(f"--executor={self.executor}")
        self.running[build] = self.graph.start(*args, *flags)


class Server(CommandLine):
    """Each build is a client process of a service."""

    def __init__(self, folder: Path, uri: str, executor: str = "local") -> None:
        super().__init__(folder, uri)
        self.service = self.graph.serve("--jobs=1", *self.flags, f"--executor={executor}")
        self.flags = (f"--server={self.service.addresses['grpc']}",)


class Workers(CommandLine):
    """Each build is its own process, and workers serve its jobs."""

    workers = True


class WorkersOfServer(Server):
    """Each build is a client process of a service, whose workers serve the jobs of all builds."""

    workers = True


class _Service(ABC):
    """Uses one service; a refused request has an exit code as on the command line."""

    def __init__(self, folder: Path, uri: str, executor: str = "local") -> None:
        self.uri = uri
        self.executor = executor
        self.graph = graph_in(folder)
        self.service = self.graph.serve("--jobs=1", f"--event_log={uri}", f"--executor={executor}")
        self.refused: dict[str, int] = {}

    def begin(self, build: str, *partitions: str, downstream: bool = False, **options: Unpack[BuildKeywords]) -> None:
        self._limit(options)
        self._take(build, self.submit(build, partitions, options, downstream=downstream))

    def retry(self, build: str, old: str, **options: Unpack[RetryKeywords]) -> None:
        self._limit(options)
        self._take(build, self.submit_retry(build, old, options))

    def end(self, build: str) -> int:
        if build in self.refused:
            return self.refused.pop(build)
        status, code = self.wait(build)
        if code:
            return 2 if code in {"UNKNOWN_PARTITION", "DEPENDENCY_CYCLE"} else 1
        return {"COMPLETED": 0, "FAILED": 1, "CANCELLED": 130}[status]

    @abstractmethod
    def cancel(self, build: str) -> None: ...

    def close(self) -> None:
        self.graph.close()

    @abstractmethod
    def submit(self, build: str, partitions: Sequence[str], options: BuildKeywords, *, downstream: bool) -> str:
        """Requests a build, and returns the code of the error if it is refused; else empty."""

    @abstractmethod
    def submit_retry(self, build: str, old: str, options: RetryKeywords) -> str: ...

    @abstractmethod
    def wait(self, build: str) -> tuple[str, str]:
        """Waits for the end of a build, and returns its status and the code of its error; empty for none."""

    def _limit(self, options: BuildKeywords) -> None:
        # The `--jobs` of the service is for jobs on this machine.
        if self.executor != "local":
            options.setdefault("jobs", 1)

    def _take(self, build: str, code: str) -> None:
        """Records the code of the error of a refused build; empty for none."""
        if code:
            assert code in {"UNKNOWN_PARTITION", "BUILD_STATE", "NOTHING_DOWNSTREAM"}, code
            self.refused[build] = 2


class Grpc(_Service):
    """The stub that protoc generates, without code of ours."""

    def __init__(self, folder: Path, uri: str, executor: str = "local") -> None:
        super().__init__(folder, uri, executor)
        self.channel = grpc.insecure_channel(self.service.addresses["grpc"])
        self.stub = DataBuildServiceStub(self.channel)
        self.author = (("databuild-author", "ann"),)

    def submit(self, build: str, partitions: Sequence[str], options: BuildKeywords, *, downstream: bool) -> str:
        request = {
            "build_request_id": build,
            "partitions": partitions,
            "options": _in_message(options),
            "downstream": downstream,
        }
        return self._code(self.stub.SubmitBuild, ParseDict(request, sv.SubmitBuildRequest()))

    def submit_retry(self, build: str, old: str, options: RetryKeywords) -> str:
        request = {"build_request_id": old, "new_build_request_id": build, **_retry(options)}
        return self._code(self.stub.RetryBuild, ParseDict(request, sv.RetryBuildRequest()))

    def cancel(self, build: str) -> None:
        self.stub.CancelBuild(sv.CancelBuildRequest(build_request_id=build), metadata=self.author)

    def wait(self, build: str) -> tuple[str, str]:
        *_, answer = self.stub.WatchBuild(sv.WatchBuildRequest(build_request_id=build))
        last = answer.events[-1]
        status = last.build_request.DESCRIPTOR.fields_by_name["status"].enum_type.values_by_number
        return (
            status[last.build_request.status].name.removeprefix("BUILD_STATUS_"),
            last.build_request.error.code,
        )

    def close(self) -> None:
        self.channel.close()
        super().close()

    def _code(self, call: Callable[..., object], request: Message) -> str:
        try:
            call(request, metadata=self.author)
        except grpc.RpcError as error:
            detail = dict(error.trailing_metadata())["databuild-error-bin"]
            return sv.ErrorDetail.FromString(detail).code
        return ""


class Http(_Service):
    """The HTTP API, used as curl does."""

    def submit(self, build: str, partitions: Sequence[str], options: BuildKeywords, *, downstream: bool) -> str:
        options_ = _in_message(options)
        body = {"build_request_id": build, "partitions": partitions, "options": options_, "downstream": downstream}
        return self._code("/builds", body)

    def submit_retry(self, build: str, old: str, options: RetryKeywords) -> str:
        return self._code(f"/builds/{old}/retry", {"new_build_request_id": build, **_retry(options)})

    def cancel(self, build: str) -> None:
        assert self.service.ask("POST", f"/api/v1/builds/{build}/cancel")[0] == 200

    def wait(self, build: str) -> tuple[str, str]:
        text = self.service.get(f"/builds/{build}/watch")
        *_, last = (line for line in text.splitlines() if line.startswith('data: {"'))  # after it, `data: {}`
        end = json.loads(last.removeprefix("data: "))["build_request"]
        return end["status"].removeprefix("BUILD_STATUS_"), (end.get("error") or {}).get("code", "")

    def _code(self, path: str, body: object) -> str:
        status, answer = self.service.ask("POST", f"/api/v1{path}", body)
        return "" if status == 200 else answer["error"]["code"]


class Client(_Service):
    """The Python client."""

    def __init__(self, folder: Path, uri: str, executor: str = "local") -> None:
        super().__init__(folder, uri, executor)
        self.client = DatabuildClient(self.service.addresses["grpc"], author="ann")

    def submit(self, build: str, partitions: Sequence[str], options: BuildKeywords, *, downstream: bool) -> str:
        orchestrator = self.client.create_orchestrator(
            partitions, build_request_id=build, downstream=downstream, **options
        )
        return self._code(orchestrator.start_build)

    def submit_retry(self, build: str, old: str, options: RetryKeywords) -> str:
        return self._code(lambda: self.client.retry(old, build_request_id=build, **options))

    def cancel(self, build: str) -> None:
        self.client.cancel(build)

    def wait(self, build: str) -> tuple[str, str]:
        result = self.client.wait(build)
        error = getattr(result, "error", None)
        return self.client.get(build).build.status, code_of(error) if error else ""

    def close(self) -> None:
        self.client.close()
        super().close()

    @staticmethod
    def _code(call: Callable[[], object]) -> str:
        try:
            call()
        except Exception as error:
            return code_of(error)
        return ""


def _in_message(options: BuildKeywords) -> dict[str, object]:
    """Returns the options of a build as their message has them, with those of its plan apart."""
    own = {name: value for name, value in options.items() if name in {"keep_going", "jobs"}}
    return {**own, "plan": {"force": True}} if options.get("force") else own


def _retry(options: RetryKeywords) -> dict[str, object]:
    """Returns the options of a retry as its message has them."""
    return {"options": _in_message(options), "failed_jobs_only": options.get("failed_jobs_only", False)}


Way: TypeAlias = CommandLine | Server | Grpc | Http | Client

WAYS: tuple[type[Way], ...] = (CommandLine, Workers, Server, WorkersOfServer, Grpc, Http, Client)
