"""The pages home and builds, and the forms that plan, start, cancel and retry builds."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Final

from starlette.responses import Response

from databuild.errors import InvalidRequestError
from databuild.model.build_options import BuildOptions, PlanOptions
from databuild.model.build_request_id import new_build_request_id
from databuild.model.lifecycle import BUILD_ENDS
from databuild.model.statuses import BUILD
from databuild.service.dashboard.site import Form, Visit, redirect
from databuild.v1 import service_pb2 as sv

_AT_HOME: Final = 10
_GOING_ON: Final = tuple(BUILD.message_name(name) for name in BUILD.names if name not in BUILD.ended)
_PLANNED_ROWS: Final = 200


async def home(visit: Visit) -> Response:
    """Shows what goes on."""
    page = await visit.ask("ListPartitions", sv.ListPartitionsRequest(limit=1))
    going_on = []
    for status in _GOING_ON:
        going_on += (await visit.ask("ListBuilds", sv.ListBuildsRequest(status=status, limit=_AT_HOME))).builds
    newest = (await visit.ask("ListBuilds", sv.ListBuildsRequest(limit=2 * _AT_HOME))).builds
    return visit.page(
        "home",
        counts=sorted((word.lower(), count) for word, count in page.counts.items() if count),
        going_on=sorted(going_on, key=lambda build: -build.received_time.ToNanoseconds())[:_AT_HOME],
        ended=[build for build in newest if build.status in BUILD_ENDS][:_AT_HOME],
    )


async def builds(visit: Visit) -> Response:
    """Lists builds, newest first."""
    chosen = visit.form.text("status").upper()
    if chosen and chosen not in BUILD.names:
        raise InvalidRequestError(f"{chosen[:80]!r} is no status of a build; there are {', '.join(BUILD.names)}")
    before = visit.form.text("before")
    status = BUILD.message_name(chosen) if chosen else None
    page = await visit.ask("ListBuilds", sv.ListBuildsRequest(status=status, before=before, limit=50))
    return visit.page(
        "builds", builds=page.builds, next_before=page.next_before, before=before, chosen=chosen, statuses=BUILD.names
    )


async def plan(visit: Visit) -> Response:
    """Shows what a build would do, and offers it."""
    form = visit.form
    partitions = form.lines("partitions")
    options = _plan_options(form)
    made = await visit.ask("PlanBuild", sv.PlanBuildRequest(partitions=partitions, options=options.to_message()))
    rows = sorted(made.partitions, key=lambda row: (not row.requested, row.task_id == 0))[:_PLANNED_ROWS]
    return visit.page(
        "plan",
        partitions=partitions,
        requested=len(made.requested),
        options=dataclasses.asdict(options),
        tasks=len(made.job_graph.tasks),
        by_job=sorted(Counter(task.job_label for task in made.job_graph.tasks).items()),
        considered=len(made.partitions),
        warnings=made.warnings,
        absent_inputs=made.absent_inputs,
        rows=rows,
        build_request_id=new_build_request_id(visit.site.clock()),
    )


async def submit(visit: Visit) -> Response:
    """Starts a build; the same form sent twice starts one."""
    form = visit.form
    request = sv.SubmitBuildRequest(
        build_request_id=form.text("build_request_id"),
        partitions=form.lines("partitions"),
        options=_build_options(form).to_message(),
    )
    answer = await visit.ask("SubmitBuild", request)
    return redirect(_address(answer.build_request_id))


async def cancel(visit: Visit) -> Response:
    """Asks for a build to be stopped."""
    build = visit.request.path_params["build_request_id"]
    await visit.ask("CancelBuild", sv.CancelBuildRequest(build_request_id=build))
    return redirect(_address(build))


async def retry(visit: Visit) -> Response:
    """Starts a build of what another was asked for."""
    request = sv.RetryBuildRequest(
        build_request_id=visit.request.path_params["build_request_id"],
        new_build_request_id=visit.form.text("build_request_id"),
        failed_jobs_only=visit.form.ticked("failed_jobs_only"),
    )
    answer = await visit.ask("RetryBuild", request)
    return redirect(_address(answer.build_request_id))


def _build_options(form: Form) -> BuildOptions:
    options = BuildOptions(jobs=form.number("jobs"), keep_going=form.ticked("keep_going"))
    return options.with_planning(_plan_options(form))


def _plan_options(form: Form) -> PlanOptions:
    return PlanOptions(force=form.ticked("force"), reuse_stale=form.ticked("reuse_stale"))


def _address(build_request_id: str) -> str:
    return f"/builds/{build_request_id}"
