"""The client without a service: addresses, retries, results of builds, and displays in notebooks."""

from __future__ import annotations

import asyncio
import inspect
import sys
import types
from collections.abc import AsyncGenerator, Callable
from typing import Any, TypeAlias

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from databuild.client import AsyncDatabuildClient, Cancelled, DatabuildClient, Failed, FailFast, Success
from databuild.client.calls import Calls
from databuild.client.connection import Connection, metadata_of
from databuild.client.endpoint import Tls, parse_endpoint
from databuild.client.notebook import LiveDisplay
from databuild.client.remote_build import RemoteBuild
from databuild.client.results import check_success, result_of, result_of_pruned
from databuild.client.sync_bridge import iterate_sync, run_sync
from databuild.client.transport import Metadata
from databuild.errors import (
    BuildFailedError,
    BuildNotFoundError,
    InvalidRequestError,
    PlanChangedError,
    ServiceError,
    ServiceUnreachableError,
    ShuttingDownError,
)
from databuild.model.records import BuildRecord, FailureRecord
from databuild.model.results import BuildResult
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from databuild.v1 import service_pb2 as sv

HOSTILE = "<script>alert('x')</script>&\"'"


@pytest.mark.parametrize(
    ("text", "target", "secure"),
    [
        ("localhost", "localhost:7421", False),
        ("localhost:1", "localhost:1", False),
        (" build.example:7421/ ", "build.example:7421", False),
        ("grpc://10.0.0.1", "10.0.0.1:7421", False),
        ("grpcs://build.example:443", "build.example:443", True),
        ("[::1]", "[::1]:7421", False),
        ("[::1]:99", "[::1]:99", False),
        ("::1", "[::1]:7421", False),
    ],
)
def test_an_address_is_read(text: str, target: str, secure: bool) -> None:
    endpoint = parse_endpoint(text)

    assert (endpoint.target, endpoint.secure) == (target, secure)
    assert parse_endpoint(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://localhost:7420",
        "ftp://x",
        "host:",
        "host:x",
        "host:0",
        "host:70000",
        "a b",
        "user@host",
        "host/path",
    ],
)
def test_an_invalid_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        DatabuildClient(text)


@pytest.mark.parametrize(
    ("tls", "said"),
    [
        (Tls(certificate="/nothing"), "both the certificate and its key"),
        (Tls(authority="/nothing"), "/nothing: No such file"),
    ],
)
def test_files_of_tls_that_cannot_be_used_are_refused_at_once(tls: Tls, said: str) -> None:
    with pytest.raises(InvalidRequestError, match=said):
        DatabuildClient("localhost", tls=tls)


def test_one_text_instead_of_a_list_of_partitions_is_refused_before_a_request_is_sent() -> None:
    def calls(client: DatabuildClient) -> list[Callable[[], object]]:
        return [
            lambda: client.create_orchestrator("a/1"),
            lambda: client.submit("a/1"),
            lambda: client.plan("a/1"),
            lambda: client.taint("a/1"),
            lambda: client.adopt("a/1", reason="r"),
            lambda: client.forget("a/1", reason="r"),
            lambda: client.delete("a/1", reason="r"),
            lambda: client.verify_partitions("a/1"),
            lambda: client.promote_environment("pr-1", "a/1"),
            lambda: list(client.compare_environment("pr-1", "a/1")),
            lambda: client.downstream("a/1"),
            lambda: client.declared_downstream("a/1"),
            lambda: client.verify("a/1"),
        ]

    with DatabuildClient("localhost:1") as client:
        for call in calls(client):
            with pytest.raises(InvalidRequestError, match=r"'a/1' is one text, not a list; write \['a/1'\]"):
                call()


def test_a_number_of_jobs_that_is_out_of_range_is_refused_by_name() -> None:
    with DatabuildClient("localhost:1") as client, pytest.raises(InvalidRequestError, match="jobs is -1"):
        client.submit(["a/1"], jobs=-1)


def test_the_token_goes_with_each_request_and_the_author_where_he_can_be_written() -> None:
    assert metadata_of("secret", "ann") == (("authorization", "Bearer secret"), ("databuild-author", "ann"))
    assert metadata_of("", "ännchen") == ()


Trailing: TypeAlias = tuple[tuple[str, bytes], ...]


class Fault(grpc.RpcError):  # type: ignore[misc]  # grpc has no types
    def __init__(
        self, status: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE, details: str = "gone", trailing: Trailing = ()
    ) -> None:
        self.facts = (status, details, trailing)

    def code(self) -> grpc.StatusCode:
        return self.facts[0]

    def details(self) -> str:
        return self.facts[1]

    def trailing_metadata(self) -> Trailing:
        return self.facts[2]


