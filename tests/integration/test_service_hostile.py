"""Hostile requests through every RPC and every route: each is refused, and the service keeps working."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from databuild.service.access.auth import READ, WRITE, read_tokens
from databuild.service.api.methods import ROLES
from databuild.service.api.routes import EVENT_STREAM, PREFIX, ROUTES
from databuild.service.resources.limits import Limits
from databuild.v1 import service_pb2 as sv
from databuild.v1.service_pb2_grpc import DataBuildServiceStub
from tests.postgresql.server import Server
from tests.support.served import Serve, Served, services

READER, WRITER = "r" * 32, "w" * 32
TOKENS = read_tokens(f"ann write {WRITER}\nbob read {READER}", "tokens")
SERVICE = sv.DESCRIPTOR.services_by_name["DataBuildService"]
METHODS = [pytest.param(method, id=method.name) for method in SERVICE.methods]
MAY_READ = {
    "GetBuild", "WatchBuild", "ListBuilds", "ListBuildEvents", "ListBuildPartitions", "ListJobRuns", "GetBuildGraph",
    "PlanBuild", "ListPartitions", "GetPartition", "ExplainPartition", "GetLineage", "ListDownstream",
    "GetDeclaredDownstream", "ListJobs", "GetJob", "GetJobRun", "GetStorage", "ReadLog", "FollowLog", "GetGraph",
    "ListEnvironments", "CompareEnvironment", "GetReproduction", "GetTrends", "PreviewPartition",
}  # fmt: skip
TEXTS = {
    "newline": "raw/a\nb",
    "nul": "raw/a\0b",
    "only-nul": "\0",
    "percent-nul": "raw/%00",
    "unicode": "raw/ü→𝄞\u202e\ufeff\uffff",
    "10-kB": "raw/" + "x" * 10_000,
    "up": "../../../../etc/passwd",
    "up-inside": "raw/../../etc/passwd",
    "absolute": "/etc/passwd",
    "sql": "raw/'; DROP TABLE builds; --",
    "like": "raw/%_\\",
    "shell": "raw/$(touch x)`touch y`",
    "html": "raw/<script>alert(1)</script>",
    "pattern": "raw/{n:/(a+)+$/}",
    "range": "day/2020-01-01..9999-12-31",
    "flag": "--help",
    "blank": " ",
}
LOG_IDS = [
    "../../secret",
    "..",
    ".",
    "/secret",
    "b/../../secret",
    "..\\..\\secret",
    "secret\0",
    "b.1.1/../../../secret",
]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Starts services, which are closed after the test."""
    folder = tmp_path / "logs"
    folder.mkdir()
    async with services(folder) as serve:
        yield serve


@pytest.fixture(params=["memory", "postgresql"])
async def served(serve: Serve, request: pytest.FixtureRequest) -> Served:
    uri = "memory:" if request.param == "memory" else request.getfixturevalue("server").new_database()
    return await serve(uri=uri, limits=Limits(max_partitions=1000))


async def call(
    served: Served, method: MethodDescriptor, request: Message | None = None, metadata: tuple[tuple[str, str], ...] = ()
) -> str:
    """Calls an RPC, and returns its status."""
    request = request if request is not None else message_factory.GetMessageClass(method.input_type)()
    async with grpc.aio.insecure_channel(served.grpc) as channel:
        asked = getattr(DataBuildServiceStub(channel), method.name)(request, metadata=metadata, timeout=20)
        try:
            await (asked.read() if method.server_streaming else asked)
        except grpc.aio.AioRpcError as error:
            return str(error.code().name)
        return "OK"


async def still_serves(served: Served) -> None:
    build = await served.build("raw/after")
    assert (await served.get(f"/builds/{build}")).json()["status"] == "BUILD_STATUS_COMPLETED"


def texts_of(descriptor: Descriptor) -> list[FieldDescriptor]:
    """Returns the fields of a message that hold text."""
    return [field for field in descriptor.fields if field.type == FieldDescriptor.TYPE_STRING]


def test_somebody_has_decided_which_role_each_rpc_takes() -> None:
    names = {method.name for method in SERVICE.methods}

    assert set(ROLES) == names
    assert {rpc for rpc, role in ROLES.items() if role == READ} == MAY_READ
    assert {rpc for rpc, role in ROLES.items() if role == WRITE} == names - MAY_READ
    assert {route.rpc for route in ROUTES} == names
    for route in ROUTES:
        assert (route.method == "POST") is (ROLES[route.rpc] == WRITE or route.rpc == "PlanBuild"), route


