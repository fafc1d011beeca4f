"""Sign-in and sign-out with an access token, if the service has tokens."""

from __future__ import annotations

from starlette.responses import Response

from databuild.errors import UnauthenticatedError
from databuild.service.dashboard.sessions import COOKIE
from databuild.service.dashboard.site import Visit, redirect


async def form(visit: Visit) -> Response:
    """Renders the sign-in form."""
    return visit.page("sign_in", next=_local(visit.form.exact("next")), error="")


async def sign_in(visit: Visit) -> Response:
    """Starts a session of `SESSION_SECONDS` for a valid token."""
    site, target = visit.site, _local(visit.form.exact("next"))
    try:
        session = site.sessions.sign_in(visit.form.text("token"))
    except UnauthenticatedError:
        return visit.page("sign_in", 401, next=target, error="Unknown token.")
    response = redirect(target)
    site.set_cookie(response, visit.request, session)
    return response


async def sign_out(visit: Visit) -> Response:
    """Ends the session."""
    visit.site.sessions.sign_out(visit.session.key)
    response = redirect("/sign_in")
    response.delete_cookie(COOKIE)
    return response


def _local(address: str) -> str:
    """Returns the address if it is on this site, else `/`: sign-in must not redirect to other sites."""
    local = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if local else "/"
