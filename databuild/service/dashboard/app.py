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
from databuild.service.dashboard import build, builds, jobs, logs, partitions, sign_in
from databuild.service.dashboard.assets import assets
from databuild.service.dashboard.sessions import Sessions
from databuild.service.dashboard.site import Site, Visit

_BUILD: Final = "/builds/{build_request_id}"
_CACHE_CONTROL: Final = "public, max-age=31536000, immutable"
_LOG: Final = "/job_runs/{job_run_id}/log"


def dashboard_routes(
    api: Api, *, graph_label: str, tokens: Tokens, clock: Callable[[], float] = time.time
) -> Sequence[BaseRoute]:
    """Returns the routes of the dashboard.

    Args:
        api: The API that answers requests.
        graph_label: Bazel label of the graph.
        tokens: Access tokens and their roles.
        clock: Returns the current time in seconds since the epoch.
    """
    site = Site(api, Sessions(tokens, clock=clock), graph_label=graph_label, clock=clock)
    route = site.route
    return (
        route("/", builds.home),
        route("/plan", builds.plan, "POST"),
        route("/builds", builds.builds),
        route("/builds", builds.submit, "POST"),
        route(_BUILD, build.build),
        route(f"{_BUILD}/changes", build.changes),
        route(f"{_BUILD}/cancel", builds.cancel, "POST"),
        route(f"{_BUILD}/retry", builds.retry, "POST"),
        route(_LOG, logs.log),
        route(f"{_LOG}/follow", logs.follow),
        route("/partitions", partitions.partitions),
        route("/partition", partitions.partition),
        route("/partition/taint", partitions.taint, "POST"),
        route("/jobs", jobs.jobs),
        route("/job", jobs.job),
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