@pytest.mark.parametrize("method", METHODS)
async def test_each_rpc_takes_a_token_of_its_role(serve: Serve, method: MethodDescriptor) -> None:
    served = await serve(tokens=TOKENS)

    for sent in ("", "Bearer x", f"Basic {WRITER}", f"Bearer {WRITER}x", WRITER):
        assert await call(served, method, metadata=(("authorization", sent),)) == "UNAUTHENTICATED"
    as_reader = await call(served, method, metadata=(("authorization", f"Bearer {READER}"),))
    as_writer = await call(served, method, metadata=(("authorization", f"Bearer {WRITER}"),))

    assert (as_reader == "PERMISSION_DENIED") is (method.name not in MAY_READ)
    assert as_writer not in {"UNAUTHENTICATED", "PERMISSION_DENIED"}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_no_text_in_a_request_over_http_causes_an_internal_error(served: Served, text: str) -> None:
    build = await served.build("clean/1")
    known = {"build_request_id": build, "job_run_id": f"{build}.1.1", "environment": "pr-1"}
    for route in ROUTES:
        for field in texts_of(route.request):
            fields: dict[str, Any] = {name: known[name] for name in route.path_fields}
            fields[field.name] = [text] if field.is_repeated else text
            path = route.path
            for name in route.path_fields:
                path = path.replace(f"{{{name}}}", quote(fields.pop(name), safe=""))
            params, body = (fields, None) if route.method == "GET" else (None, fields)
            answer = await served.client.request(route.method, PREFIX + path, params=params, json=body, timeout=20)

            assert answer.status_code < 500, (route.rpc, field.name, answer.text)
            if answer.status_code != 200:
                assert set(answer.json()["error"]) >= {"code", "message", "status"}
                assert len(answer.content) < 50_000
            elif route.media_type == EVENT_STREAM:
                assert "event: end" in answer.text
    await still_serves(served)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_no_text_as_the_name_of_an_environment_causes_an_internal_error(served: Served, text: str) -> None:
    for path in ("/builds", "/plans"):
        answer = await served.client.post(PREFIX + path, params={"environment": text}, json={"partitions": ["raw/1"]})

        assert answer.status_code == 400, answer.text
    await still_serves(served)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_no_text_in_a_request_over_grpc_causes_an_internal_error(served: Served, text: str) -> None:
    for method in SERVICE.methods:
        for field in texts_of(method.input_type):
            request = message_factory.GetMessageClass(method.input_type)()
            if field.is_repeated:
                getattr(request, field.name).append(text)
            else:
                setattr(request, field.name, text)

            assert await call(served, method, request) not in {"INTERNAL", "UNAVAILABLE", "UNKNOWN"}, field.name
    await still_serves(served)


