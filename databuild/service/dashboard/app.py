"""Routes of the dashboard: every page and form with the function that serves it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from databuild.errors import HttpRequestError
from databuild.service.access.auth import Tokens
from databuild.service.api.methods import Api
from databuild.service.builds.reports import Reports
from databuild.service.dashboard import (
    build_page,
    builds_page,
    environments_page,
    graph_page,
    jobs_page,
    logs_page,
    partitions_page,
    report_page,
    sign_in,
)
from databuild.service.dashboard.assets import assets
from databuild.service.dashboard.sessions import Sessions
from databuild.service.dashboard.site import Site, Visit

_BUILD: Final = "/builds/{build_request_id}"
_CACHE_CONTROL: Final = "public, max-age=31536000, immutable"
_LOG: Final = "/job_runs/{job_run_id}/log"


def dashboard_routes(
    api: Api, reports: Reports, *, graph_label: str, tokens: Tokens, clock: Callable[[], float] = time.time
) -> Sequence[BaseRoute]:
    """Returns the routes of the dashboard.

    Args:
        api: The API that answers requests.
        reports: Renders reports about builds.
        graph_label: Bazel label of the graph.
        tokens: Access tokens and their roles.
        clock: Returns the current time in seconds since the epoch.
    """
    site = Site(api, reports, Sessions(tokens, clock=clock), graph_label=graph_label, clock=clock)
    route = site.route
    return (
        route("/", graph_page.graph),
        route("/plan", builds_page.plan, "POST"),
        route("/builds", builds_page.builds),
        route("/builds", builds_page.submit, "POST"),
        route(_BUILD, build_page.build),
        route(f"{_BUILD}/changes", build_page.changes),
        route(f"{_BUILD}/cancel", builds_page.cancel, "POST"),
        route(f"{_BUILD}/retry", builds_page.retry, "POST"),
        route(f"{_BUILD}/report.{{ending}}", report_page.report),
        route(_LOG, logs_page.log),
        route(f"{_LOG}/follow", logs_page.follow),
        route("/partitions", partitions_page.partitions),
        route("/partition", partitions_page.partition),
        route("/partition/picture", partitions_page.picture),
        route("/partition/taint", partitions_page.taint, "POST"),
        route("/environments", environments_page.environments),
        route("/environments", environments_page.switch, "POST"),
        route("/environments/{environment}", environments_page.comparison),
        route("/partition/forget", partitions_page.forget, "POST"),
        route("/partition/delete", partitions_page.delete, "POST"),
        route("/jobs", jobs_page.jobs),
        route("/job", jobs_page.job),
        route("/sign_in", sign_in.form, public=True),
        route("/sign_in", sign_in.sign_in, "POST", public=True),
        route("/sign_out", sign_in.sign_out, "POST"),
        Route("/static/{name}", _static),
        route("/{path:path}", _not_found),
    )


async def _static(request: Request) -> Response:
    asset = assets().get(request.path_params["name"])
    if asset is None:
        raise HTTPException(404)
    return Response(asset.content, media_type=asset.media_type, headers={"Cache-Control": _CACHE_CONTROL})


async def _not_found(visit: Visit) -> Response:
    path = visit.request.url.path
    if path.startswith("/api/"):
        raise HTTPException(404)
    raise HttpRequestError(404, f"there is no page {path[:200]!r}")
