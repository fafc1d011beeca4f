"""The receivers of all exporters with one interface: each checks what it gets, keeps it, and fails on demand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import grpc

from databuild.exporters.bes.build_event_stream_pb2 import BuildEvent
from databuild.exporters.openlineage.facets import RUN
from tests.support.bes_server import BesServer
from tests.support.openlineage_receiver import faults_of
from tests.support.otlp_receiver import OtlpReceiver, values
from tests.support.receiver import Receiver

_MANY = 10_000
_ENDS = frozenset({"COMPLETE", "FAIL", "ABORT"})


class CheckedReceiver(Protocol):
    """A receiver of one exporter.

    Attributes:
        flags: The flags of a build that sends to it.
        environ: The variables of such a build.
        refusal: A part of the message about a request that it refuses.
    """

    flags: Sequence[str]
    environ: Mapping[str, str]
    refusal: str

    def leave(self) -> None:
        """Closes the port, until `recover`."""
        ...

    def hold(self) -> None:
        """Answers nothing, until `recover`."""
        ...

    def fill(self) -> None:
        """Answers that it can take nothing now, until `recover`."""
        ...

    def refuse(self) -> None:
        """Refuses everything for good, until `recover`."""
        ...

    def recover(self) -> None:
        """Ends all faults."""
        ...

    def messages(self) -> Mapping[str, bytes]:
        """Returns what it has taken, by id. A message that was sent again has not changed."""
        ...

    def repeated(self) -> int:
        """Returns the number of messages that were sent again."""
        ...

    def ended(self) -> Mapping[str, str]:
        """Returns the environments of the builds whose ends have come, by build."""
        ...

    def totals(self) -> Mapping[str, Mapping[str, int]]:
        """Returns the newest values of counters, if it gets any."""
        ...

    def masked(self) -> Any:
        """Returns what it has taken without ids, times and measurements."""
        ...

    def clear(self) -> None:
        """Forgets what it has taken."""
        ...

    def close(self) -> None:
        """Ends, and checks that no rule was broken."""
        ...


class CheckedOtlp:
    """A receiver of OpenTelemetry."""

    def __init__(self, protocol: str) -> None:
        self._grpc = protocol == "grpc"
        self._receiver = OtlpReceiver()
        self._is_away = False
        self.flags: Sequence[str] = ["--exporter=otlp:"]
        self.environ: Mapping[str, str] = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self._receiver.grpc if self._grpc else self._receiver.http,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        }
        self.refusal = "INVALID_ARGUMENT" if self._grpc else "status 400"

    def leave(self) -> None:
        self._receiver.close()
        self._is_away = True

    def hold(self) -> None:
        self._receiver.gate.clear()

    def fill(self) -> None:
        self._receiver.statuses = [429] * _MANY

    def refuse(self) -> None:
        self._receiver.statuses = [400] * _MANY

    def recover(self) -> None:
        if self._is_away:
            before = self._receiver
            http_port, grpc_port = (int(url.rpartition(":")[2]) for url in (before.http, before.grpc))
            self._receiver = OtlpReceiver(http_port=http_port, grpc_port=grpc_port)
            self._receiver.requests = before.requests
            self._is_away = False
        self._receiver.statuses = []
        self._receiver.gate.set()

    def messages(self) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        for span in self._receiver.spans:
            content = span.SerializeToString(deterministic=True)
            assert found.setdefault(f"{span.trace_id.hex()}/{span.span_id.hex()}", content) == content
        return found

    def repeated(self) -> int:
        return len(self._receiver.spans) - len(self.messages())

    def ended(self) -> Mapping[str, str]:
        facts = [values(span.attributes) for span in self._receiver.spans if span.name.startswith("build ")]
        return {one["databuild.build_request_id"]: one.get("databuild.environment", "") for one in facts}

    def totals(self) -> Mapping[str, Mapping[str, int]]:
        counters = ("databuild.builds", "databuild.job_runs", "databuild.partitions")
        return {name: self._receiver.counts(name) for name in counters}

    def masked(self) -> Any:
        names = {span.span_id: span.name for span in self._receiver.spans}
        measured = ("build_request_id", "job_run_id", "worker_id", "seconds", "bytes")
        return sorted(
            (
                span.name,
                names.get(span.parent_span_id, ""),
                sorted(
                    f"{name}={value}" for name, value in values(span.attributes).items() if not name.endswith(measured)
                ),
                sorted(event.name for event in span.events),
            )
            for span in self._receiver.spans
        )

    def clear(self) -> None:
        self._receiver.requests.clear()

    def close(self) -> None:
        if not self._is_away:
            self._receiver.close()


class CheckedBes:
    """A Build Event Service."""

    def __init__(self) -> None:
        self.refusal = "INVALID_ARGUMENT"
        self._server = BesServer()
        self.flags: Sequence[str] = [f"--exporter={self._server.uri}"]
        self.environ: Mapping[str, str] = {}
        self._is_away = False

    def leave(self) -> None:
        self._server.stop()
        self._is_away = True

    def hold(self) -> None:
        self._server.gate.clear()

    def fill(self) -> None:
        self._server.refuses = grpc.StatusCode.RESOURCE_EXHAUSTED

    def refuse(self) -> None:
        self._server.refuses = grpc.StatusCode.INVALID_ARGUMENT

    def recover(self) -> None:
        if self._is_away:
            before, self._server = self._server, BesServer(port=self._server.port)
            self._server.streams, self._server.lifecycle = before.streams, before.lifecycle
            self._is_away = False
        self._server.refuses = None
        self._server.gate.set()

    def messages(self) -> Mapping[str, bytes]:
        return {
            f"{name}/{number}": data
            for name, stream in self._server.streams.items()
            for number, data in enumerate(stream.stored)
        }

    def repeated(self) -> int:
        return sum(stream.repeated for stream in self._server.streams.values())

    def ended(self) -> Mapping[str, str]:
        streams = [stream for name, stream in self._server.streams.items() if stream.finished and self._is_over(name)]
        facts = [stream.rules.of("build_metadata")[0].build_metadata.metadata for stream in streams]
        return {one["DATABUILD_BUILD_REQUEST_ID"]: one.get("DATABUILD_ENVIRONMENT", "") for one in facts}

    def _is_over(self, invocation: str) -> bool:
        """Returns True after the last lifecycle event of a build, which follows the end of its stream."""
        lifecycle = self._server.lifecycle
        builds = {build for build, one in tuple(lifecycle) if one == invocation}
        return any(kind == "build_finished" for build in builds for _, kind in lifecycle.get((build, ""), ()))

    def totals(self) -> Mapping[str, Mapping[str, int]]:
        return {}

    def masked(self) -> Any:
        (stream,) = self._server.streams.values()
        return sorted(masked_bes_event(event).SerializeToString(deterministic=True) for event in stream.rules.events)

    def clear(self) -> None:
        self._server.streams.clear()

    def close(self) -> None:
        if not self._is_away:
            self._server.stop()
        assert not self._server.faults


class _CheckedHttp:
    """A receiver over HTTP whose messages are JSON documents."""

    def __init__(self, absent: Sequence[str] = ()) -> None:
        self.refusal = "status 404"
        self._receiver = Receiver(absent=absent)
        self._is_away = False

    def leave(self) -> None:
        self._receiver.close()
        self._is_away = True

    def hold(self) -> None:
        self._receiver.gate.clear()

    def fill(self) -> None:
        self._receiver.answers = [429] * _MANY

    def refuse(self) -> None:
        self._receiver.answers = [404] * _MANY

    def recover(self) -> None:
        if self._is_away:
            before = self._receiver
            self._receiver = Receiver(before.server.server_port, before.absent)
            self._receiver.taken = before.taken
            self._is_away = False
        self._receiver.answers = []
        self._receiver.gate.set()

    def messages(self) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        for name, message in self._taken():
            assert found.setdefault(name, message) == message
        return found

    def repeated(self) -> int:
        return len(list(self._taken())) - len(self.messages())

    def totals(self) -> Mapping[str, Mapping[str, int]]:
        return {}

    def clear(self) -> None:
        self._receiver.taken.clear()

    def close(self) -> None:
        if not self._is_away:
            self._receiver.close()

    def _taken(self) -> Iterator[tuple[str, bytes]]:
        """Yields the messages that were taken, each with its id."""
        for headers, body in self._receiver.taken:
            yield from self._messages_of(headers, body)

    def _messages_of(self, headers: Mapping[str, str], body: bytes) -> Iterator[tuple[str, bytes]]:
        raise NotImplementedError


class CheckedWebhook(_CheckedHttp):
    """A receiver of notifications, one in each request."""

    def __init__(self) -> None:
        super().__init__()
        self.environ: Mapping[str, str] = {}
        self.flags: Sequence[str] = [f"--notify={self._receiver.url}", "--notify_on=end"]

    def _messages_of(self, headers: Mapping[str, str], body: bytes) -> Iterator[tuple[str, bytes]]:
        yield headers["webhook-id"], body

    def ended(self) -> Mapping[str, str]:
        bodies = [json.loads(body) for body in self.messages().values()]
        return {one["subject"]: one["data"]["environment"] for one in bodies}

    def masked(self) -> Any:
        bodies = [json.loads(body) for body in self.messages().values()]
        for body in bodies:
            for name in ("id", "time", "subject"):
                del body[name]
            del body["data"]["build_request_id"]
        return Counter(json.dumps(body, sort_keys=True) for body in bodies)


class CheckedOpenLineage(_CheckedHttp):
    """A receiver of OpenLineage, with or without the endpoint for batches."""

    def __init__(self, *, batches: bool) -> None:
        super().__init__(absent=() if batches else ("/api/v1/lineage/batch",))
        self.environ: Mapping[str, str] = {"OPENLINEAGE_URL": self._receiver.url.partition("/hook")[0]}
        self.flags: Sequence[str] = ["--exporter=openlineage:"]

    def _messages_of(self, headers: Mapping[str, str], body: bytes) -> Iterator[tuple[str, bytes]]:
        content = json.loads(body)
        for event in content if isinstance(content, list) else [content]:
            yield f"{event['run']['runId']}/{event['eventType']}", json.dumps(event).encode()

    def ended(self) -> Mapping[str, str]:
        facts = [event["run"]["facets"].get(RUN, {}) for event in self._events() if event["eventType"] in _ENDS]
        return {one["buildRequestId"]: one.get("environment", "") for one in facts if one and "jobRunId" not in one}

    def masked(self) -> Any:
        return Counter(
            (
                event["eventType"],
                event["job"]["namespace"],
                event["job"]["name"],
                *(
                    (dataset["namespace"], dataset["name"], *sorted(dataset.get("facets", ())))
                    for dataset in (*event["inputs"], *event["outputs"])
                ),
                *sorted(event["run"]["facets"]),
            )
            for event in self._events()
        )

    def close(self) -> None:
        super().close()
        faults = [fault for event in self._events() for fault in faults_of(event)]
        assert not faults, faults[0]

    def _events(self) -> list[Any]:
        return [json.loads(body) for body in self.messages().values()]


RECEIVERS: Mapping[str, Callable[[], CheckedReceiver]] = {
    "otlp over http": lambda: CheckedOtlp("http/protobuf"),
    "otlp over grpc": lambda: CheckedOtlp("grpc"),
    "bes": CheckedBes,
    "openlineage": lambda: CheckedOpenLineage(batches=True),
    "openlineage without batches": lambda: CheckedOpenLineage(batches=False),
    "webhook": CheckedWebhook,
}
"""Makes a receiver of each exporter."""

EXTENSIONS: Mapping[str, Mapping[str, object]] = {"bes": {}, "openlineage": {}, "otlp": {}}
"""The extensions in the catalog of a graph that sends to them."""


def masked_bes_event(original: BuildEvent) -> BuildEvent:
    """Returns an event without ids of builds, times and durations."""
    event = BuildEvent.FromString(original.SerializeToString())
    kind = event.WhichOneof("payload")
    if kind == "test_result":
        for name in ("test_attempt_start", "test_attempt_duration"):
            event.test_result.ClearField(name)
        event.test_result.ClearField("test_attempt_start_millis_epoch")
        event.test_result.ClearField("test_attempt_duration_millis")
        for file in event.test_result.test_action_output:
            file.uri = file.uri.rpartition(".")[2]
    elif kind == "progress":
        event.progress.ClearField("stderr")
    elif kind == "test_summary":
        for name in ("first_start_time", "last_stop_time", "total_run_duration"):
            event.test_summary.ClearField(name)
    elif kind in {"started", "build_metadata", "workspace_status", "finished", "build_metrics"}:
        event.ClearField(kind)
    return event
