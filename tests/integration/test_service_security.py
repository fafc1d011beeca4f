"""The access rules of the service, each with an attempt to break it."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Mapping
from pathlib import Path
from typing import Protocol, TypedDict, Unpack

import grpc
import httpx
import pytest

from databuild.client import AsyncDatabuildClient, Tls
from databuild.errors import InvalidRequestError, ServiceUnreachableError
from databuild.service.access.auth import read_tokens
from databuild.service.api.methods import ROLES
from databuild.service.api.routes import ROUTES, Route
from databuild.service.process.options import TlsFiles
from databuild.v1 import service_pb2 as sv
from databuild.v1.service_pb2_grpc import DataBuildServiceStub
from tests.support.served import Served, ServedOptions

READER, WRITER = "r" * 32, "w" * 32
TOKENS = read_tokens(f"ann write {WRITER}\nbob read {READER}", "tokens")
BY_RPC = [pytest.param(route, id=f"{route.rpc}-{route.media_type[:4]}") for route in ROUTES]


class ClientOptions(TypedDict, total=False):
    """The options of the client of a service."""

    verify: ssl.SSLContext
    headers: Mapping[str, str]


class ServeTls(Protocol):
    """A fixture that starts services and closes them after the test."""

    def __call__(self, client: ClientOptions | None = None, **options: Unpack[ServedOptions]) -> Awaitable[Served]: ...


class Authority(Protocol):
    """Makes a key and a certificate, and returns the paths of `certificate`, `key` and `root`."""

    def __call__(self, name: str, subject: str = "") -> dict[str, str]: ...


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[ServeTls]:
    """Returns a function that starts a service, which is closed after the test."""
    all_served: list[Served] = []

    async def serve(client: ClientOptions | None = None, **options: Unpack[ServedOptions]) -> Served:
        served = Served(tmp_path, **options)
        all_served.append(await served.start(**(client or {})))
        return served

    yield serve
    for served in all_served:
        await served.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Returns a function that makes a key and a certificate, signed by its own root."""

    def openssl(*args: str) -> None:
        subprocess.run(["openssl", *args], cwd=tmp_path, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")

    def make(name: str, subject: str = "") -> dict[str, str]:
        openssl("req", "-x509", *key, "-keyout", f"{name}-ca.key", "-out", f"{name}-ca.pem", "-subj", f"/CN={name}-ca")
        openssl(
            "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-utf8", "-subj", subject or f"/CN={name}"
        )
        (tmp_path / "extensions").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        signed = ("-CA", f"{name}-ca.pem", "-CAkey", f"{name}-ca.key", "-CAcreateserial", "-extfile", "extensions")
        openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem")
        return {
            part: str(tmp_path / f"{name}{end}")
            for part, end in (("certificate", ".pem"), ("key", ".key"), ("root", "-ca.pem"))
        }

    return make


def request_of(served: Served, route: Route, **headers: str) -> Awaitable[httpx.Response]:
    path = route.path.replace("{build_request_id}", "b").replace("{job_run_id}", "b.1.1")
    return served.client.request(route.method, f"/api/v1{path}", headers=headers)


@pytest.mark.parametrize("route", BY_RPC)
async def test_without_a_token_nothing_is_answered(serve: ServeTls, route: Route) -> None:
    served = await serve(tokens=TOKENS)

    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {WRITER}"}, {"Cookie": WRITER}):
        answer = await request_of(served, route, **headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("route", BY_RPC)
async def test_readers_may_not_write(serve: ServeTls, route: Route) -> None:
    served = await serve(tokens=TOKENS)

    answer = await request_of(served, route, Authorization=f"Bearer {READER}")

    assert (answer.status_code == 403) is (ROLES[route.rpc] == "write")
    assert answer.status_code != 401


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/openapi.json"])
async def test_requests_outside_the_table_need_a_token_too(serve: ServeTls, path: str) -> None:
    served = await serve(tokens=TOKENS)

    assert (await served.client.get(path)).status_code == 401
    assert (await served.client.get(path, headers={"Authorization": f"Bearer {READER}"})).status_code == 200


async def test_the_health_is_for_everybody_and_tells_nothing_else(serve: ServeTls) -> None:
    served = await serve(tokens=TOKENS)

    answer = await served.client.get("/healthz")

    assert (answer.status_code, answer.text) == (200, "serving\n")


async def test_beyond_loopback_it_does_not_listen_without_a_reason(serve: ServeTls) -> None:
    with pytest.raises(InvalidRequestError, match="read, build and cancel everything") as refusal:
        await serve(host="0.0.0.0")

    assert refusal.value.remedy == "AUTHENTICATE_CALLERS"


@pytest.mark.parametrize(
    "options", [{"host": "0.0.0.0", "tokens": TOKENS}, {"host": "0.0.0.0", "insecure_listen": True}]
)
async def test_beyond_loopback_it_listens_for_a_reason(serve: ServeTls, options: ServedOptions) -> None:
    served = await serve(**options)

    assert (await served.client.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil", "[", ""]
)
async def test_another_name_for_this_machine_is_refused(serve: ServeTls, host: str) -> None:
    served = await serve()

    answer = await served.client.get("/api/v1/builds", headers={"Host": host})

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:7420", "build.example"])
async def test_a_name_that_it_has_is_taken(serve: ServeTls, host: str) -> None:
    served = await serve(allowed_hosts=("build.example",))

    assert (await served.client.get("/api/v1/builds", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_page_of_another_site_can_start_nothing(serve: ServeTls, headers: dict[str, str]) -> None:
    served = await serve()

    answer = await served.post("/builds", headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "PERMISSION_DENIED")
    assert (await served.get("/builds")).json()["builds"] == []


async def test_a_form_of_another_site_can_start_nothing(serve: ServeTls) -> None:
    """A browser sends a form without a preflight request, but not JSON."""
    served = await serve()

    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = await served.client.post("/api/v1/builds", content=b'{"x": "="}', headers={"Content-Type": kind})
        assert answer.status_code == 415


async def test_a_page_of_its_own_may(serve: ServeTls) -> None:
    served = await serve()

    answer = await served.post("/builds", headers={"Origin": served.http, "Sec-Fetch-Site": "same-origin"})

    assert answer.status_code == 200


async def test_no_other_site_is_let_in_by_a_browser(serve: ServeTls) -> None:
    served = await serve()

    asked = await served.client.options(
        "/api/v1/builds", headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    )
    read = await served.client.get("/api/v1/builds", headers={"Origin": "http://evil.example"})

    for answer in (asked, read):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert asked.status_code == 405


async def test_over_tls_the_service_is_who_it_says(serve: ServeTls, authority: Authority) -> None:
    files = authority("service")
    tls = TlsFiles(certificate=files["certificate"], key=files["key"])
    served = await serve(client={"verify": ssl.create_default_context(cafile=files["root"])}, tls=tls)

    assert served.http.startswith("https://")
    assert (await served.client.get("/healthz")).status_code == 200
    credentials = grpc.ssl_channel_credentials(Path(files["root"]).read_bytes())
    async with grpc.aio.secure_channel(served.grpc, credentials) as channel:
        assert not (await DataBuildServiceStub(channel).ListBuilds(sv.ListBuildsRequest())).builds
    async with AsyncDatabuildClient(served.grpc, tls=Tls(authority=files["root"])) as client:
        assert await client.list_builds() == []
    for endpoint in (served.grpc, f"grpcs://{served.grpc}"):  # it uses no TLS, or trusts another root
        async with AsyncDatabuildClient(endpoint) as client:
            with pytest.raises(ServiceUnreachableError):
                await client.list_builds()
    async with httpx.AsyncClient(trust_env=False) as plain:
        with pytest.raises(httpx.HTTPError):
            await plain.get(served.http.replace("https:", "http:") + "/healthz")


async def test_without_a_certificate_of_the_right_root_nobody_gets_in(
    serve: ServeTls, authority: Authority, tmp_path: Path
) -> None:
    service, friend, foe = authority("service"), authority("friend"), authority("foe")
    tls = TlsFiles(certificate=service["certificate"], key=service["key"], client_authority=friend["root"])
    context = ssl.create_default_context(cafile=service["root"])
    context.load_cert_chain(friend["certificate"], friend["key"])
    served = await serve(client={"verify": context}, tls=tls, host="0.0.0.0")
    address = served.http.replace("0.0.0.0", "127.0.0.1")

    assert (await served.client.get(f"{address}/healthz")).status_code == 200
    for files in (None, foe):
        other = ssl.create_default_context(cafile=service["root"])
        if files is not None:
            other.load_cert_chain(files["certificate"], files["key"])
        async with httpx.AsyncClient(verify=other, trust_env=False) as client:
            with pytest.raises(httpx.TransportError):
                await client.get(f"{address}/healthz")
    root = (tmp_path / "service-ca.pem").read_bytes()
    async with grpc.aio.secure_channel(
        served.grpc.replace("0.0.0.0", "127.0.0.1"), grpc.ssl_channel_credentials(root)
    ) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await DataBuildServiceStub(channel).ListBuilds(sv.ListBuildsRequest(), timeout=5)
    shown = Tls(authority=service["root"], certificate=friend["certificate"], key=friend["key"])
    async with AsyncDatabuildClient(served.grpc.replace("0.0.0.0", "127.0.0.1"), tls=shown) as client:
        assert await client.list_builds() == []


@pytest.mark.parametrize(("subject", "author"), [("/CN=friend", "friend"), ("/O=none", "127.0.0.1"), ("/CN=ü", "ü")])
@pytest.mark.parametrize("by", ["http", "grpc"])
async def test_actions_are_recorded_under_the_name_in_the_certificate(
    serve: ServeTls, authority: Authority, by: str, subject: str, author: str
) -> None:
    service, friend = authority("service"), authority("friend", subject)
    tls = TlsFiles(certificate=service["certificate"], key=service["key"], client_authority=friend["root"])
    context = ssl.create_default_context(cafile=service["root"])
    context.load_cert_chain(friend["certificate"], friend["key"])
    served = await serve(client={"verify": context, "headers": {"DataBuild-Author": "eve"}}, tls=tls)
    await served.build("raw/1")

    if by == "http":
        await served.post("/taints", {"partitions": ["raw/1"], "reason": "wrong"})
    else:
        credentials = grpc.ssl_channel_credentials(
            *(Path(path).read_bytes() for path in (service["root"], friend["key"], friend["certificate"]))
        )
        async with grpc.aio.secure_channel(served.grpc, credentials) as channel:
            await DataBuildServiceStub(channel).TaintPartitions(
                sv.TaintPartitionsRequest(partitions=["raw/1"], reason="wrong"), metadata=(("databuild-author", "eve"),)
            )

    record = (await served.get("/partition", ref="raw/1")).json()["record"]
    assert record["taint_reason"] == f"{author}: wrong"


async def test_a_token_names_who_does_something_whatever_their_certificate_says(
    serve: ServeTls, authority: Authority
) -> None:
    service, friend = authority("service"), authority("friend")
    tls = TlsFiles(certificate=service["certificate"], key=service["key"], client_authority=friend["root"])
    context = ssl.create_default_context(cafile=service["root"])
    context.load_cert_chain(friend["certificate"], friend["key"])
    headers = {"Authorization": f"Bearer {WRITER}"}
    served = await serve(client={"verify": context, "headers": headers}, tls=tls, tokens=TOKENS)
    await served.build("raw/1")

    await served.post("/taints", {"partitions": ["raw/1"], "reason": "wrong"})

    record = (await served.get("/partition", ref="raw/1")).json()["record"]
    assert record["taint_reason"] == "ann: wrong"


async def test_files_of_tls_that_cannot_be_used_are_told(serve: ServeTls, tmp_path: Path) -> None:
    tls = TlsFiles(certificate=str(tmp_path / "none"), key=str(tmp_path / "none"))

    with pytest.raises(InvalidRequestError, match="none"):
        await serve(tls=tls)


@pytest.mark.parametrize("remedy", ["OTHER_HTTP_PORT", "OTHER_GRPC_PORT"])
async def test_a_port_that_is_taken_is_told(serve: ServeTls, remedy: str) -> None:
    served = await serve()
    is_http = remedy == "OTHER_HTTP_PORT"
    taken = int((served.http if is_http else served.grpc).rpartition(":")[2])

    with pytest.raises(InvalidRequestError, match=f"cannot listen on 127.0.0.1, port {taken}") as refusal:
        await (serve(port=taken) if is_http else serve(grpc_port=taken))

    assert refusal.value.remedy == remedy
