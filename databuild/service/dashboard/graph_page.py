"""The page `graph`, with which the dashboard begins: the jobs of the graph, and its newest builds."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.responses import Response

from databuild.model.lifecycle import BUILD_ENDS
from databuild.model.statuses import BUILD
from databuild.service.dashboard import drawings
from databuild.service.dashboard.site import Visit
from databuild.v1 import service_pb2 as sv

_BUILDS: Final = 10
_OPEN_STATUSES: Final = tuple(BUILD.message_name(name) for name in BUILD.names if name not in BUILD.ended)


async def graph(visit: Visit) -> Response:
    """Renders the graph with the counts of each job, running builds and recent builds."""
    drawn = await visit.call("GetGraph", sv.GetGraphRequest(include_records=True))
    page = await visit.call("ListPartitions", sv.ListPartitionsRequest(page_size=1))
    running = []
    for status in _OPEN_STATUSES:
        running += (await visit.call("ListBuilds", sv.ListBuildsRequest(status=status, page_size=_BUILDS))).builds
    newest = (await visit.call("ListBuilds", sv.ListBuildsRequest(page_size=2 * _BUILDS))).builds
    return visit.page(
        "graph",
        picture=await asyncio.to_thread(drawings.whole_graph, drawn),
        counts=sorted((word.lower(), count) for word, count in page.counts.items() if count),
        running=sorted(running, key=lambda build: -build.received_time.ToNanoseconds())[:_BUILDS],
        ended=[build for build in newest if build.status in BUILD_ENDS][:_BUILDS],
    )
