"""Connections to engines: TLS, credentials, capabilities, and what is said when there is none."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from databuild.errors import ExecutorError, InvalidRequestError
from databuild.executors.reapi import remote_execution_pb2 as api
from databuild.executors.reapi.extension import ReapiExecutor
from databuild.executors.reapi.limits import Limits
from databuild.executors.registry import ExecutorOptions
from databuild.model.client_tls import ClientTls
from tests.engines.certificates import Certificate, make_certificate
from tests.engines.fake_engine import QUICK, FakeEngine
from tests.support.executors import Runs

pytestmark = pytest.mark.asyncio(loop_scope="module")

Connect = Callable[..., Awaitable[ReapiExecutor]]


@pytest_asyncio.fixture(loop_scope="module")
async def connect() -> AsyncIterator[Connect]:
    """Returns a function that connects, until the end of the test."""
    opened: list[ReapiExecutor] = []

    async def connect(uri: str, **options: object) -> ReapiExecutor:
        executor = ReapiExecutor(uri, ExecutorOptions(**options), QUICK)  # type: ignore[arg-type]
        opened.append(executor)
        await executor.connect()
        return executor

    yield connect
    for executor in opened:
        await executor.close()


@pytest_asyncio.fixture(loop_scope="module")
async def tls_engine(tmp_path: Path) -> AsyncIterator[tuple[FakeEngine, Certificate, str]]:
    """Returns an engine with TLS, its certificate, and its address."""
    own = make_certificate(tmp_path, "engine")
    engine = FakeEngine()
    await engine.start(server_credentials(own))
    yield engine, own, engine.uri.replace("reapi:", "reapis:")
    await engine.stop()


def server_credentials(own: Certificate, clients: str = "") -> grpc.ServerCredentials:
    pair = (Path(own.key).read_bytes(), Path(own.certificate).read_bytes())
    root = Path(clients).read_bytes() if clients else None
    return grpc.ssl_server_credentials([pair], root, require_client_auth=bool(clients))


async def test_tls_with_an_authority_of_ones_own(
    connect: Connect, tls_engine: tuple[FakeEngine, Certificate, str], runs: Runs
) -> None:
    _, own, uri = tls_engine

    executor = await connect(uri, tls=ClientTls(authority=own.authority))

    assert (await executor.run(runs.shell("true"))).exit_code == 0
    assert executor.uri == uri


async def test_a_certificate_of_another_authority_is_refused(
    connect: Connect, tls_engine: tuple[FakeEngine, Certificate, str], tmp_path: Path
) -> None:
    _, _, uri = tls_engine
    other = make_certificate(tmp_path, "other")

    with pytest.raises(ExecutorError, match="its certificate is not trusted"):
        await connect(uri, tls=ClientTls(authority=other.authority))


async def test_a_certificate_of_another_host_is_refused(connect: Connect, tmp_path: Path) -> None:
    own = make_certificate(tmp_path, "engine", host="DNS:engine.example")
    engine = FakeEngine()
    await engine.start(server_credentials(own))

    with pytest.raises(ExecutorError, match="its certificate is for another host name"):
        await connect(engine.uri.replace("reapi:", "reapis:"), tls=ClientTls(authority=own.authority))
    await engine.stop()


async def test_plain_text_to_an_engine_with_tls_is_explained(
    connect: Connect, tls_engine: tuple[FakeEngine, Certificate, str]
) -> None:
    engine, _, _ = tls_engine

    with pytest.raises(ExecutorError, match="write reapis:// instead of reapi://"):
        await connect(engine.uri)


async def test_tls_to_an_engine_without_it_is_explained(connect: Connect, engine: FakeEngine, tmp_path: Path) -> None:
    own = make_certificate(tmp_path, "engine")

    with pytest.raises(ExecutorError, match="write reapi:// instead of reapis://"):
        await connect(engine.uri.replace("reapi:", "reapis:"), tls=ClientTls(authority=own.authority))


async def test_client_certificates(connect: Connect, tmp_path: Path, runs: Runs) -> None:
    own, client = make_certificate(tmp_path, "engine"), make_certificate(tmp_path, "client")
    engine = FakeEngine()
    await engine.start(server_credentials(own, clients=client.authority))
    uri = engine.uri.replace("reapi:", "reapis:")

    with pytest.raises(ExecutorError, match="client certificate"):
        await connect(uri, tls=ClientTls(authority=own.authority))
    executor = await connect(
        uri, tls=ClientTls(authority=own.authority, certificate=client.certificate, key=client.key)
    )

    assert (await executor.run(runs.shell("true"))).exit_code == 0
    await engine.stop()


async def test_files_for_tls_that_make_no_sense(connect: Connect, tmp_path: Path) -> None:
    own = make_certificate(tmp_path, "engine")

    with pytest.raises(InvalidRequestError, match="certificates need TLS"):
        await connect("reapi://host:1", tls=ClientTls(authority=own.authority))
    with pytest.raises(InvalidRequestError, match="one is missing"):
        await connect("reapis://host", tls=ClientTls(certificate=own.certificate))
    with pytest.raises(InvalidRequestError, match="cannot be read"):
        await connect("reapis://host", tls=ClientTls(authority=str(tmp_path / "missing.pem")))


async def test_headers_are_in_every_request(connect: Connect, engine: FakeEngine, runs: Runs) -> None:
    engine.header = ("x-api-key", "secret")

    executor = await connect(engine.uri, headers={"X-Api-Key": "secret"})

    assert (await executor.run(runs.shell("true"))).exit_code == 0


async def test_a_token_that_the_engine_refuses_is_told(connect: Connect, engine: FakeEngine) -> None:
    engine.header = ("authorization", "Bearer good")

    with pytest.raises(ExecutorError, match="it does not accept the credentials") as refused:
        await connect(engine.uri, headers={"authorization": "Bearer bad"})

    assert "Bearer bad" not in str(refused.value)


async def test_a_token_that_is_refused_later_is_told(connect: Connect, engine: FakeEngine, runs: Runs) -> None:
    executor = await connect(engine.uri, headers={"authorization": "Bearer old"})
    engine.header = ("authorization", "Bearer new")

    result = await executor.run(runs.shell("true"))

    assert "UNAUTHENTICATED: the token is not valid" in result.refused


class Helper:
    """A credential helper that counts its calls.

    Attributes:
        path: The program.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "helper"
        self._calls = folder / "calls"
        self._answer = folder / "answer"
        self.path.write_text(f'#!/bin/sh\n{{ echo "$1 $TOKEN"; cat; echo; }} >>{self._calls}; cat {self._answer}\n')
        self.path.chmod(0o755)

    def answer(self, token: str, expires: str | None = None) -> None:
        """Sets what it prints."""
        answer: dict[str, object] = {"headers": {"Authorization": [f"Bearer {token}"]}}
        self._answer.write_text(json.dumps(answer | ({"expires": expires} if expires else {})))

    def calls(self) -> list[str]:
        """Returns its arguments, environment and input."""
        return self._calls.read_text().splitlines()


