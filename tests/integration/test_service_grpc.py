"""The service over gRPC, on a real port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path
from typing import Any, Protocol, Unpack, cast

import grpc
import pytest
import pytest_asyncio
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from databuild.service.access.auth import Tokens, read_tokens
from databuild.service.api.methods import Api
from databuild.service.rpc.grpc_api import ERROR_METADATA, GrpcServer
from databuild.v1 import events_pb2 as ev
from databuild.v1 import service_pb2 as sv
from databuild.v1.service_pb2_grpc import DataBuildServiceStub
from tests.support.present import present
from tests.support.waiting import until
from tests.support.world import LimitOptions, World

# One event loop for all tests: the poller of grpc.aio may use a loop for the end of a connection after it was closed.
pytestmark = pytest.mark.asyncio(loop_scope="module")


UNKNOWN_STATUS = cast("ev.BuildStatus", 99)
READER, WRITER = "r" * 32, "w" * 32
TOKENS = read_tokens(f"ann write {WRITER}\n# comment\n\nbob read {READER}", "tokens")


class Served:
    """A world with a gRPC server and a client."""

    def __init__(self, world: World, server: GrpcServer, port: int) -> None:
        self.world = world
        self.server = server
        self.address = f"127.0.0.1:{port}"
        self.channel = grpc.aio.insecure_channel(self.address)
        self.stub = DataBuildServiceStub(self.channel)


class ServeGrpc(Protocol):
    """A fixture that serves worlds and closes them after the test."""

    def __call__(self, tokens: Tokens | None = None, **limits: Unpack[LimitOptions]) -> Awaitable[Served]: ...


@pytest_asyncio.fixture(loop_scope="module")
async def serve(tmp_path: Path) -> AsyncIterator[ServeGrpc]:
    """Returns a function that serves worlds, which are closed after the test."""
    all_served: list[Served] = []

    async def serve(tokens: Tokens | None = None, **limits: Unpack[LimitOptions]) -> Served:
        world = World(tmp_path, **limits)
        server = GrpcServer(Api(world.service), limits=world.service.limits, tokens=tokens or Tokens({}))
        all_served.append(Served(world, server, await server.start("127.0.0.1:0")))
        return all_served[-1]

    yield serve
    for served in all_served:
        await served.channel.close()
        await served.world.close()
        await served.server.stop(0)


@pytest_asyncio.fixture(loop_scope="module")
async def served(serve: ServeGrpc) -> Served:
    return await serve()


async def refused(call: Awaitable[object]) -> tuple[grpc.StatusCode, sv.ErrorDetail]:
    """Returns the status and the error detail of a refused call."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    trailing = dict(raised.value.trailing_metadata() or ())
    return raised.value.code(), sv.ErrorDetail.FromString(trailing.get(ERROR_METADATA, b""))


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


async def watched(stub: DataBuildServiceStub, build: str, after: int = 0) -> AsyncIterator[ev.BuildEvent]:
    async for answer in stub.WatchBuild(sv.WatchBuildRequest(build_request_id=build, after_sequence=after)):
        for event in answer.events:
            yield event


async def test_a_build_is_submitted_watched_and_looked_at(served: Served) -> None:
    stub = served.stub
    submitted = await stub.SubmitBuild(sv.SubmitBuildRequest(partitions=["clean/1"]))
    build = submitted.build_request_id

    events = [event async for event in watched(stub, build)]

    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    summary = await stub.GetBuild(sv.GetBuildRequest(build_request_id=build))
    assert summary.status == ev.BUILD_STATUS_COMPLETED
    assert summary.partitions_available == 2
    assert [ref.str for ref in summary.requested] == ["clean/1"]
    assert [event async for event in watched(stub, build, 5)] == events[5:]
    runs = await stub.ListJobRuns(sv.ListJobRunsRequest(build_request_id=build))
    assert [run.job_label for run in runs.job_runs] == ["//:raw", "//:clean"]
    log = await stub.ReadLog(sv.ReadLogRequest(job_run_id=runs.job_runs[0].job_run_id, stream="stdout"))
    assert (log.data, log.next_offset, log.ended) == (b"made raw/1\n", 11, True)
    graph = await stub.GetBuildGraph(sv.GetBuildGraphRequest(build_request_id=build))
    assert [(task.outputs[0], list(task.upstream_task_ids)) for task in graph.tasks] == [
        ("raw/1", []),
        ("clean/1", [1]),
    ]
    assert {task.status for task in graph.tasks} == {ev.JOB_STATUS_COMPLETED}


