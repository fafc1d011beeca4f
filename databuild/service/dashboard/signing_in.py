"""The page to sign in with a token, where the service has tokens."""

from __future__ import annotations

from starlette.responses import Response

from databuild.errors import UnauthenticatedError
from databuild.service.dashboard.sessions import COOKIE
from databuild.service.dashboard.site import Visit, redirect


async def ask(visit: Visit) -> Response:
    """Asks for a token."""
    return visit.page("sign_in", next=_own(visit.form.exact("next")), fault="")


async def sign_in(visit: Visit) -> Response:
    """Takes a token; a browser that has it stays known for some hours."""
    site, following = visit.site, _own(visit.form.exact("next"))
    try:
        session = site.sessions.sign_in(visit.form.text("token"))
    except UnauthenticatedError:
        return visit.page("sign_in", 401, next=following, fault="The token is not known.")
    response = redirect(following)
    site.set_cookie(response, visit.request, session)
    return response


async def sign_out(visit: Visit) -> Response:
    """Forgets a browser."""
    visit.site.sessions.sign_out(visit.session.key)
    response = redirect("/sign_in")
    response.delete_cookie(COOKIE)
    return response


def _own(address: str) -> str:
    """Returns an address on this site: the one that was sent, unless it leads elsewhere."""
    ours = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if ours else "/"
