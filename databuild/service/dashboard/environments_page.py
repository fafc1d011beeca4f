"""The pages `environments`, with the switch between them, and `comparison` of one with the base."""

from __future__ import annotations

from starlette.responses import Response

from databuild.service.dashboard.sessions import SESSION_SECONDS
from databuild.service.dashboard.site import ENVIRONMENT_COOKIE, Visit, redirect
from databuild.v1 import service_pb2 as sv


async def environments(visit: Visit) -> Response:
    """Renders the list of environments."""
    listed = (await visit.call("ListEnvironments", sv.ListEnvironmentsRequest())).environments
    return visit.page("environments", environments=listed)


async def comparison(visit: Visit) -> Response:
    """Renders the comparison of an environment with the base, by job and partition."""
    name = visit.request.path_params["environment"]
    request = sv.CompareEnvironmentRequest(environment=name, page_token=visit.form.exact("page_token"))
    answer: sv.CompareEnvironmentResponse = await visit.call("CompareEnvironment", request)
    by_job: dict[str, list[sv.PartitionComparison]] = {}
    for one in answer.comparisons:
        by_job.setdefault(one.job_label, []).append(one)
    return visit.page("comparison", name=name, jobs=sorted(by_job.items()), next_page_token=answer.next_page_token)


async def switch(visit: Visit) -> Response:
    """Shows another environment, or the base, from now on."""
    name = visit.form.text("environment")
    response = redirect("/")
    if not name:
        response.delete_cookie(ENVIRONMENT_COOKIE)
        return response
    await visit._replace(environment=name).api_for("ListBuilds", sv.ListBuildsRequest())  # refuses an unknown one
    response.set_cookie(
        ENVIRONMENT_COOKIE,
        name,
        max_age=SESSION_SECONDS,
        secure=visit.request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return response
