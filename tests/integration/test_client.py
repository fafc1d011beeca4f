"""The client and a real service: requests, responses, errors and lost connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, Unpack, cast

import grpc
import pytest
import pytest_asyncio
from google.protobuf.message import Message

from databuild.client import AsyncDatabuildClient, Cancelled, DatabuildClient, FailFast, Success
from databuild.client.calls import Calls
from databuild.client.connection import Connection, metadata_of
from databuild.client.endpoint import Endpoint, Tls
from databuild.client.transport import AsyncTransport, Metadata
from databuild.errors import (
    BuildConflictError,
    BuildFailedError,
    DataBuildError,
    InvalidRequestError,
    JobConfigurationError,
    PermissionDeniedError,
    ServiceError,
    ServiceUnreachableError,
    UnauthenticatedError,
    UnknownPartitionError,
)
from databuild.graph.job_edges import graph_view
from databuild.model.results import BuildResult, Failed
from databuild.service.access.auth import Tokens, read_tokens
from databuild.service.api.methods import Api
from databuild.service.resources.limits import Limits
from databuild.service.rpc.grpc_api import GrpcServer
from databuild.v1 import events_pb2 as ev
from tests.support.present import present
from tests.support.samples import SAMPLES
from tests.support.script_graph import ScriptGraph
from tests.support.served import Serve, Served, ServedOptions
from tests.support.waiting import until
from tests.support.world import catalog

READER, WRITER = "r" * 32, "w" * 32


# One event loop for all tests: the poller of grpc.aio may use a loop for the end of a connection after it was closed.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Returns a function that starts a service, which is closed after the test."""
    all_served: list[Served] = []

    async def serve(limits: Limits | None = None, **options: Unpack[ServedOptions]) -> Served:
        all_served.append(await Served(tmp_path, limits=limits, **options).start())
        return all_served[-1]

    yield serve
    for served in all_served:
        await served.close()


@pytest_asyncio.fixture(loop_scope="module")
async def served(serve: Serve) -> Served:
    return await serve()


@pytest_asyncio.fixture(loop_scope="module")
async def client(served: Served) -> AsyncIterator[AsyncDatabuildClient]:
    async with AsyncDatabuildClient(served.grpc, author="ann") as client:
        yield client


async def test_the_graph_and_a_plan_as_if_nothing_were_there_are_read(
    served: Served, client: AsyncDatabuildClient
) -> None:
    await served.build("clean/1")

    graph = await client.graph()
    counted = await client.graph(records=True)
    plan = await client.plan(["clean/1"])
    whole = await client.plan(["clean/1"], records=False)

    assert graph == graph_view(catalog())
    assert [present(job.counts).by_status for job in counted.jobs] == [{"AVAILABLE": 1}, {}, {"AVAILABLE": 1}]
    assert (len(plan.tasks), len(whole.tasks)) == (0, 2)


async def test_a_build_is_made_and_everything_of_it_is_told(served: Served, client: AsyncDatabuildClient) -> None:
    seen: list[ev.BuildEvent] = []
    build = client.create_orchestrator(["clean/1", "clean/2"], jobs=2)

    result = await client.execute_build(build, on_event=seen.append)

    assert result == build.result == Success(jobs_completed=4)
    assert [event.sequence for event in seen] == list(range(1, len(seen) + 1))
    assert seen == await client.events(build.build_request_id) == [event async for event in client.watch()]
    view = await client.get(build.build_request_id)
    assert (view.build.status, view.build.requested) == ("COMPLETED", ("clean/1", "clean/2"))
    assert [one.build for one in await client.list_builds(status="COMPLETED")] == [view.build]
    runs = await client.job_runs()
    assert sorted(run.job_label for run in runs) == ["//:clean", "//:clean", "//:raw", "//:raw"]
    assert [await client.job_run(run.job_run_id) for run in runs] == runs
    assert await client.runs_of_job("//:raw") == [run for run in reversed(runs) if run.job_label == "//:raw"]
    rows = await client.build_partitions(status="AVAILABLE")
    assert [row.ref for row in rows] == ["clean/1", "clean/2", "raw/1", "raw/2"]
    assert await client.wait() == result


