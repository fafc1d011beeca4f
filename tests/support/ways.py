"""The ways to request a build, behind one interface: a test states the request, and each way makes it.

Every way has a workspace of its own with the same graph of two jobs in bash, over an event log that the test chooses.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, Unpack
from urllib.parse import urlencode

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message

from databuild.client import DatabuildClient
from databuild.error_codes import code_of
from databuild.errors import DataBuildError
from databuild.model.build_options import BuildKeywords
from databuild.model.enum_names import reason_name
from databuild.v1 import service_pb2 as sv
from databuild.v1.service_pb2_grpc import DataBuildServiceStub
from tests.support.answers import (
    Answer,
    comparison_answer,
    environment_removal_answer,
    environments_answer,
    plan_answer,
    promotion_answer,
    removal_answer,
)
from tests.support.command_line_ways import CommandLine, RetryKeywords, Server, Workers, WorkersOfServer, graph_in


class _Service(ABC):
    """Uses one service; a refused request has an exit code as on the command line."""

    def __init__(self, folder: Path, uri: str, executor: str = "local") -> None:
        self.uri = uri
        self.executor = executor
        self.graph = graph_in(folder)
        self.refused: dict[str, int] = {}
        self.environments_of_builds: dict[str, str] = {}
        self._serve()

    def restart(self) -> None:
        self.disconnect()
        self.service.end()
        self._serve()

    def begin(
        self,
        build: str,
        *partitions: str,
        environment: str = "",
        downstream: bool = False,
        **options: Unpack[BuildKeywords],
    ) -> None:
        self._limit(options)
        self.environments_of_builds[build] = environment
        self._take(build, self.submit(build, partitions, options, downstream=downstream))

    def retry(self, build: str, old: str, **options: Unpack[RetryKeywords]) -> None:
        self._limit(options)
        self.environments_of_builds[build] = self.environments_of_builds[old]
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
    def verify(self, changed: str, environment: str = "") -> Answer: ...

    @abstractmethod
    def plan(self, *partitions: str, environment: str = "") -> Answer: ...

    @abstractmethod
    def environments(self) -> Answer: ...

    @abstractmethod
    def compare(self, environment: str, *refs: str) -> Answer: ...

    @abstractmethod
    def promote(self, environment: str, *refs: str) -> Answer: ...

    @abstractmethod
    def remove(self, environment: str, *, delete_data: bool) -> Answer: ...

    def close(self) -> None:
        self.disconnect()
        self.graph.close()

    @abstractmethod
    def connect(self) -> None:
        """Connects to the service, which has started."""

    @abstractmethod
    def disconnect(self) -> None:
        """Closes what `connect` has opened."""

    @abstractmethod
    def submit(self, build: str, partitions: Sequence[str], options: BuildKeywords, *, downstream: bool) -> str:
        """Requests a build, and returns the code of the error if it is refused; else empty."""

    @abstractmethod
    def submit_retry(self, build: str, old: str, options: RetryKeywords) -> str: ...

    @abstractmethod
    def wait(self, build: str) -> tuple[str, str]:
        """Waits for the end of a build, and returns its status and the code of its error; empty for none."""

    def _serve(self) -> None:
        self.service = self.graph.serve("--jobs=1", f"--event_log={self.uri}", f"--executor={self.executor}")
        self.connect()

    def _limit(self, options: BuildKeywords) -> None:
        # The `--jobs` of the service is for jobs on this machine.
        if self.executor != "local":
            options.setdefault("jobs", 1)

    def _take(self, build: str, code: str) -> None:
        """Records the code of the error of a refused build; empty for none."""
        if code:
            assert code in {"UNKNOWN_PARTITION", "BUILD_STATE", "NOTHING_DOWNSTREAM"}, code
            self.refused[build] = 2


class RefusedError(Exception):
    """The service has refused a request."""


class _Requests(_Service):
    """Uses one service by messages of its API."""

    def forget(self, *refs: str) -> Answer:
        return self._asked(
            removal_answer, "ForgetPartitions", "POST /forgettings", {"partitions": refs, "reason": "wrong"}
        )

    def delete(self, *refs: str, dry_run: bool = False) -> Answer:
        body = {"partitions": refs, **({"dry_run": True} if dry_run else {"reason": "old"})}
        return self._asked(removal_answer, "DeletePartitions", "POST /deletions", body)

    def clean(self, *, delete_inputs: bool = False) -> Answer:
        return self._asked(removal_answer, "CleanPartitions", "POST /cleanings", {"delete_inputs": delete_inputs})

    def verify(self, changed: str, environment: str = "") -> Answer:
        body = {"changed": f"CHANGED_POLICY_{changed.upper()}"}
        return self._asked(removal_answer, "VerifyPartitions", "POST /partition_verifications", body, environment)

    def plan(self, *partitions: str, environment: str = "") -> Answer:
        return self._asked(plan_answer, "PlanBuild", "POST /plans", {"partitions": partitions}, environment)

    def environments(self) -> Answer:
        return self._asked(
            lambda document: environments_answer(document.get("environments", [])),
            "ListEnvironments",
            "GET /environments",
            {},
        )

    def compare(self, environment: str, *refs: str) -> Answer:
        return self._asked(
            lambda document: comparison_answer(document.get("comparisons", [])),
            "CompareEnvironment",
            "GET /environments/{environment}/comparison",
            {"environment": environment, "partitions": refs},
        )

    def promote(self, environment: str, *refs: str) -> Answer:
        body = {"environment": environment, "partitions": refs, "reason": "merged"}
        return self._asked(promotion_answer, "PromoteEnvironment", "POST /environments/{environment}/promotion", body)

    def remove(self, environment: str, *, delete_data: bool) -> Answer:
        folder = str(self.graph.folder)
        return self._asked(
            lambda document: environment_removal_answer(document, folder),
            "RemoveEnvironment",
            "POST /environments/{environment}/removal",
            {"environment": environment, "delete_data": delete_data},
        )

    @abstractmethod
    def ask(self, rpc: str, route: str, body: Mapping[str, Any], environment: str) -> Any:
        """Sends a request, and returns the response as JSON.

        Args:
            rpc: The RPC.
            route: Its method and path over HTTP, with `{environment}` for this field of the request.
            body: The request.
            environment: The environment that it is about; empty for the base.

        Raises:
            RefusedError: The service has refused it.
        """

    def _asked(
        self,
        read: Callable[[Any], Answer],
        rpc: str,
        route: str,
        body: Mapping[str, Any],
        environment: str = "",
    ) -> Answer:
        try:
            return read(self.ask(rpc, route, body, environment))
        except RefusedError as error:
            return {"refused": str(error)}


class Grpc(_Requests):
    """The stub that protoc generates, without code of ours."""

    def connect(self) -> None:
        self.channel = grpc.insecure_channel(self.service.addresses["grpc"])
        self.stub = DataBuildServiceStub(self.channel)

    def disconnect(self) -> None:
        self.channel.close()

    def submit(self, build: str, partitions: Sequence[str], options: BuildKeywords, *, downstream: bool) -> str:
        request = {
            "build_request_id": build,
            "partitions": partitions,
            "options": _in_message(options),
            "downstream": downstream,
        }
        return self._code(build, self.stub.SubmitBuild, ParseDict(request, sv.SubmitBuildRequest()))

    def submit_retry(self, build: str, old: str, options: RetryKeywords) -> str:
        request = {"build_request_id": old, "new_build_request_id": build, **_retry(options)}
        return self._code(build, self.stub.RetryBuild, ParseDict(request, sv.RetryBuildRequest()))

    def cancel(self, build: str) -> None:
        self.stub.CancelBuild(sv.CancelBuildRequest(build_request_id=build), metadata=self._about(build))

    def ask(self, rpc: str, route: str, body: Mapping[str, Any], environment: str) -> Any:
        request = ParseDict(dict(body), getattr(sv, f"{rpc}Request")())
        try:
            response = getattr(self.stub, rpc)(request, metadata=_metadata(environment))
        except grpc.RpcError as error:
            raise RefusedError(_detail(error).message) from error
        return MessageToDict(response, preserving_proto_field_name=True)

    def wait(self, build: str) -> tuple[str, str]:
        request = sv.WatchBuildRequest(build_request_id=build)
        *_, answer = self.stub.WatchBuild(request, metadata=self._about(build))
        last = answer.events[-1]
        status = last.build_request.DESCRIPTOR.fields_by_name["status"].enum_type.values_by_number
        return (
            status[last.build_request.status].name.removeprefix("BUILD_STATUS_"),
            last.build_request.error.code,
        )

    def _code(self, build: str, call: Callable[..., object], request: Message) -> str:
        try:
            call(request, metadata=self._about(build))
        except grpc.RpcError as error:
            return _detail(error).code
        return ""

    def _about(self, build: str) -> Sequence[tuple[str, str]]:
        return _metadata(self.environments_of_builds[build])


def _metadata(environment: str) -> Sequence[tuple[str, str]]:
    return ("databuild-author", "ann"), *((("databuild-environment", environment),) if environment else ())


def _detail(error: Any) -> sv.ErrorDetail:
    detail: sv.ErrorDetail = sv.ErrorDetail.FromString(dict(error.trailing_metadata())["databuild-error-bin"])
    return detail


class Http(_Requests):
    """The HTTP API, used as curl does: with a connection for each request."""

    def connect(self) -> None:
        pass

    def disconnect(self) -> None:
        pass

    def submit(self, build: str, partitions: Sequence[str], options: BuildKeywords, *, downstream: bool) -> str:
        options_ = _in_message(options)
        body = {"build_request_id": build, "partitions": partitions, "options": options_, "downstream": downstream}
        return self._code(build, "/builds", body)

    def submit_retry(self, build: str, old: str, options: RetryKeywords) -> str:
        return self._code(build, f"/builds/{old}/retry", {"new_build_request_id": build, **_retry(options)})

    def cancel(self, build: str) -> None:
        assert self._post(f"/builds/{build}/cancel", None, self.environments_of_builds[build])[0] == 200

    def ask(self, rpc: str, route: str, body: Mapping[str, Any], environment: str) -> Any:
        method, _, path = route.partition(" ")
        fields = dict(body)
        if "{environment}" in path:
            path = path.format(environment=fields.pop("environment"))
        if method == "GET":
            status, document = self.service.ask("GET", f"/api/v1{path}?{urlencode(fields, doseq=True)}")
        else:
            status, document = self._post(path, fields, environment)
        if status != 200:
            raise RefusedError(document["error"]["message"])
        return document

    def wait(self, build: str) -> tuple[str, str]:
        environment = self.environments_of_builds[build]
        text = self.service.get(f"/builds/{build}/watch?environment={environment}")
        *_, last = (line for line in text.splitlines() if line.startswith('data: {"'))  # after it, `data: {}`
        end = json.loads(last.removeprefix("data: "))["build_request"]
        return end["status"].removeprefix("BUILD_STATUS_"), (end.get("error") or {}).get("code", "")

    def _code(self, build: str, path: str, body: object) -> str:
        status, answer = self._post(path, body, self.environments_of_builds[build])
        return "" if status == 200 else answer["error"]["code"]

    def _post(self, path: str, body: object, environment: str) -> tuple[int, Any]:
        headers = {"Databuild-Environment": environment} if environment else {}
        return self.service.ask("POST", f"/api/v1{path}", body, **headers)


class Client(_Service):
    """The Python client."""

    def connect(self) -> None:
        self.clients: dict[str, DatabuildClient] = {}

    def disconnect(self) -> None:
        for client in self.clients.values():
            client.close()

    def submit(self, build: str, partitions: Sequence[str], options: BuildKeywords, *, downstream: bool) -> str:
        orchestrator = self._of_build(build).create_orchestrator(
            partitions, build_request_id=build, downstream=downstream, **options
        )
        return self._code(orchestrator.start_build)

    def submit_retry(self, build: str, old: str, options: RetryKeywords) -> str:
        return self._code(lambda: self._of_build(build).retry(old, build_request_id=build, **options))

    def cancel(self, build: str) -> None:
        self._of_build(build).cancel(build)

    def forget(self, *refs: str) -> Answer:
        return removal_answer(self._in("").forget(refs, reason="wrong")._asdict())

    def delete(self, *refs: str, dry_run: bool = False) -> Answer:
        done = self._in("").delete(refs, reason="" if dry_run else "old", dry_run=dry_run)
        return removal_answer({"data": [one._asdict() for one in done.data]})

    def clean(self, *, delete_inputs: bool = False) -> Answer:
        done = self._in("").clean(delete_inputs=delete_inputs)
        return removal_answer({**done._asdict(), "data": [one._asdict() for one in done.data]})

    def verify(self, changed: str, environment: str = "") -> Answer:
        found = self._in(environment).verify_partitions(changed=changed)
        return removal_answer({"checked": found.checked, "findings": [one._asdict() for one in found.findings]})

    def plan(self, *partitions: str, environment: str = "") -> Answer:
        plan = self._in(environment).plan(partitions)
        planned = [{**one._asdict(), "reason": reason_name(one.reason)} for one in plan.partitions]
        return plan_answer({"partitions": planned})

    def environments(self) -> Answer:
        return environments_answer([one._asdict() for one in self._in("").environments()])

    def compare(self, environment: str, *refs: str) -> Answer:
        try:
            compared = list(self._in("").compare_environment(environment, refs))
        except DataBuildError as error:
            return {"refused": str(error)}
        differences = [[difference._asdict() for difference in one.differences] for one in compared]
        pairs = zip(compared, differences, strict=True)
        return comparison_answer([{**one._asdict(), "differences": listed} for one, listed in pairs])

    def promote(self, environment: str, *refs: str) -> Answer:
        try:
            return promotion_answer(self._in("").promote_environment(environment, refs, reason="merged")._asdict())
        except DataBuildError as error:
            return {"refused": str(error)}

    def remove(self, environment: str, *, delete_data: bool) -> Answer:
        try:
            removed = self._in("").remove_environment(environment, delete_data=delete_data)
        except DataBuildError as error:
            return {"refused": str(error)}
        return environment_removal_answer(removed._asdict(), str(self.graph.folder))

    def wait(self, build: str) -> tuple[str, str]:
        client = self._of_build(build)
        result = client.wait(build)
        error = getattr(result, "error", None)
        return client.get(build).build.status, code_of(error) if error else ""

    def _of_build(self, build: str) -> DatabuildClient:
        return self._in(self.environments_of_builds[build])

    def _in(self, environment: str) -> DatabuildClient:
        """Returns the client of an environment; empty for the base."""
        if environment not in self.clients:
            address = self.service.addresses["grpc"]
            self.clients[environment] = DatabuildClient(address, author="ann", environment=environment)
        return self.clients[environment]

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