async def test_a_job_run_is_looked_at_by_its_id(served: Served) -> None:
    build = (await served.stub.SubmitBuild(sv.SubmitBuildRequest(partitions=["clean/1"]))).build_request_id
    await served.world.ended(build)
    listed = (await served.stub.ListJobRuns(sv.ListJobRunsRequest(build_request_id=build))).job_runs

    found = [await served.stub.GetJobRun(sv.GetJobRunRequest(job_run_id=run.job_run_id)) for run in listed]

    assert found == list(listed)
    assert sorted(run.number for run in found) == [run.number for run in found]


async def test_the_room_that_things_take_is_told(served: Served) -> None:
    build = (await served.stub.SubmitBuild(sv.SubmitBuildRequest(partitions=["raw/1"]))).build_request_id
    await served.world.ended(build)

    known = await served.stub.GetStorage(sv.GetStorageRequest())
    counted = await served.stub.GetStorage(sv.GetStorageRequest(include_counts=True))

    assert (known.events, known.job_log_bytes) == (0, 0)
    assert (counted.builds, counted.pruned_builds) == (1, 0)
    assert counted.events > 5
    assert counted.job_log_bytes == len(b"made raw/1\nwarned of raw/1\n")


async def test_partitions_are_searched_explained_and_marked(served: Served) -> None:
    stub = served.stub
    build = (await stub.SubmitBuild(sv.SubmitBuildRequest(partitions=["clean/1", "clean/2"]))).build_request_id
    await served.world.ended(build)

    found = await stub.ListPartitions(sv.ListPartitionsRequest(pattern="raw/{n:int}", page_size=1))
    rest = await stub.ListPartitions(sv.ListPartitionsRequest(contains="aw/", page_token=found.next_page_token))
    lineage = await stub.GetLineage(sv.GetLineageRequest(ref="clean/1", depth=3))
    downstream = await stub.GetLineage(sv.GetLineageRequest(ref="raw/1", direction="DIRECTION_DOWNSTREAM"))
    users = await stub.ListDownstream(sv.ListDownstreamRequest(partitions=["raw/1", "raw/2"], page_size=1))
    marked = await stub.TaintPartitions(
        sv.TaintPartitionsRequest(partitions=["raw/1"], reason="wrong"), metadata=(("databuild-author", "ann"),)
    )
    explained = await stub.ExplainPartition(sv.ExplainPartitionRequest(ref="raw/1"))

    assert [record.ref for record in found.partitions] == ["raw/1"]
    assert [record.ref for record in rest.partitions] == ["raw/2"]
    assert dict(found.counts) == {"AVAILABLE": 4}
    assert [(edge.input, edge.output) for edge in lineage.edges] == [("raw/1", "clean/1")]
    assert (list(downstream.edges), downstream.complete) == (list(lineage.edges), True)
    assert [(user.ref, user.input, user.distance) for user in users.partitions] == [("clean/1", "raw/1", 1)]
    assert users.next_page_token
    assert marked.partitions == ["raw/1"]
    assert explained.planned.reason == 6, "tainted"
    assert explained.partition.record.taint_reason == "ann: wrong"
    assert explained.partition.history[0].job_label == "//:raw"
    tainted = await stub.ListPartitions(sv.ListPartitionsRequest(tainted=True))
    assert [record.ref for record in tainted.partitions] == ["raw/1"]


async def test_jobs_tell_how_their_newest_runs_went(served: Served) -> None:
    served.world.executor.failing = {"raw/2"}
    for ref in ("raw/1", "raw/2"):
        build = (await served.stub.SubmitBuild(sv.SubmitBuildRequest(partitions=[ref]))).build_request_id
        await served.world.ended(build)

    jobs = (await served.stub.ListJobs(sv.ListJobsRequest())).jobs
    detail = await served.stub.GetJob(sv.GetJobRequest(job_label="//:raw"))

    by_label = {job.job_label: (job.recent_runs, job.recent_completed, job.recent_failed) for job in jobs}
    assert by_label == {"//:clean": (0, 0, 0), "//:day": (0, 0, 0), "//:raw": (2, 1, 1)}
    assert [run.status for run in detail.job_runs] == [ev.JOB_STATUS_FAILED, ev.JOB_STATUS_COMPLETED]
    for label in ("//:raw", "@//:raw", "@@//:raw"):
        assert await served.stub.GetJob(sv.GetJobRequest(job_label=label)) == detail


