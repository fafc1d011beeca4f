"""The client for asyncio."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, Self, Unpack

from databuild.client.calls import Calls
from databuild.client.connection import RETRY_TIMEOUT_SECONDS
from databuild.client.endpoint import Tls
from databuild.client.remote_build import RemoteBuild
from databuild.client.settings import connection_to
from databuild.client.transport import AsyncTransport
from databuild.model.build_options import BuildKeywords
from databuild.model.build_request_id import new_build_request_id
from databuild.model.job_graph import Plan
from databuild.model.views import BuildView


class AsyncDatabuildClient(Calls):
    """Builds on a service, for asyncio; used from one event loop. What `DatabuildClient` does, it does by `await`."""

    def __init__(
        self,
        endpoint: str,
        *,
        token: str | None = None,
        author: str | None = None,
        graph: str = "",
        tls: Tls | None = None,
        retry_timeout: float = RETRY_TIMEOUT_SECONDS,
    ) -> None:
        """Takes what `DatabuildClient` takes."""
        super().__init__(
            connection_to(
                endpoint, AsyncTransport, token=token, author=author, graph=graph, tls=tls, retry_timeout=retry_timeout
            )
        )

    async def __aenter__(self) -> Self:
        """Returns itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Lets go of the connection."""
        await self.close()

    def create_orchestrator(
        self,
        partitions: Sequence[str] = (),
        *,
        build_request_id: str = "",
        plan: Plan | None = None,
        **options: Unpack[BuildKeywords],
    ) -> RemoteBuild[Coroutine[Any, Any, BuildView]]:
        """Returns a build that has its id and is not started; its arguments are those of `submit`."""
        return RemoteBuild(
            build_request_id or new_build_request_id(),
            partitions,
            self.start,
            plan=plan,
            **options,
        )