@pytest.fixture
def helper(tmp_path: Path) -> Helper:
    return Helper(tmp_path)


async def test_a_credential_helper_is_asked_once(
    connect: Connect, engine: FakeEngine, helper: Helper, runs: Runs
) -> None:
    engine.header = ("authorization", "Bearer one")
    helper.answer("one")

    executor = await connect(
        engine.uri, credential_helper=str(helper.path), environ={"PATH": "/bin", "TOKEN": "of the environment"}
    )
    results = await asyncio.gather(*(executor.run(runs.shell("true")) for _ in range(5)))

    assert [result.exit_code for result in results] == [0] * 5
    asked, uri = helper.calls()
    assert asked == "get of the environment"
    assert json.loads(uri) == {"uri": f"http://127.0.0.1:{engine.port}/"}


async def test_a_credential_helper_is_asked_again_when_its_headers_have_expired(
    connect: Connect, engine: FakeEngine, helper: Helper, runs: Runs
) -> None:
    helper.answer("old", expires="2001-01-01T00:00:00Z")
    executor = await connect(engine.uri, credential_helper=str(helper.path), environ={"PATH": "/bin"})
    calls = len(helper.calls())
    helper.answer("new", expires="2999-01-01T00:00:00Z")

    await executor.run(runs.shell("true"))
    await executor.run(runs.shell("true"))

    assert engine.metadata["authorization"] == "Bearer new"
    assert len(helper.calls()) == calls + 2