async def test_a_plan_is_made_and_run_exactly(served: Served) -> None:
    plan = await served.stub.PlanBuild(sv.PlanBuildRequest(partitions=["clean/1"]))
    submitted = await served.stub.SubmitBuild(sv.SubmitBuildRequest(plan=plan))
    await served.world.ended(submitted.build_request_id)

    again = await served.stub.SubmitBuild(sv.SubmitBuildRequest(plan=plan))
    await served.world.ended(again.build_request_id)

    assert len(plan.job_graph.tasks) == 2
    assert (await served.world.builds.get(submitted.build_request_id)).build.status == "COMPLETED"
    failed = (await served.world.builds.get(again.build_request_id)).build
    assert present(failed.failure).message.startswith("the plan is out of date")


async def test_a_log_is_followed_to_its_end(served: Served) -> None:
    gate = served.world.executor.gate("raw/1")
    build = (await served.stub.SubmitBuild(sv.SubmitBuildRequest(partitions=["raw/1"]))).build_request_id
    await gate.reached.wait()
    asked = sv.ListJobRunsRequest(build_request_id=build)

    async def recorded() -> Sequence[sv.JobRun]:
        answer: sv.ListJobRunsResponse = await served.stub.ListJobRuns(asked)
        return answer.job_runs

    run = (await until(recorded))[0].job_run_id
    following = aiter(served.stub.FollowLog(sv.FollowLogRequest(job_run_id=run, stream="stderr")))
    first = await anext(following)

    gate.open()

    chunks = [first, *[chunk async for chunk in following]]
    assert b"".join(chunk.data for chunk in chunks) == b"warned of raw/1\n"
    assert [chunk.ended for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


@pytest.mark.parametrize(
    ("rpc", "request_", "status", "code"),
    [
        ("GetBuild", sv.GetBuildRequest(build_request_id="x"), "NOT_FOUND", "BUILD_NOT_FOUND"),
        ("ReadLog", sv.ReadLogRequest(job_run_id="x"), "NOT_FOUND", "JOB_RUN_NOT_FOUND"),
        ("GetJobRun", sv.GetJobRunRequest(job_run_id="x"), "NOT_FOUND", "JOB_RUN_NOT_FOUND"),
        ("GetJob", sv.GetJobRequest(job_label="x"), "NOT_FOUND", "JOB_NOT_FOUND"),
        ("SubmitBuild", sv.SubmitBuildRequest(partitions=["x"]), "INVALID_ARGUMENT", "UNKNOWN_PARTITION"),
        ("SubmitBuild", sv.SubmitBuildRequest(partitions=["a b"]), "INVALID_ARGUMENT", "INVALID_REQUEST"),
        ("ListBuilds", sv.ListBuildsRequest(status=UNKNOWN_STATUS), "INVALID_ARGUMENT", "INVALID_REQUEST"),
        ("ListBuildEvents", sv.ListBuildEventsRequest(after_sequence=1 << 63), "INVALID_ARGUMENT", "INVALID_REQUEST"),
        ("ReadLog", sv.ReadLogRequest(offset=1 << 63), "INVALID_ARGUMENT", "INVALID_REQUEST"),
        ("PlanBuild", sv.PlanBuildRequest(partitions=["raw/refused"]), "FAILED_PRECONDITION", "JOB_CONFIGURATION"),
        ("PlanBuild", sv.PlanBuildRequest(partitions=["raw/broken"]), "INTERNAL", "INTERNAL"),
    ],
)
async def test_each_error_has_its_status(served: Served, rpc: str, request_: Message, status: str, code: str) -> None:
    served.world.executor.refused = {"raw/refused"}
    served.world.executor.broken = {"raw/broken"}

    found, detail = await refused(getattr(served.stub, rpc)(request_))

    assert (found.name, detail.code, detail.status) == (status, code, status)
    assert "secret" not in detail.message


async def test_watching_an_unknown_build_is_an_error(served: Served) -> None:
    watching = served.stub.WatchBuild(sv.WatchBuildRequest(build_request_id="x"))

    status, detail = await refused(watching.read())

    assert (status, detail.code) == (grpc.StatusCode.NOT_FOUND, "BUILD_NOT_FOUND")


async def test_a_request_with_the_id_of_another_is_refused(served: Served) -> None:
    await served.stub.SubmitBuild(sv.SubmitBuildRequest(build_request_id="b", partitions=["raw/1"]))

    status, detail = await refused(
        served.stub.SubmitBuild(sv.SubmitBuildRequest(build_request_id="b", partitions=["raw/2"]))
    )

    assert (status, detail.code) == (grpc.StatusCode.ALREADY_EXISTS, "BUILD_CONFLICT")


async def test_a_long_message_of_an_error_arrives_cut(served: Served) -> None:
    ref = "raw/" + "ü" * 400

    status, detail = await refused(served.stub.GetBuild(sv.GetBuildRequest(build_request_id=ref * 100)))

    assert status == grpc.StatusCode.NOT_FOUND
    assert len(detail.message.encode()) <= 1500
    assert 0 < len(str(detail.facts["build_request_id"])) < 400


async def test_a_request_that_is_too_large_is_refused(serve: ServeGrpc) -> None:
    served = await serve(max_request_bytes=1000)

    status, _ = await refused(served.stub.SubmitBuild(sv.SubmitBuildRequest(partitions=["raw/1"] * 1000)))

    assert status == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_an_answer_that_takes_too_long_is_given_up(serve: ServeGrpc) -> None:
    served = await serve(answer_timeout_seconds=0.05)
    served.world.executor.hangs = True

    status, detail = await refused(served.stub.PlanBuild(sv.PlanBuildRequest(partitions=["raw/1"])))

    assert (status, detail.code) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")


async def test_a_deadline_of_the_caller_ends_what_they_asked(served: Served) -> None:
    served.world.executor.hangs = True
    seconds = 0.05

    while not served.world.executor.configs_cancelled:
        status, _ = await refused(served.stub.PlanBuild(sv.PlanBuildRequest(partitions=["raw/1"]), timeout=seconds))
        assert status == grpc.StatusCode.DEADLINE_EXCEEDED
        seconds *= 2  # the stream may have ended before planning began


@pytest.mark.parametrize("metadata", [(), (("authorization", "Basic x"),), bearer("x" * 32), bearer("")])
async def test_without_a_token_that_is_known_nothing_is_answered(
    serve: ServeGrpc, metadata: tuple[tuple[str, str], ...]
) -> None:
    served = await serve(TOKENS)

    unary = await refused(served.stub.ListBuilds(sv.ListBuildsRequest(), metadata=metadata))
    stream = await refused(served.stub.WatchBuild(sv.WatchBuildRequest(), metadata=metadata).read())

    for status, detail in (unary, stream):
        assert (status, detail.code) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")


async def test_readers_may_not_write(serve: ServeGrpc) -> None:
    served = await serve(TOKENS)
    submit = sv.SubmitBuildRequest(partitions=["raw/1"])

    assert not (await served.stub.ListBuilds(sv.ListBuildsRequest(), metadata=bearer(READER))).builds
    status, detail = await refused(served.stub.SubmitBuild(submit, metadata=bearer(READER)))
    assert (status, detail.code) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    assert (await served.stub.SubmitBuild(submit, metadata=bearer(WRITER))).build_request_id


async def test_the_name_of_a_token_is_recorded_whatever_the_caller_says(serve: ServeGrpc) -> None:
    served = await serve(TOKENS)
    metadata = (*bearer(WRITER), ("databuild-author", "eve"))
    await served.stub.SubmitBuild(sv.SubmitBuildRequest(partitions=["raw/1"], build_request_id="b"), metadata=metadata)
    await served.world.ended("b")

    await served.stub.TaintPartitions(sv.TaintPartitionsRequest(partitions=["raw/1"]), metadata=metadata)

    assert present((await served.world.service.partitions.get("raw/1")).record).taint_reason == "ann: "


async def test_the_health_is_for_everybody_and_says_when_it_drains(serve: ServeGrpc) -> None:
    served = await serve(TOKENS)
    stub = health_pb2_grpc.HealthStub(served.channel)
    names = ("", "databuild.v1.DataBuildService")

    before = [(await stub.Check(health_pb2.HealthCheckRequest(service=name))).status for name in names]
    await served.server.drain()
    after = [(await stub.Check(health_pb2.HealthCheckRequest(service=name))).status for name in names]

    assert before == [health_pb2.HealthCheckResponse.SERVING] * 2
    assert after == [health_pb2.HealthCheckResponse.NOT_SERVING] * 2


def build_by_reflection(address: str, metadata: Any = ()) -> tuple[set[str], Any, list[Any]]:
    """Builds and watches through a client without our stubs; returns RPCs, response and events."""
    with grpc.insecure_channel(address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = DescriptorPool(database)
        name = next(name for name in database.get_services() if name.startswith("databuild"))
        methods = {method.name: method for method in pool.FindServiceByName(name).methods}

        def call(kind: str, rpc: str, **fields: Any) -> Any:
            request = message_factory.GetMessageClass(methods[rpc].input_type)()
            read = message_factory.GetMessageClass(methods[rpc].output_type).FromString
            multicallable = getattr(channel, kind)(f"/{name}/{rpc}", lambda sent: sent.SerializeToString(), read)
            return multicallable(json_format.ParseDict(fields, request), timeout=10)

        answer = json_format.MessageToDict(call("unary_unary", "SubmitBuild", partitions=["raw/1"]))
        events = call("unary_stream", "WatchBuild", build_request_id=answer["buildRequestId"])
        return set(methods), answer, [event for some in events for event in json_format.MessageToDict(some)["events"]]


async def test_a_client_that_knows_nothing_builds_through_reflection(served: Served) -> None:
    methods, answer, events = await asyncio.to_thread(build_by_reflection, served.address)

    assert {"SubmitBuild", "WatchBuild", "FollowLog"} <= methods
    assert answer["build"]["graphLabel"] == "//:g"
    assert [event["sequence"] for event in events] == [str(number) for number in range(1, len(events) + 1)]
    assert events[-1]["buildRequest"]["status"] == "BUILD_STATUS_COMPLETED"


async def test_nobody_looks_around_without_a_token(serve: ServeGrpc) -> None:
    served = await serve(TOKENS)

    with pytest.raises(grpc.RpcError) as raised:
        await asyncio.to_thread(build_by_reflection, served.address)

    assert raised.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_a_watcher_that_reads_too_slowly_is_disconnected(serve: ServeGrpc) -> None:
    served = await serve(send_timeout_seconds=0.5)
    refs = [f"raw/{'x' * 900}{number}" for number in range(1500)]  # more than the buffers on the way hold
    await served.stub.SubmitBuild(
        sv.SubmitBuildRequest(partitions=refs, build_request_id="b", options=ev.BuildOptions(jobs=20))
    )
    await served.world.ended("b")
    # Without the probe, the flow-control window of the client stays small: it may otherwise grow until everything fits.
    async with grpc.aio.insecure_channel(served.address, options=(("grpc.http2.bdp_probe", 0),)) as channel:
        await _read_too_slowly(served, DataBuildServiceStub(channel))


async def _read_too_slowly(served: Served, stub: DataBuildServiceStub) -> None:
    watching = stub.WatchBuild(sv.WatchBuildRequest(build_request_id="b"))
    seen = [event.sequence for event in (await watching.read()).events]

    await until(lambda: not served.world.service.event_feeds.watchers)  # reads nothing meanwhile

    async def read_on() -> None:
        while (answer := await watching.read()) is not grpc.aio.EOF:
            seen.extend(event.sequence for event in answer.events)

    status, _ = await refused(read_on())
    assert status == grpc.StatusCode.DEADLINE_EXCEEDED
    assert seen == list(range(1, len(seen) + 1))
    assert (await anext(watched(served.stub, "b", len(seen)))).sequence == len(seen) + 1


async def test_a_watcher_that_stops_is_forgotten(served: Served) -> None:
    gate = served.world.executor.gate("raw/1")
    await served.stub.SubmitBuild(sv.SubmitBuildRequest(partitions=["raw/1"], build_request_id="b"))
    watching = served.stub.WatchBuild(sv.WatchBuildRequest(build_request_id="b"))
    await watching.read()

    watching.cancel()

    await until(lambda: not served.world.service.event_feeds.watchers)
    gate.open()
