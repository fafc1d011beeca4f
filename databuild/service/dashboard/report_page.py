"""Downloads of the report about a build. The HTML report is shown by the browser, under a policy of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from databuild.errors import HttpRequestError
from databuild.reports.report_formats import ENDINGS
from databuild.service.access.auth import READ
from databuild.service.dashboard.site import Visit
from databuild.tuples import NamedTuple


class _Download(NamedTuple):
    media_type: str
    disposition: str = "attachment"


_DOWNLOADS: Final[Mapping[str, _Download]] = {
    "html": _Download("text/html; charset=utf-8", "inline"),
    "json": _Download("application/json"),
    "junit": _Download("application/xml; charset=utf-8"),
    "markdown": _Download("text/markdown; charset=utf-8"),
}
"""The media type and the disposition of each format."""

# A report contains its style sheets, as elements and as attributes of pictures. It may load and run nothing.
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "sandbox"
)


async def report(visit: Visit) -> Response:
    """Returns the report about a build, in the format of the ending in its path."""
    visit.session.caller.check(READ)
    ending = f".{visit.request.path_params['ending']}"
    if ending not in ENDINGS:
        names = ", ".join(f"report{known}" for known in ENDINGS)
        raise HttpRequestError(404, f"there is no report{ending[:80]}; there are {names}")
    report_format = ENDINGS[ending]
    rendered = await visit.site.reports.render(visit.request.path_params["build_request_id"], report_format)
    download = _DOWNLOADS[report_format]
    name = f"build-{rendered.build_request_id}{ending}"
    headers = {
        "Content-Disposition": f'{download.disposition}; filename="{name}"',
        "Content-Security-Policy": _POLICY,
        "Referrer-Policy": "no-referrer",
    }
    # Texts of jobs may have characters that UTF-8 does not encode.
    return Response(rendered.text.encode(errors="replace"), media_type=download.media_type, headers=headers)
