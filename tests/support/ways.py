"""The ways to request a build, behind one interface: a test states the request, and each way makes it.

Every way has a workspace of its own with the same graph of two jobs in bash, over an event log that the test chooses.
"""

from __future__ import annotations

import json
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, Unpack

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict
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
    """Returns the graph, in which every build schedules its tasks in the same order. Numbers need not be retained."""
    graph = ScriptGraph(folder, default_partitions=("sum/one_two",), slow=True, workers=workers)
    graph.jobs[0]["retentionSeconds"] = 0.000001
    graph.write_catalog()
    return graph


Answer: TypeAlias = dict[str, object]
"""The answer to an operation on partitions, in the same form for all ways."""


def answer(document: Mapping[str, Any]) -> Answer:
    """Returns the parts of an answer that all ways give, from the JSON of the command line or of the API."""
    data = document.get("data", ())
    findings = document.get("findings", ())
    numbers = {name: int(document.get(name, 0)) for name in ("deleted", "kept", "refused", "checked")}
    return {
        **numbers,
        "partitions": list(document.get("partitions", ())),
        "data": [(one["ref"], int(one.get("size", one.get("size_bytes", 0))), one.get("fault", "")) for one in data],
        "findings": [(one["ref"], one["kind"].removeprefix("KIND_").lower()) for one in findings],
    }


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

    def forget(self, *refs: str) -> Answer:
        """Forgets partitions."""
        return self._partitions("forget", *refs, "--reason=wrong")

    def delete(self, *refs: str, dry_run: bool = False) -> Answer:
        """Deletes the data of partitions."""
        return self._partitions("delete", *refs, *(["--dry_run"] if dry_run else ["--reason=old", "--yes"]))

    def clean(self, *, delete_inputs: bool = False) -> Answer:
        """Deletes old data."""
        return self._partitions("clean", *(["--delete_inputs"] if delete_inputs else []))

    def verify(self, changed: str) -> Answer:
        """Looks for the data of all partitions, and records what is missing or changed."""
        return self._partitions("verify", f"--changed={changed}")

    def close(self) -> None:
        self.graph.close()

    def _partitions(self, *args: str) -> Answer:
        _, out, err = self.graph.run("partitions", *args, "--output=json", *self.flags)
        assert out, err
        return answer(json.loads(out))

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

    @abstractmethod
    def forget(self, *refs: str) -> Answer: ...

    @abstractmethod
    def delete(self, *refs: str, dry_run: bool = False) -> Answer: ...

    @abstractmethod
    def clean(self, *, delete_inputs: bool = False) -> Answer: ...

    @abstractmethod
    def verify(self, changed: str) -> Answer: ...

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


class _Requests(_Service):
    """Uses one service by messages of its API."""

    def forget(self, *refs: str) -> Answer:
        return self.ask("ForgetPartitions", "/forgettings", {"partitions": refs, "reason": "wrong"})

    def delete(self, *refs: str, dry_run: bool = False) -> Answer:
        body = {"partitions": refs, **({"dry_run": True} if dry_run else {"reason": "old"})}
        return self.ask("DeletePartitions", "/deletions", body)

    def clean(self, *, delete_inputs: bool = False) -> Answer:
        return self.ask("CleanPartitions", "/cleanings", {"delete_inputs": delete_inputs})

    def verify(self, changed: str) -> Answer:
        body = {"changed": f"CHANGED_POLICY_{changed.upper()}"}
        return self.ask("VerifyPartitions", "/partition_verifications", body)

    @abstractmethod
    def ask(self, rpc: str, path: str, body: Mapping[str, object]) -> Answer:
        """Sends the request of an operation on partitions.

        Args:
            rpc: The RPC.
            path: Its path over HTTP.
            body: The request.
        """


class Grpc(_Requests):
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

    def ask(self, rpc: str, path: str, body: Mapping[str, object]) -> Answer:
        request = ParseDict(dict(body), getattr(sv, f"{rpc}Request")())
        response = getattr(self.stub, rpc)(request, metadata=self.author)
        return answer(MessageToDict(response, preserving_proto_field_name=True))

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


class Http(_Requests):
    """The HTTP API, used as curl does."""

    def submit(self, build: str, partitions: Sequence[str], options: BuildKeywords, *, downstream: bool) -> str:
        options_ = _in_message(options)
        body = {"build_request_id": build, "partitions": partitions, "options": options_, "downstream": downstream}
        return self._code("/builds", body)

    def submit_retry(self, build: str, old: str, options: RetryKeywords) -> str:
        return self._code(f"/builds/{old}/retry", {"new_build_request_id": build, **_retry(options)})

    def cancel(self, build: str) -> None:
        assert self.service.ask("POST", f"/api/v1/builds/{build}/cancel")[0] == 200

    def ask(self, rpc: str, path: str, body: Mapping[str, object]) -> Answer:
        status, document = self.service.ask("POST", f"/api/v1{path}", body)
        assert status == 200, document
        return answer(document)

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

    def forget(self, *refs: str) -> Answer:
        return answer(self.client.forget(refs, reason="wrong")._asdict())

    def delete(self, *refs: str, dry_run: bool = False) -> Answer:
        done = self.client.delete(refs, reason="" if dry_run else "old", dry_run=dry_run)
        return answer({"data": [one._asdict() for one in done.data]})

    def clean(self, *, delete_inputs: bool = False) -> Answer:
        done = self.client.clean(delete_inputs=delete_inputs)
        return answer({**done._asdict(), "data": [one._asdict() for one in done.data]})

    def verify(self, changed: str) -> Answer:
        found = self.client.verify_partitions(changed=changed)
        return answer({"checked": found.checked, "findings": [one._asdict() for one in found.findings]})

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
