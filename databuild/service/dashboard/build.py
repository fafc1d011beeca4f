"""The page of one build: how it stands, its graph, its job runs over time, its partitions; live while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from databuild.errors import DataBuildError
from databuild.model.build_request_id import new_build_request_id
from databuild.model.lifecycle import BUILD_ENDS
from databuild.model.statuses import PARTITION
from databuild.service.dashboard import drawings
from databuild.service.dashboard.site import Visit
from databuild.v1 import events_pb2 as ev
from databuild.v1 import service_pb2 as sv

_BEFORE_EXECUTION: Final = frozenset({ev.BUILD_STATUS_RECEIVED, ev.BUILD_STATUS_PLANNING})
_PLANNING_SECONDS: Final = 2.0
"""How often it is looked how far planning is, while somebody watches it."""

_ROWS: Final = 100
_DRAWN_RUNS: Final = 20_000
_PING_SECONDS: Final = 15
_CHANGE_SECONDS: Final = 0.5
"""How often a browser is told of changes at most."""


async def build(visit: Visit) -> Response:
    """Shows a build."""
    build_request_id = visit.request.path_params["build_request_id"]
    summary: sv.BuildSummary = await visit.ask("GetBuild", sv.GetBuildRequest(build_request_id=build_request_id))
    ident = summary.build_request_id  # `latest` stands for one
    runs: list[sv.JobRun] = []
    tasks: Sequence[sv.BuildGraphTask] = ()
    if not summary.HasField("pruned_time"):
        tasks = (await visit.ask("GetBuildGraph", sv.GetBuildGraphRequest(build_request_id=ident))).tasks
        request = sv.ListJobRunsRequest(build_request_id=ident)
        runs, _ = await visit.rows("ListJobRuns", request, lambda answer: answer.job_runs, _DRAWN_RUNS)
    ended = summary.status in BUILD_ENDS
    now = summary.updated_time.ToNanoseconds() / 1e9 if ended else visit.site.clock()
    return visit.page(
        "build",
        build=summary,
        ended=ended,
        seconds=max(0.0, now - summary.received_time.ToNanoseconds() / 1e9),
        graph=await asyncio.to_thread(drawings.job_graph, tasks),
        timeline=await asyncio.to_thread(drawings.timeline, tasks, runs, now),
        runs=sorted(runs, key=_attention)[:_ROWS],
        total_runs=len(runs),
        new_build_request_id=new_build_request_id(visit.site.clock()),
        **await _partitions(visit, ident),
    )


async def changes(visit: Visit) -> Response:
    """Tells a browser that there is something new; not what, since the page has it all."""
    build_request_id = visit.request.path_params["build_request_id"]
    last = visit.request.headers.get("last-event-id", "")
    after = int(last) if last.isascii() and last.isdigit() and len(last) < 10 else visit.form.number("after")
    await visit.ask("GetBuild", sv.GetBuildRequest(build_request_id=build_request_id))
    return EventSourceResponse(_changes(visit, build_request_id, after), ping=_PING_SECONDS, send_timeout=60, sep="\n")


async def _changes(visit: Visit, build_request_id: str, after: int) -> AsyncGenerator[ServerSentEvent]:
    request = sv.WatchBuildRequest(build_request_id=build_request_id, after_sequence=after)
    newest = told = after
    news = asyncio.Event()
    planning = _Planning(visit, build_request_id)

    async def listen() -> None:
        nonlocal newest
        with contextlib.suppress(DataBuildError):  # the browser comes back, and is told then
            async with contextlib.aclosing(visit.site.api.watch_build(request, visit.session.caller)) as answers:
                async for answer in answers:
                    newest = answer.events[-1].sequence
                    news.set()

    listening = asyncio.create_task(listen(), name="changes")
    listening.add_done_callback(lambda _task: news.set())
    try:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PLANNING_SECONDS if planning.under_way else None):
                    await news.wait()
            news.clear()
            ended = listening.done()
            further = planning.under_way and await planning.further()
            if newest > told or further:
                told = newest
                yield ServerSentEvent(json.dumps(told), id=str(told))
            if ended:
                break
            await asyncio.sleep(_CHANGE_SECONDS)
    finally:
        listening.cancel()
    with contextlib.suppress(DataBuildError):  # a service that ends ends no build
        summary = await visit.ask("GetBuild", sv.GetBuildRequest(build_request_id=build_request_id))
        if summary.status in BUILD_ENDS:
            yield ServerSentEvent("{}", event="end")


class _Planning:
    """Looks how far the planning of a build is, which no event tells.

    Attributes:
        under_way: Whether it may come further.
    """

    def __init__(self, visit: Visit, build_request_id: str) -> None:
        self.under_way = True
        self._visit = visit
        self._request = sv.GetBuildRequest(build_request_id=build_request_id)
        self._latest = sv.PlanningProgress()

    async def further(self) -> bool:
        """Whether planning is not where it was when this last looked."""
        try:
            summary = await self._visit.ask("GetBuild", self._request)
        except DataBuildError:
            return False
        self.under_way = summary.status in _BEFORE_EXECUTION
        before, self._latest = self._latest, summary.planning
        return bool(self._latest != before)


async def _partitions(visit: Visit, build_request_id: str) -> dict[str, Any]:
    """Returns a page of what the build has to do with partitions."""
    chosen = visit.form.text("status").upper()
    status = PARTITION.message_name(chosen) if chosen in PARTITION.names else None
    after = visit.form.exact("after")
    request = sv.ListBuildPartitionsRequest(build_request_id=build_request_id, status=status, after=after, limit=_ROWS)
    page = await visit.ask("ListBuildPartitions", request)
    return {
        "partitions": page.partitions,
        "partitions_after": page.next_after,
        "first_page": not after,
        "chosen": chosen,
        "statuses": PARTITION.names,
    }


def _attention(run: sv.JobRun) -> tuple[int, int]:
    """Orders job runs by how much they matter to who looks: what failed, what runs, then the newest."""
    rank = {ev.JOB_STATUS_FAILED: 0, ev.JOB_STATUS_RUNNING: 1}.get(run.status, 2)
    return rank, -run.scheduled_time.ToNanoseconds()
