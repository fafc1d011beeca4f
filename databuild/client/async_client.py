"""The client for asyncio."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, Self, Unpack

from databuild.client.calls import Calls
from databuild.client.connection import DEFAULT_RETRY_TIMEOUT, connect
from databuild.client.endpoint import Tls
from databuild.client.remote_build import RemoteBuild
from databuild.client.transport import AsyncTransport
from databuild.model.build_options import BuildKeywords
from databuild.model.build_request_id import new_build_request_id
from databuild.model.job_graph import Plan
from databuild.model.views import BuildView


class AsyncDatabuildClient(Calls):
    """The methods of `DatabuildClient` as coroutines and asynchronous generators, for one event loop."""

    def __init__(
        self,
        endpoint: str,
        *,
        token: str | None = None,
        author: str | None = None,
        graph: str = "",
        environment: str = "",
        tls: Tls | None = None,
        retry_timeout: float = DEFAULT_RETRY_TIMEOUT,
        traceparent: str | None = None,
    ) -> None:
        super().__init__(
            connect(
                endpoint,
                AsyncTransport,
                token=token,
                author=author,
                graph=graph,
                environment=environment,
                tls=tls,
                retry_timeout=retry_timeout,
                traceparent=traceparent,
            )
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def create_orchestrator(
        self,
        partitions: Sequence[str] = (),
        *,
        build_request_id: str = "",
        plan: Plan | None = None,
        downstream: bool = False,
        **options: Unpack[BuildKeywords],
    ) -> RemoteBuild[Coroutine[Any, Any, BuildView]]:
        """Returns a build that has an id, and is not submitted yet. The arguments are those of `submit`."""
        return RemoteBuild(
            build_request_id or new_build_request_id(),
            partitions,
            self.start,
            plan=plan,
            downstream=downstream,
            **options,
        )