async def test_records_come_as_they_are_kept(served: Served, client: AsyncDatabuildClient) -> None:
    served.executor.failing = {"raw/2"}
    await client.execute_build(client.create_orchestrator(["clean/1", "clean/2"], keep_going=True))
    reader = served.log.reader()

    build = reader.builds()[0]

    assert (await client.get()).build == build
    assert await client.job_runs() == list(reader.job_runs(build.build_request_id))
    assert await client.build_partitions() == list(reader.build_partitions(build.build_request_id))
    assert await client.partitions() == list(reader.partitions())
    assert await client.partition_counts() == reader.partition_counts()
    assert list((await client.partition("raw/2")).history) == list(reader.produced_by("raw/2"))
    reader.close()


async def test_lists_are_put_together_from_pages(serve: Serve) -> None:
    served = await serve(limits=Limits(max_page_rows=3))
    async with AsyncDatabuildClient(served.grpc) as client:
        for number in range(4):
            await client.execute_build(client.create_orchestrator([f"clean/{number}"]))
        builds = await client.list_builds(limit=100)

        assert len(builds) == 4
        assert await client.list_builds(limit=3) == builds[:3]
        assert await client.list_builds(before=builds[1].build.build_request_id) == builds[2:]
        assert [record.ref for record in await client.partitions(prefix="raw/")] == [f"raw/{n}" for n in range(4)]
        assert len(await client.partitions(limit=5)) == 5
        assert len(await client.events()) == builds[0].build.last_sequence
        assert len(await client.build_partitions()) == 2


async def test_a_plan_is_made_and_run(client: AsyncDatabuildClient) -> None:
    plan = await client.plan(["clean/1"])

    build = client.create_orchestrator(plan=plan)

    assert [task.config.outputs for task in plan.tasks] == [("raw/1",), ("clean/1",)]
    assert await client.execute_build(build) == Success(jobs_completed=2)
    assert (await client.plan(["clean/1"], force=True)).options.force


async def test_partitions_that_were_made_from_others_are_listed(serve: Serve) -> None:
    served = await serve(limits=Limits(max_page_rows=2))
    async with AsyncDatabuildClient(served.grpc) as client:
        refs = [f"clean/{number}" for number in range(5)]
        await client.execute_build(client.create_orchestrator(refs))
        sources = [f"raw/{number}" for number in range(5)]

        for transitive in (True, False):
            whole = await client.downstream(sources, transitive=transitive)
            some = await client.downstream(sources, transitive=transitive, limit=3)
            rest = await client.downstream(sources, transitive=transitive, page_token=some.next_page_token)

            assert sorted(partition.ref for partition in whole.partitions) == refs
            assert (whole.next_page_token, whole.truncated) == ("", False)
            assert (*some.partitions, *rest.partitions) == whole.partitions


async def test_partitions_are_explained_and_tainted(client: AsyncDatabuildClient) -> None:
    await client.execute_build(client.create_orchestrator(["clean/1"]))

    marked = await client.taint(["raw/1"], reason="wrong")
    explained = await client.explain("raw/1")

    assert marked == (("raw/1",), "ann")
    assert (present(explained.view.record).taint_reason, explained.tasks) == ("ann: wrong", 1)
    assert [record.ref for record in await client.partitions(status="TAINTED")] == ["raw/1"]
    assert (await client.taint(["raw/1"], untaint=True)).partitions == ("raw/1",)
    assert await client.partitions(status="TAINTED") == []


async def test_a_build_is_cancelled_and_retried(served: Served, client: AsyncDatabuildClient) -> None:
    gate = served.executor.gate("raw/1")
    build = client.create_orchestrator(["raw/1"])
    assert (await build.start_build()).build.status in {"RECEIVED", "PLANNING", "ANALYSIS_COMPLETED", "EXECUTING"}
    await gate.reached.wait()
    waiting = asyncio.create_task(client.wait(build.build_request_id))

    cancelled = await client.cancel(build.build_request_id)

    assert cancelled.build.cancel_requested_by == "ann"
    assert await waiting == Cancelled(author="ann")
    with pytest.raises(BuildFailedError, match="CANCELLED: cancelled by ann"):
        await client.wait(build.build_request_id, check=True)
    served.executor.gates.clear()
    again = await client.retry(build.build_request_id)
    assert again.build.retry_of_build_request_id == build.build_request_id
    assert await client.wait(again.build.build_request_id) == Success(jobs_completed=1)