async def test_a_credential_helper_is_asked_again_after_a_refusal(
    connect: Connect, engine: FakeEngine, helper: Helper, runs: Runs
) -> None:
    engine.header = ("authorization", "Bearer old")
    helper.answer("old")
    executor = await connect(engine.uri, credential_helper=str(helper.path), environ={"PATH": "/bin"})
    engine.header = ("authorization", "Bearer new")
    helper.answer("new")

    result = await executor.run(runs.shell("true"))

    assert (result.exit_code, result.refused, result.lost) == (0, "", "")


async def test_streams_get_new_headers_after_a_refusal(
    connect: Connect, engine: FakeEngine, helper: Helper, runs: Runs
) -> None:
    helper.answer("one")
    executor = await connect(engine.uri, credential_helper=str(helper.path), environ={"PATH": "/bin"})
    expired = (grpc.StatusCode.UNAUTHENTICATED, "expired")
    engine.faults = {"Execute": [expired]}
    once = await executor.run(runs.shell("true"))
    engine.faults = {"Execute": [expired] * 100}
    always = await executor.run(runs.shell("true"))

    assert (once.exit_code, once.refused) == (0, "")
    assert "UNAUTHENTICATED: expired" in always.refused


@pytest.mark.parametrize(
    ("program", "fault"),
    [
        ("#!/bin/sh\necho 'no token for you' >&2; exit 3\n", "exit code 3: no token for you"),
        ("#!/bin/sh\necho secret\n", "must print a JSON object"),
        ('#!/bin/sh\necho \'{"headers": {"a": "secret"}}\'\n', "must print a JSON object"),
        ('#!/bin/sh\necho \'{"headers": {}, "expires": "secret"}\'\n', "must print a JSON object"),
        ("no program", "cannot be started"),
    ],
)
async def test_a_credential_helper_that_fails_is_told(
    connect: Connect, engine: FakeEngine, tmp_path: Path, program: str, fault: str
) -> None:
    path = tmp_path / "helper"
    path.write_text(program)
    path.chmod(0o755)

    with pytest.raises(ExecutorError, match=fault) as failed:
        await connect(engine.uri, credential_helper=str(path), environ={"PATH": "/bin"})

    assert "secret" not in str(failed.value)


async def test_an_address_without_an_engine_is_told(connect: Connect, engine: FakeEngine) -> None:
    await engine.stop()

    with pytest.raises(ExecutorError, match="it cannot be reached; check the address"):
        await connect(engine.uri)


async def test_an_engine_that_does_not_answer_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"reapi://127.0.0.1:{silent.getsockname()[1]}"
        executor = ReapiExecutor(uri, ExecutorOptions(), Limits(connect=0.1))

        with pytest.raises(ExecutorError, match="it does not answer in time"):
            await executor.connect()
        await executor.close()


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (grpc.StatusCode.UNIMPLEMENTED, "it does not speak the Remote Execution API"),
        (grpc.StatusCode.NOT_FOUND, "it does not know the instance"),
        (grpc.StatusCode.PERMISSION_DENIED, "it does not allow this client to use it"),
    ],
)
async def test_an_engine_that_refuses_is_told(
    connect: Connect, engine: FakeEngine, code: grpc.StatusCode, fault: str
) -> None:
    engine.faults = {"GetCapabilities": [(code, "go away")]}

    with pytest.raises(ExecutorError, match=f"{fault}.*go away"):
        await connect(engine.uri)


async def test_an_engine_that_cannot_do_what_is_needed_is_told(connect: Connect, engine: FakeEngine) -> None:
    suitable = engine.capabilities

    def without(change: Callable[[api.ServerCapabilities], None]) -> None:
        engine.capabilities = api.ServerCapabilities()
        engine.capabilities.CopyFrom(suitable)
        change(engine.capabilities)

    without(lambda capabilities: capabilities.high_api_version.CopyFrom(api.SemVer(major=2)))
    with pytest.raises(ExecutorError, match=r"it speaks the versions 2.0 to 2.0 .* DataBuild needs 2.1"):
        await connect(engine.uri)
    without(lambda capabilities: capabilities.execution_capabilities.Clear())
    with pytest.raises(ExecutorError, match="it runs no actions for this client"):
        await connect(engine.uri)
    without(lambda capabilities: setattr(capabilities.execution_capabilities, "digest_function", 3))
    with pytest.raises(ExecutorError, match="it does not take SHA-256 digests"):
        await connect(engine.uri)
