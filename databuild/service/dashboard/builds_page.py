"""The page `builds`, and the forms that plan, start, cancel and retry builds."""

from __future__ import annotations

from collections import Counter
from typing import Final

from starlette.responses import Response

from databuild.errors import InvalidRequestError
from databuild.model.build_options import BuildOptions, PlanOptions
from databuild.model.build_request_id import new_build_request_id
from databuild.model.statuses import BUILD
from databuild.service.dashboard.site import Form, Visit, redirect
from databuild.v1 import service_pb2 as sv

_PLANNED_ROWS: Final = 200


async def builds(visit: Visit) -> Response:
    """Renders the list of builds, newest first."""
    chosen = visit.form.text("status").upper()
    if chosen and chosen not in BUILD.names:
        raise InvalidRequestError(f"{chosen[:80]!r} is not a status of a build; use one of {', '.join(BUILD.names)}")
    page_token = visit.form.text("page_token")
    status = BUILD.message_name(chosen) if chosen else None
    page = await visit.call("ListBuilds", sv.ListBuildsRequest(status=status, page_token=page_token, page_size=50))
    return visit.page(
        "builds",
        builds=page.builds,
        next_page_token=page.next_page_token,
        page_token=page_token,
        chosen=chosen,
        statuses=BUILD.names,
    )


async def plan(visit: Visit) -> Response:
    """Renders a plan with a form to build it."""
    form = visit.form
    partitions = form.lines("partitions")
    options = _plan_options(form)
    planned = await visit.call("PlanBuild", sv.PlanBuildRequest(partitions=partitions, options=options.to_message()))
    rows = sorted(planned.partitions, key=lambda row: (not row.requested, row.task_id == 0))[:_PLANNED_ROWS]
    return visit.page(
        "plan",
        partitions=partitions,
        requested=len(planned.requested),
        options=options._asdict(),
        tasks=len(planned.job_graph.tasks),
        by_job=sorted(Counter(task.job_label for task in planned.job_graph.tasks).items()),
        considered=len(planned.partitions),
        warnings=planned.warnings,
        absent_inputs=planned.absent_inputs,
        rows=rows,
        build_request_id=new_build_request_id(visit.site.clock()),
    )


async def submit(visit: Visit) -> Response:
    """Starts a build. The form carries the build request id, so that sending it twice starts one build."""
    form = visit.form
    request = sv.SubmitBuildRequest(
        build_request_id=form.text("build_request_id"),
        partitions=form.lines("partitions"),
        options=_build_options(form).to_message(),
    )
    answer = await visit.call("SubmitBuild", request)
    return redirect(_address(answer.build_request_id))


async def cancel(visit: Visit) -> Response:
    """Requests the cancellation of a build."""
    build = visit.request.path_params["build_request_id"]
    await visit.call("CancelBuild", sv.CancelBuildRequest(build_request_id=build))
    return redirect(_address(build))


async def retry(visit: Visit) -> Response:
    """Starts a retry of a build."""
    request = sv.RetryBuildRequest(
        build_request_id=visit.request.path_params["build_request_id"],
        new_build_request_id=visit.form.text("build_request_id"),
        failed_jobs_only=visit.form.checked("failed_jobs_only"),
    )
    answer = await visit.call("RetryBuild", request)
    return redirect(_address(answer.build_request_id))


def _build_options(form: Form) -> BuildOptions:
    options = BuildOptions(
        jobs=form.number("jobs"), keep_going=form.checked("keep_going"), verify=form.text("verify") or "inputs"
    )
    return options.with_planning(_plan_options(form))


def _plan_options(form: Form) -> PlanOptions:
    return PlanOptions(force=form.checked("force"), reuse_stale=form.checked("reuse_stale"))


def _address(build_request_id: str) -> str:
    return f"/builds/{build_request_id}"