async def test_a_build_that_fails_raises_only_where_that_is_wanted(
    served: Served, client: AsyncDatabuildClient
) -> None:
    served.executor.failing = {"raw/1"}
    build = client.create_orchestrator(["raw/1"])

    assert await client.execute_build(build) == FailFast(trigger_job="//:raw")
    with pytest.raises(BuildFailedError) as raised:
        await client.wait(check=True)
    assert (raised.value.build_request_id, raised.value.status) == (build.build_request_id, "FAILED")


async def test_an_error_that_ends_a_build_is_raised_as_what_it_was(
    served: Served, client: AsyncDatabuildClient
) -> None:
    served.executor.refused = {"raw/1"}
    build = client.create_orchestrator(["raw/1"])

    result = await client.execute_build(build)

    assert isinstance(result, Failed)
    assert isinstance(result.error, JobConfigurationError)
    assert "no such thing" in str(result.error)
    with pytest.raises(JobConfigurationError) as raised:
        await client.execute_build(build, check=True)
    assert (raised.value.job_label, raised.value.refs) == ("//:raw", ("raw/1",))


async def test_logs_are_read_and_followed(served: Served, client: AsyncDatabuildClient) -> None:
    gate = served.executor.gate("raw/1")
    build = client.create_orchestrator(["raw/1"])
    await build.start_build()
    await gate.reached.wait()
    runs = await until(lambda: client.job_runs(build.build_request_id))
    run = runs[0].job_run_id

    following = client.logs(run, stream="stdout", follow=True)
    first = await anext(following)
    gate.open()

    assert first + b"".join([piece async for piece in following]) == b"made raw/1\n"
    assert b"".join([piece async for piece in client.logs(run)]) == b"warned of raw/1\n"
    chunk = await client.read_log(run, offset=7, limit=2)
    assert (chunk.data, chunk.next_offset, chunk.ended) == (b"of", 9, False)
    assert chunk.path.endswith(f"{run}.stderr")
    assert (await client.storage(count=True)).job_log_bytes == 27


async def test_starting_twice_starts_once(served: Served, client: AsyncDatabuildClient) -> None:
    build = client.create_orchestrator(["raw/1"])

    await build.start_build()
    await build.start_build()
    await client.execute_build(build)
    await client.execute_build(build)

    assert served.executor.made == ["raw/1"]
    with pytest.raises(BuildConflictError):
        await client.submit(["raw/2"], build_request_id=build.build_request_id)


