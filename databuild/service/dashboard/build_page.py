"""The page of one build: summary, job graph, timeline, job runs and partitions. It updates while the build runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
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
_PLANNING_POLL_SECONDS: Final = 2.0
"""Interval at which planning progress is polled while a browser watches: it is not in the event log."""

_ROWS: Final = 100
_MAX_DRAWN_RUNS: Final = 20_000
_PING_SECONDS: Final = 15
_MIN_CHANGE_SECONDS: Final = 0.5
"""Minimum interval between two notifications of a browser."""


async def build(visit: Visit) -> Response:
    """Renders the page of a build."""
    build_request_id = visit.request.path_params["build_request_id"]
    summary: sv.BuildSummary = await visit.call("GetBuild", sv.GetBuildRequest(build_request_id=build_request_id))
    ident = summary.build_request_id  # the request may have named `latest`
    runs: list[sv.JobRun] = []
    tasks: Sequence[sv.BuildGraphTask] = ()
    if not summary.HasField("pruned_time"):
        tasks = (await visit.call("GetBuildGraph", sv.GetBuildGraphRequest(build_request_id=ident))).tasks
        request = sv.ListJobRunsRequest(build_request_id=ident)
        runs, _ = await visit.rows("ListJobRuns", request, lambda answer: answer.job_runs, _MAX_DRAWN_RUNS)
    ended = summary.status in BUILD_ENDS
    now = summary.updated_time.ToNanoseconds() / 1e9 if ended else visit.site.clock()
    return visit.page(
        "build",
        build=summary,
        ended=ended,
        seconds=max(0.0, now - summary.received_time.ToNanoseconds() / 1e9),
        graph=await asyncio.to_thread(drawings.job_graph, tasks),
        timeline=await asyncio.to_thread(drawings.timeline, tasks, runs, now),
        runs=sorted(runs, key=_priority({task.job_run_id for task in tasks}))[:_ROWS],
        outputs={task.task_id: task.outputs for task in tasks},
        total_runs=len(runs),
        new_build_request_id=new_build_request_id(visit.site.clock()),
        **await _partitions(visit, ident),
    )


async def changes(visit: Visit) -> Response:
    """Streams one event per change. It carries no data: the browser fetches the page again."""
    build_request_id = visit.request.path_params["build_request_id"]
    last = visit.request.headers.get("last-event-id", "")
    after = int(last) if last.isascii() and last.isdigit() and len(last) < 10 else visit.form.number("after")
    await visit.call("GetBuild", sv.GetBuildRequest(build_request_id=build_request_id))
    return EventSourceResponse(_changes(visit, build_request_id, after), ping=_PING_SECONDS, send_timeout=60, sep="\n")


async def _changes(visit: Visit, build_request_id: str, after: int) -> AsyncGenerator[ServerSentEvent]:
    request = sv.WatchBuildRequest(build_request_id=build_request_id, after_sequence=after)
    newest = sent = after
    changed = asyncio.Event()
    planning = _Planning(visit, build_request_id)

    async def listen() -> None:
        nonlocal newest
        with contextlib.suppress(DataBuildError):  # the browser reconnects and gets the error then
            api = await visit.api_for("WatchBuild", request)
            async with contextlib.aclosing(api.watch_build(request, visit.session.caller)) as batches:
                async for events in batches:
                    newest = events[-1].sequence
                    changed.set()

    listening = asyncio.create_task(listen(), name="changes")
    listening.add_done_callback(lambda _task: changed.set())
    try:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PLANNING_POLL_SECONDS if planning.active else None):
                    await changed.wait()
            changed.clear()
            ended = listening.done()
            progressed = planning.active and await planning.progressed()
            if newest > sent or progressed:
                sent = newest
                yield ServerSentEvent(json.dumps(sent), id=str(sent))
            if ended:
                break
            await asyncio.sleep(_MIN_CHANGE_SECONDS)
    finally:
        listening.cancel()
    with contextlib.suppress(DataBuildError):  # the end of the service is not the end of the build
        summary = await visit.call("GetBuild", sv.GetBuildRequest(build_request_id=build_request_id))
        if summary.status in BUILD_ENDS:
            yield ServerSentEvent("{}", event="end")


class _Planning:
    """Polls the planning progress of a build, which is not in the event log.

    Attributes:
        active: True until planning has ended.
    """

    def __init__(self, visit: Visit, build_request_id: str) -> None:
        self.active = True
        self._visit = visit
        self._request = sv.GetBuildRequest(build_request_id=build_request_id)
        self._latest = sv.PlanningProgress()

    async def progressed(self) -> bool:
        """Returns true if the progress has changed since the previous call."""
        try:
            summary = await self._visit.call("GetBuild", self._request)
        except DataBuildError:
            return False
        self.active = summary.status in _BEFORE_EXECUTION
        before, self._latest = self._latest, summary.planning
        return bool(self._latest != before)


async def _partitions(visit: Visit, build_request_id: str) -> dict[str, Any]:
    """Returns template values for one page of the partitions of a build."""
    chosen = visit.form.text("status").upper()
    status = PARTITION.message_name(chosen) if chosen in PARTITION.names else None
    page_token = visit.form.exact("page_token")
    request = sv.ListBuildPartitionsRequest(
        build_request_id=build_request_id, status=status, page_token=page_token, page_size=_ROWS
    )
    page = await visit.call("ListBuildPartitions", request)
    return {
        "partitions": page.partitions,
        "next_page_token": page.next_page_token,
        "chosen": chosen,
        "statuses": PARTITION.names,
    }


def _priority(newest: Collection[str]) -> Callable[[sv.JobRun], tuple[int, int]]:
    """Returns the sort key of the table of job runs: of failed tasks, then running, then newest.

    Args:
        newest: The ids of the newest job run of each task.
    """

    def key(run: sv.JobRun) -> tuple[int, int]:
        rank = {ev.JOB_STATUS_FAILED: 0, ev.JOB_STATUS_RUNNING: 1}.get(run.status, 2)
        if run.job_run_id not in newest:
            rank = 2
        return rank, -run.scheduled_time.ToNanoseconds()

    return key