class FakeTransport:
    """Returns or raises the given responses, and remembers the pauses."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Any]] = []
        self.now = 0.0

    async def ask(self, method: str, request: Message, metadata: Metadata, seconds: float) -> Any:
        self.asked.append((method, dict(metadata)))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def stream(self, method: str, request: Any, metadata: Metadata) -> AsyncGenerator[sv.WatchBuildResponse]:
        self.asked.append((method, request.after_sequence))
        for answer in self.answers.pop(0):
            if isinstance(answer, Exception):
                raise answer
            yield sv.WatchBuildResponse(events=[answer])

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def close(self) -> None:
        pass


def calls_over(*answers: Any, retry_timeout: float = 60.0) -> tuple[Calls, FakeTransport]:
    transport = FakeTransport(*answers)
    clock = lambda: transport.now  # noqa: E731
    connection = Connection(
        transport, endpoint="here:1", metadata=metadata_of("", "ann"), retry_timeout=retry_timeout, clock=clock
    )
    return Calls(connection), transport


def summary(status: str = "EXECUTING", last_sequence: int = 0) -> sv.BuildSummary:
    return sv.BuildSummary(build_request_id="b", status=f"BUILD_STATUS_{status}", last_sequence=last_sequence)


def event(sequence: int, status: str = "EXECUTING") -> ev.BuildEvent:
    return ev.BuildEvent(
        build_request_id="b", sequence=sequence, build_request=ev.BuildRequestEvent(status=f"BUILD_STATUS_{status}")
    )


def test_a_service_that_never_answered_is_not_awaited() -> None:
    calls, transport = calls_over(Fault(details="failed: last error: UNKNOWN: Connection refused"))

    with pytest.raises(ServiceUnreachableError, match="at here:1 cannot be reached: Connection refused"):
        run_sync(calls.get())
    assert transport.now == 0


def test_a_service_that_answered_before_is_awaited() -> None:
    calls, transport = calls_over(summary(), Fault(), Fault(), Fault(), summary("COMPLETED"))

    assert run_sync(calls.get()).build.status == "EXECUTING"
    assert run_sync(calls.get()).build.status == "COMPLETED"
    assert 0.15 <= transport.now <= 0.7


def test_a_service_that_shuts_down_is_awaited_if_it_answered_before() -> None:
    detail = sv.ErrorDetail(code="SHUTTING_DOWN", message="it is shutting down", status="UNAVAILABLE")
    stopping = Fault(trailing=(("databuild-error-bin", detail.SerializeToString()),))
    calls, transport = calls_over(stopping, summary(), stopping, Fault(), summary("COMPLETED"))

    with pytest.raises(ShuttingDownError):
        run_sync(calls.get())
    assert transport.now == 0
    run_sync(calls.get())
    assert run_sync(calls.get()).build.status == "COMPLETED"
    assert transport.now > 0


def test_retries_end() -> None:
    calls, transport = calls_over(summary(), *[Fault()] * 100, retry_timeout=20.0)
    run_sync(calls.get())

    with pytest.raises(ServiceUnreachableError):
        run_sync(calls.get())
    assert 20.0 <= transport.now <= 23.0


def test_a_refused_request_is_not_repeated() -> None:
    calls, transport = calls_over(summary(), Fault(grpc.StatusCode.RESOURCE_EXHAUSTED, "too large"))
    run_sync(calls.get())

    with pytest.raises(ServiceError, match="RESOURCE_EXHAUSTED: too large"):
        run_sync(calls.get())
    assert transport.now == 0


def test_the_error_of_the_service_is_raised() -> None:
    facts = Struct()
    facts.update({"build_request_id": "x", "candidates": []})
    detail = sv.ErrorDetail(code="BUILD_NOT_FOUND", message="there is none", status="NOT_FOUND", facts=facts)
    calls, _ = calls_over(Fault(trailing=(("databuild-error-bin", detail.SerializeToString()),)))

    with pytest.raises(BuildNotFoundError, match="there is none") as raised:
        run_sync(calls.get("x"))
    assert raised.value.candidates == ()


def test_watching_goes_on_where_it_was_cut_off() -> None:
    calls, transport = calls_over(
        summary(), [event(1), event(2), Fault()], Fault(), [event(3), Fault()], [event(4, "COMPLETED")]
    )
    transport.answers[2] = [Fault()]

    seen = list(iterate_sync(calls.watch()))

    assert [one.sequence for one in seen] == [1, 2, 3, 4]
    assert [after for method, after in transport.asked if method == "WatchBuild"] == [0, 2, 2, 3]


def test_watching_goes_on_when_a_service_that_ended_is_back() -> None:
    calls, transport = calls_over([event(1)], summary(last_sequence=1), [event(2, "FAILED")])

    assert [one.sequence for one in iterate_sync(calls.watch_known("b"))] == [1, 2]
    assert transport.now > 0


def test_watching_after_the_end_ends() -> None:
    calls, _ = calls_over([], summary("COMPLETED", last_sequence=9))

    assert list(iterate_sync(calls.watch_known("b", after=9))) == []


def test_a_request_that_is_repeated_has_the_same_id() -> None:
    sent = []

    class Losing(FakeTransport):
        async def ask(self, method: str, request: Any, metadata: Metadata, seconds: float) -> Any:
            sent.append(request.build_request_id or request.new_build_request_id)
            return await super().ask(method, request, metadata, seconds)

    answer = sv.SubmitBuildResponse(build=summary())
    connection = Connection(Losing(answer, Fault(), answer), endpoint="x", metadata=())
    calls = Calls(connection)

    run_sync(calls.submit(["raw/1"]))
    run_sync(calls.submit(["raw/1"]))

    assert sent[0] != sent[1] == sent[2] != ""


def test_a_cancellation_may_be_by_another() -> None:
    calls, transport = calls_over(summary(), summary())

    run_sync(calls.cancel("b"))
    run_sync(calls.cancel("b", author="the signal SIGTERM"))

    assert [metadata["databuild-author"] for _, metadata in transport.asked] == ["ann", "the signal SIGTERM"]


def failed(*, jobs_failed: int = 0, trigger_job: str = "", error: ev.BuildError | None = None) -> ev.BuildRequestEvent:
    failure = pt.Failure(category=pt.FAILURE_CATEGORY_USER, message="1 task failed")
    return ev.BuildRequestEvent(
        status=ev.BUILD_STATUS_FAILED, failure=failure, jobs_failed=jobs_failed, trigger_job=trigger_job, error=error
    )


def test_the_result_of_a_build_is_in_its_last_event() -> None:
    cancelled = ev.BuildRequestEvent(status=ev.BUILD_STATUS_CANCELLED, jobs_completed=1, cancelled_by="ann")

    assert result_of(ev.BuildRequestEvent(status=ev.BUILD_STATUS_COMPLETED, jobs_completed=3)) == Success(
        jobs_completed=3
    )
    assert result_of(cancelled) == Cancelled(jobs_completed=1, author="ann")
    assert result_of(failed(jobs_failed=1)) == Failed(jobs_failed=1, message="1 task failed")
    assert result_of(failed(jobs_failed=1, trigger_job="//:raw")) == FailFast(trigger_job="//:raw")
    result = result_of(failed(error=ev.BuildError(code="PLAN_CHANGED", message="new")))
    assert isinstance(result, Failed)
    assert (type(result.error), str(result.error)) == (PlanChangedError, "new")


def test_the_result_of_a_pruned_build_is_in_its_record() -> None:
    completed = BuildRecord("b", "COMPLETED", "//:g", (), 0.0, 0.0, 9, jobs_completed=2)
    cancelled = completed._replace(status="CANCELLED", cancel_requested_by="ann")
    failed = completed._replace(status="FAILED", jobs_failed=1, failure=FailureRecord("TIMEOUT", "slow"))

    assert result_of_pruned(completed) == Success(jobs_completed=2)
    assert result_of_pruned(cancelled) == Cancelled(jobs_completed=2, author="ann")
    assert result_of_pruned(failed) == Failed(
        jobs_completed=2, jobs_failed=1, category=pt.FAILURE_CATEGORY_TIMEOUT, message="slow"
    )


@pytest.mark.parametrize(
    ("result", "error", "said"),
    [
        (Cancelled(author="ann"), BuildFailedError, "build b CANCELLED: cancelled by ann"),
        (Cancelled(), BuildFailedError, "build b CANCELLED"),
        (Failed(jobs_failed=1, message="1 task failed"), BuildFailedError, "build b FAILED: 1 task failed"),
        (FailFast(trigger_job="//:raw"), BuildFailedError, "build b FAILED: stopped after //:raw failed"),
        (Failed(error=PlanChangedError(["x"])), PlanChangedError, "out of date"),
    ],
)
def test_a_check_raises_what_a_build_failed_for(result: BuildResult, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        check_success("b", result)
    check_success("b", Success())


def public(kind: type[object]) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_both_clients_can_do_the_same_with_the_same_arguments() -> None:
    inside = {"start", "watch_known"}  # the class of which handles and the others are instances

    assert public(AsyncDatabuildClient) - inside == public(DatabuildClient)
    for name in public(DatabuildClient):
        one, other = (
            inspect.signature(getattr(kind, name)).parameters for kind in (DatabuildClient, AsyncDatabuildClient)
        )
        assert list(one.values()) == list(other.values()), name


def test_a_coroutine_that_waits_for_an_event_loop_is_refused() -> None:
    with pytest.raises(RuntimeError, match="event loop"):
        run_sync(asyncio.sleep(0))


def test_a_stream_that_is_left_early_is_closed() -> None:
    closed = []

    async def items() -> AsyncGenerator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    iterating = iterate_sync(items())

    assert next(iterating) == 1
    iterating.close()
    assert closed == [True]


def remote(*partitions: str, build: str = "b") -> RemoteBuild[None]:
    return RemoteBuild(build, partitions, lambda _build: None)


def feed(build: RemoteBuild[None], *events: tuple[str, Message]) -> None:
    for sequence, (kind, message) in enumerate(events, 1):
        payload: dict[str, Any] = {kind: message}
        build.add(ev.BuildEvent(sequence=sequence, **payload))


def test_a_build_is_shown_with_its_progress() -> None:
    build = remote("raw/1", "raw/2")
    feed(
        build,
        ("job_graph", ev.JobGraphEvent(total_tasks=4)),
        ("build_request", ev.BuildRequestEvent(status=ev.BUILD_STATUS_EXECUTING)),
        ("job", ev.JobEvent(job_run_id="b.1.1", job_label="//:raw", status=ev.JOB_STATUS_COMPLETED)),
        ("job", ev.JobEvent(job_run_id="b.2.1", job_label="//:raw", status=ev.JOB_STATUS_RUNNING)),
    )

    html = build._repr_html_()

    assert repr(build) == "<build b: executing>"
    assert 'aria-valuenow="25"' in html
    for said in ("executing", "1 of 4 tasks completed, 1 running", "<code>raw/1</code>", "<code>b.2.1</code>"):
        assert said in html


def test_an_event_that_comes_twice_counts_once() -> None:
    build = remote()
    job = ev.BuildEvent(sequence=1, job=ev.JobEvent(job_run_id="b.1.1", status=ev.JOB_STATUS_COMPLETED))

    build.add(job)
    build.add(job)

    assert build.counts.completed == 1


def test_nothing_that_comes_from_elsewhere_is_html() -> None:
    build = remote(HOSTILE, build=HOSTILE)
    failure = pt.Failure(category=pt.FAILURE_CATEGORY_USER, message=HOSTILE)
    feed(
        build,
        ("job", ev.JobEvent(status=ev.JOB_STATUS_RUNNING, job_run_id=HOSTILE, job_label=HOSTILE)),
        (
            "partition",
            ev.PartitionEvent(ref=HOSTILE, job_run_id="x", status=pt.PARTITION_STATUS_FAILED, failure=failure),
        ),
    )

    html = build._repr_html_()

    assert html.count("&lt;script&gt;") == 6
    assert "<script" not in html
    assert "http" not in html


class Notebook:
    """The part of IPython that the client uses in a notebook."""

    def __init__(self, kernel: object) -> None:
        self.shell = types.SimpleNamespace(kernel=kernel)
        self.shown: list[str] = []
        self.display = types.SimpleNamespace(display=self._display)

    def get_ipython(self) -> types.SimpleNamespace:
        return self.shell

    def _display(self, shown: Any, *, display_id: bool) -> types.SimpleNamespace:
        assert display_id is True
        self.shown.append(shown._repr_html_())
        return types.SimpleNamespace(update=lambda shown: self.shown.append(shown._repr_html_()))


def test_a_notebook_shows_a_build_live_a_few_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = Notebook(kernel=object())
    # IPython is found as an import: nothing but another module in its place simulates a notebook.
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    now = [10.0]
    shown = LiveDisplay(remote("raw/1"), lambda: now[0])

    shown.start()
    for seconds in (0.0, 0.1, 0.2, 0.3):
        now[0] = 10 + seconds
        shown.refresh()
    shown.refresh(now=True)

    assert len(notebook.shown) == 4


@pytest.mark.parametrize("module", [None, Notebook(kernel=None)])
def test_elsewhere_nothing_is_shown(monkeypatch: pytest.MonkeyPatch, module: Notebook | None) -> None:
    # None makes the import fail, as without IPython.
    monkeypatch.setitem(sys.modules, "IPython", module)
    shown = LiveDisplay(remote("raw/1"))

    shown.start()
    shown.refresh(now=True)

    assert module is None or not module.shown
