"""A service on real ports of this machine, over an event log of its own, whose jobs are functions."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Mapping
from pathlib import Path
from typing import Any, Protocol, Self, TypeAlias, TypedDict, Unpack

import httpx

from databuild.event_log.open import EnvironmentLogs, open_event_log
from databuild.graph.catalog import JobCatalog
from databuild.orchestration.build.settings import Settings
from databuild.service.access.auth import Tokens
from databuild.service.process.options import ServerOptions, TlsFiles
from databuild.service.process.server import Addresses, serve
from databuild.service.resources.limits import Limits
from tests.support.world import FakeExecutor, catalog

SentEvent: TypeAlias = tuple[str | None, str, Any]
"""The id, the kind and the parsed data of a server-sent event."""


class ListenOptions(TypedDict, total=False):
    """The options of a server about its addresses and its callers."""

    host: str
    port: int
    grpc_port: int
    tls: TlsFiles | None
    insecure_listen: bool
    allowed_hosts: tuple[str, ...]


class ServedOptions(ListenOptions, total=False):
    """The keyword arguments of `Served` besides its limits."""

    uri: str
    tokens: Tokens | None


class Serve(Protocol):
    """A fixture that starts services and closes them after the test."""

    def __call__(self, limits: Limits | None = None, **options: Unpack[ServedOptions]) -> Awaitable[Served]: ...


class Served:
    """A service that was started, and a client of it.

    Attributes:
        pages: The paths of pages by name, for tests that visit them all.
    """

    def __init__(
        self,
        folder: Path,
        *,
        uri: str = "memory:",
        tokens: Tokens | None = None,
        limits: Limits | None = None,
        jobs: JobCatalog | None = None,
        **listen: Unpack[ListenOptions],
    ) -> None:
        self.pages: dict[str, str] = {}
        self.executor = FakeExecutor()
        self.log = open_event_log(uri)
        self.stop = asyncio.Event()
        self.force_stop = asyncio.Event()
        self._started: asyncio.Future[Addresses] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(
            serve(
                ServerOptions(tokens=tokens or Tokens({}), **listen),
                catalog=jobs or catalog(default_partitions=("raw/1",)),
                event_log=self.log,
                make_executor=lambda: self.executor,
                settings=Settings(working_directory="/", log_directory=f"{folder}/logs"),
                environments=None if uri == "memory:" else EnvironmentLogs(uri),
                limits=limits or Limits(),
                stop=self.stop,
                force_stop=self.force_stop,
                started=self._started.set_result,
            )
        )

    async def start(
        self,
        *,
        timeout_seconds: float = 5.0,
        verify: ssl.SSLContext | bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Waits until the service is ready, and makes its client.

        Args:
            timeout_seconds: The limit of each request of the client.
            verify: How the client checks the certificate of the service.
            headers: Headers of each request of the client.
        """
        pending: set[asyncio.Future[Any]] = {self._started, self.task}
        await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if self.task.done():
            self.task.result()
        self.http, self.grpc = self._started.result()
        self.client = httpx.AsyncClient(
            base_url=self.http, trust_env=False, timeout=timeout_seconds, verify=verify, headers=headers
        )
        return self

    async def close(self) -> None:
        for gate in self.executor.gates.values():
            gate.open()
        self.stop.set()
        self.force_stop.set()
        await self.client.aclose()
        await self.task

    async def get(self, path: str, **query: str | int | list[str]) -> httpx.Response:
        return await self.client.get(f"/api/v1{path}", params=query)

    async def post(self, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return await self.client.post(f"/api/v1{path}", json=body or {}, headers=headers)

    async def build(self, *partitions: str, **body: object) -> str:
        """Builds partitions, and returns the id of the build after its end."""
        answer = await self.post("/builds", {"partitions": partitions, **body})
        assert answer.status_code == 200, answer.text
        build: str = answer.json()["build_request_id"]
        await self.events(f"/builds/{build}/watch")
        return build

    async def events(self, path: str, last: int | str | None = None, **query: str | int | list[str]) -> list[SentEvent]:
        """Reads a stream to its end: the id, the kind and the data of each event."""
        headers = {} if last is None else {"Last-Event-ID": str(last)}
        async with self.client.stream("GET", f"/api/v1{path}", params=query, headers=headers, timeout=20) as answer:
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["content-type"].startswith("text/event-stream")
            return [event async for event in sent_events(answer)]


@contextlib.asynccontextmanager
async def services(folder: Path, *, timeout_seconds: float = 5.0) -> AsyncIterator[Serve]:
    """Returns a context with a function that starts services, which are closed at the end.

    Args:
        folder: The folder of all of them.
        timeout_seconds: The limit of each request of their clients.
    """
    started: list[Served] = []

    async def start(limits: Limits | None = None, **options: Unpack[ServedOptions]) -> Served:
        served = Served(folder, limits=limits, **options)
        started.append(await served.start(timeout_seconds=timeout_seconds))
        return served

    try:
        yield start
    finally:
        for served in started:
            await served.close()


async def sent_events(answer: httpx.Response) -> AsyncIterator[SentEvent]:
    """Reads server-sent events, as the HTML standard says (9.2.6)."""
    event: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if not line and event:
            yield event.get("id"), event.get("event", "message"), json.loads(event["data"])
            event = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(":")
            event[name] = value.removeprefix(" ")


def error_of(answer: httpx.Response) -> tuple[int, str]:
    """Returns the status and the code of an error response, whose form is checked."""
    assert answer.headers["content-type"] == "application/json", answer.text
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "status", "facts"}
    assert body["error"]["message"]
    return answer.status_code, body["error"]["code"]
