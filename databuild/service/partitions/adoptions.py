"""Adoption of data that DataBuild did not build."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from databuild.errors import InvalidRequestError
from databuild.model.build_request_id import new_build_request_id
from databuild.orchestration.maintenance.adoption import adopt, check_produced
from databuild.service.resources.service_context import ServiceContext
from databuild.v1.events_pb2 import BuildEvent


class Adoptions:
    """Adopts partitions for callers. Used from one event loop."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def adopt(self, partitions: tuple[str, ...], *, author: str, reason: str, force: bool = False) -> BuildEvent:
        """Records existing data as available partitions: all of them or none. Returns the recorded event.

        Args:
            partitions: Refs or ranges of refs.
            author: The name of the caller.
            reason: The origin of the data, and the reason to adopt it.
            force: Also adopt partitions that are available already or claimed by a build.

        Raises:
            InvalidRequestError: There is no partition or no reason, or no job produces a partition.
            AdoptionRefusedError: A partition is available already, or claimed by a build.
            LookupFaultError: The lookup of the graph failed.
        """
        return await adopt(
            await self._refs(partitions, reason),
            operation_id=new_build_request_id(self._context.clock()),
            author=author,
            reason=reason.strip(),
            force=force,
            event_log=self._context.event_log,
            executor=self._context.executor,
            clock=self._context.clock,
        )

    async def check(self, partitions: tuple[str, ...], *, reason: str) -> None:
        """Checks a request as `adopt` does, for an event log that has no partitions yet. Records nothing.

        Raises:
            InvalidRequestError: There is no partition or no reason, or no job produces a partition.
            LookupFaultError: The lookup of the graph failed.
        """
        await self._refs(partitions, reason)

    async def _refs(self, partitions: tuple[str, ...], reason: str) -> Sequence[str]:
        """Returns the refs of a valid request, with ranges expanded."""
        if not partitions:
            raise InvalidRequestError("the request has no partitions; name at least one")
        if not reason.strip():
            raise InvalidRequestError("the request has no reason; say where the data comes from")
        # In a thread, since a large range takes long to expand.
        context = self._context
        refs = await asyncio.to_thread(context.catalog.expand, partitions, context.limits.max_partitions)
        await check_produced(
            refs,
            catalog=context.catalog,
            executor=context.executor,
            working_directory=context.settings.working_directory,
        )
        return refs