@pytest.mark.parametrize("text", [r'"raw/\ud800"', r'"\udfff\ud800"', '"raw/\x01"', '"raw/\\u0000"', "1e999", "NaN"])
async def test_json_that_is_no_text_of_ours_is_refused(served: Served, text: str) -> None:
    for path in ("/builds", "/plans", "/taints", "/adoptions"):
        body = f'{{"partitions": [{text}], "reason": {text}}}' if path == "/taints" else f'{{"partitions": [{text}]}}'
        answer = await served.client.post(
            PREFIX + path, content=body.encode(), headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 400, answer.text


async def test_a_reason_or_a_plan_with_a_nul_harms_no_other_build(served: Served) -> None:
    await served.build("raw/1")
    plan = (await served.post("/plans", {"partitions": ["raw/2"]})).json()
    plan["job_graph"]["tasks"][0]["config"]["args"] = ["a\0b"]

    marked = [{"partitions": ["raw/1"], "reason": "a\0b"}, {"partitions": ["raw/3"], "reason": "a\0b"}]
    answers = await asyncio.gather(
        served.post("/taints", marked[0]),
        served.post("/adoptions", marked[1]),
        served.post("/builds", {"plan": plan}),
        served.build("raw/4"),
    )

    assert [answer.status_code for answer in answers[:3]] == [400, 400, 400]
    await still_serves(served)


@pytest.mark.parametrize("job_run", LOG_IDS)
async def test_no_file_but_a_log_is_read(served: Served, tmp_path: Path, job_run: str) -> None:
    for name in ("secret", "secret.stderr", "secret.stdout"):
        (tmp_path / name).write_text("SECRET")
    (tmp_path / "logs" / "b").mkdir()

    for path in ("log", "log/download", "log/follow"):
        for written in (quote(job_run, safe=""), job_run.replace("\0", "%00")):
            answer = await served.client.get(f"{PREFIX}/job_runs/{written}/{path}")
            assert answer.status_code in {400, 404}
            assert "SECRET" not in answer.text
    for stream in ("../secret", "stderr/../../secret", "stderr\0", "/secret"):
        assert (await served.get("/job_runs/b.1.1/log", stream=stream)).status_code == 400
    for name in ("ReadLog", "FollowLog"):
        method = SERVICE.methods_by_name[name]
        request = message_factory.GetMessageClass(method.input_type)(job_run_id=job_run)
        assert await call(served, method, request) in {"NOT_FOUND", "INVALID_ARGUMENT"}


@pytest.mark.parametrize("build", ["../x", "a/b", ".", "a.b", "-x", "a\0", "x" * 65, "ü", "latest"])
async def test_no_build_has_an_id_that_is_no_name_of_a_folder(served: Served, tmp_path: Path, build: str) -> None:
    await served.build("raw/1", build_request_id="first")

    for path, field in (("/builds", "build_request_id"), ("/builds/first/retry", "new_build_request_id")):
        answer = await served.post(
            path, {"partitions": ["raw/1"], field: build} if path == "/builds" else {field: build}
        )
        assert answer.status_code == 400
    assert {path.name for path in tmp_path.rglob("*") if path.is_dir()} == {"logs", "first"}


async def test_too_many_partitions_are_refused_whatever_is_asked(served: Served) -> None:
    many = ["day/2000-01-01..2020-01-01"]

    for path in ("/builds", "/plans", "/taints", "/adoptions"):
        answer = await served.post(path, {"partitions": many, **({"reason": "x"} if path[1] in "at" else {})})
        assert answer.json()["error"]["code"] == "TOO_MANY_PARTITIONS"
    refs = [f"raw/{number}" for number in range(1001)]
    plan = {"graph_label": "//:g", "requested": [{"str": ref} for ref in refs]}
    assert (await served.post("/builds", {"plan": plan})).json()["error"]["code"] == "TOO_MANY_PARTITIONS"
    assert (await served.get("/builds")).json()["builds"] == []


async def test_too_many_requests_at_once_over_grpc_are_refused(serve: Serve) -> None:
    served = await serve(limits=Limits(max_requests=2))
    served.executor.gate("raw/1")
    await served.post("/builds", {"partitions": ["raw/1"], "build_request_id": "b"})
    async with grpc.aio.insecure_channel(served.grpc) as channel:
        stub = DataBuildServiceStub(channel)
        watching = [stub.WatchBuild(sv.WatchBuildRequest(build_request_id="b")) for _ in range(2)]
        for one in watching:
            await one.read()

        assert await call(served, SERVICE.methods_by_name["ListBuilds"]) == "RESOURCE_EXHAUSTED"
        for one in watching:
            one.cancel()


async def raw(served: Served, data: bytes) -> bytes:
    """Sends bytes over HTTP, and returns the response up to the end of the connection."""
    host, port = served.http.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(data)
        await writer.drain()
        return await asyncio.wait_for(reader.read(), 20)
    except ConnectionError:
        return b""  # the service closed the connection before everything was sent
    finally:
        writer.close()


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 30_000 + b"\r\n",
        b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"POST /api/v1/builds HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/builds HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /api/v1/builds HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
    ids=["header", "headers", "path", "tls", "hosts", "length", "lengths", "chunk", "no-host", "nonsense"],
)
async def test_malformed_requests_are_refused_and_others_are_served(served: Served, data: bytes) -> None:
    answer = await raw(served, data)

    assert answer == b"" or answer.split(b" ", 2)[1] in {b"400", b"403", b"431"}
    assert b"Traceback" not in answer
    await still_serves(served)


async def test_metadata_that_is_too_large_is_refused_over_grpc(served: Served) -> None:
    status = await call(served, SERVICE.methods_by_name["ListBuilds"], metadata=(("x", "y" * 100_000),))

    assert status == "RESOURCE_EXHAUSTED"
    await still_serves(served)


async def test_bytes_that_are_no_message_are_refused_over_grpc(served: Served) -> None:
    async with grpc.aio.insecure_channel(served.grpc) as channel:
        submit = channel.unary_unary(f"/{SERVICE.full_name}/SubmitBuild")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await submit(b"\xff" * 100, timeout=20)

    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert raised.value.details() == "the request is not a valid SubmitBuildRequest message"
    await still_serves(served)