class LosingTransport(AsyncTransport):
    """Loses the first response to each RPC, after the service has sent it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.lost: set[str] = set()

    async def ask(self, method: str, request: Message, metadata: Metadata, seconds: float) -> Any:
        answer = await super().ask(method, request, metadata, seconds)
        if method not in self.lost and method in {"SubmitBuild", "RetryBuild", "CancelBuild"}:
            self.lost.add(method)
            raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "lost")
        return answer


async def test_a_request_repeated_after_a_lost_answer_is_done_once(served: Served) -> None:
    served.executor.failing = {"raw/1"}
    transport = LosingTransport(Endpoint(target=served.grpc), Tls())
    calls = Calls(Connection(transport, endpoint=served.grpc, metadata=metadata_of("", "ann")))
    assert await calls.list_builds() == []

    first = await calls.submit(["raw/1"])
    await calls.wait()
    again = await calls.retry(first.build.build_request_id)
    await calls.wait(again.build.build_request_id)

    assert {"SubmitBuild", "RetryBuild"} <= transport.lost
    assert [view.build for view in await calls.list_builds()] == [
        (await calls.get(view.build.build_request_id)).build for view in (again, first)
    ]
    await calls.close()


class RaisingApi:
    """Raises the given error for every request."""

    def __init__(self) -> None:
        self.error: Exception = AssertionError()

    def __getattr__(self, _name: str) -> Callable[[object, object], Awaitable[NoReturn]]:
        async def answer(_request: object, _caller: object) -> NoReturn:
            raise self.error

        return answer


@pytest_asyncio.fixture(loop_scope="module")
async def raising() -> AsyncIterator[tuple[RaisingApi, AsyncDatabuildClient]]:
    api = RaisingApi()
    server = GrpcServer(cast("Api", api), limits=Limits(), tokens=Tokens({}))
    async with AsyncDatabuildClient(f"127.0.0.1:{await server.start('127.0.0.1:0')}") as client:
        yield api, client
    await server.stop(0)


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
async def test_every_error_comes_back_as_what_was_raised(
    raising: tuple[RaisingApi, AsyncDatabuildClient], error: DataBuildError
) -> None:
    api, client = raising
    api.error = error

    with pytest.raises(type(error)) as raised:
        await client.get()

    assert type(raised.value) is type(error)
    assert str(raised.value) == str(error)
    # The wording of a remedy is a note, which tracebacks show.
    assert vars(raised.value).keys() - {"__notes__"} == vars(error).keys()
    assert bool(getattr(raised.value, "__notes__", ())) == bool(error.remedy)


async def test_a_fault_of_the_service_tells_nothing_else(raising: tuple[RaisingApi, AsyncDatabuildClient]) -> None:
    api, client = raising
    api.error = ZeroDivisionError("secret")

    with pytest.raises(Exception, match="internal error; see the log of the service") as raised:
        await client.get()
    assert "secret" not in str(raised.value)


async def test_a_service_of_another_graph_than_is_meant_refuses(served: Served) -> None:
    for label in ("//:g", "@//:g", "@@//:g"):
        async with AsyncDatabuildClient(served.grpc, graph=label) as right:
            assert await right.list_builds() == []
    async with AsyncDatabuildClient(served.grpc, graph="//:other") as wrong:
        with pytest.raises(InvalidRequestError, match="serves the graph //:g, not //:other"):
            await wrong.list_builds()


async def test_tokens_are_shown(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    served = await serve(tokens=read_tokens(f"ann write {WRITER}\nbob read {READER}", "tokens"))

    async with AsyncDatabuildClient(served.grpc) as nobody, AsyncDatabuildClient(served.grpc, token=READER) as reader:
        with pytest.raises(UnauthenticatedError):
            await nobody.get()
        assert await reader.list_builds() == []
        with pytest.raises(PermissionDeniedError):
            await reader.submit()
    monkeypatch.setenv("DATABUILD_TOKEN", WRITER)
    async with AsyncDatabuildClient(served.grpc, author="eve") as writer:
        await writer.execute_build(writer.create_orchestrator(["raw/1"]))
        assert (await writer.taint(["raw/1"])).author == "ann"


async def test_an_address_where_nobody_listens_is_reported_immediately() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    async with AsyncDatabuildClient(f"127.0.0.1:{port}") as client:
        with pytest.raises(ServiceUnreachableError, match=f"at 127.0.0.1:{port} cannot be reached: .*refused"):
            await client.get()


async def test_a_server_that_is_no_service_is_told_apart() -> None:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    async with AsyncDatabuildClient(f"127.0.0.1:{port}") as client:
        with pytest.raises(ServiceError, match="is not DataBuild"):
            await client.get()
    await server.stop(0)


def use_blocking(endpoint: str) -> tuple[str, tuple[str, ...], BuildResult, list[int], str, bytes]:
    with DatabuildClient(endpoint, author="ann") as client:
        with pytest.raises(UnknownPartitionError) as raised:
            client.submit(["nobody/makes"])
        build = client.create_orchestrator(["clean/1"])
        started = build.start_build()
        result = client.execute_build(build)
        watched = [event.sequence for event in client.watch(after=2)]
        cancelled = client.create_orchestrator(["raw/9"])
        runs = client.job_runs()
        text = b"".join(client.logs(runs[0].job_run_id, stream="stdout", follow=True))
        return raised.value.ref, started.build.requested, result, watched, cancelled.build_request_id, text


async def test_the_blocking_client_can_do_the_same(served: Served) -> None:
    ref, requested, result, watched, other, text = await asyncio.to_thread(use_blocking, served.grpc)

    assert (ref, requested, result) == ("nobody/makes", ("clean/1",), Success(jobs_completed=2))
    assert watched == list(range(3, watched[-1] + 1))
    assert other
    assert text == b"made raw/1\n"


async def test_the_blocking_client_works_where_an_event_loop_runs(graph: ScriptGraph) -> None:
    with DatabuildClient(graph.serve().addresses["grpc"]) as client:
        assert client.execute_build(client.create_orchestrator(["number/one"])) == Success(jobs_completed=1)
        watching = client.watch()
        assert next(watching).sequence == 1
        watching.close()
        assert len(list(client.watch(after=3))) == client.get().build.last_sequence - 3
    await asyncio.sleep(0)


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[ScriptGraph]:
    graph = ScriptGraph(tmp_path)
    yield graph
    graph.close()
