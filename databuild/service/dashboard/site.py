"""What all pages share: who visits, what they ask the API, and how an answer becomes a page."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import parse_qsl, urlencode

import jinja2
from google.protobuf.message import Message
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from databuild.errors import HttpRequestError, InvalidRequestError, UnauthenticatedError
from databuild.model.paging import PAGE_ROWS
from databuild.service.access.auth import READ, Caller
from databuild.service.access.certificates import CERTIFICATE_NAME_KEY
from databuild.service.api.errors import meaning_of, report, worded_detail_of
from databuild.service.api.methods import Api
from databuild.service.dashboard import formats
from databuild.service.dashboard.assets import assets
from databuild.service.dashboard.sessions import COOKIE, MARK_FIELD, SESSION_SECONDS, Session, Sessions

_Row = TypeVar("_Row")

_TEMPLATES: Final = Path(__file__).parent / "templates"
_FORM: Final = "application/x-www-form-urlencoded"
_MAX_FIELDS: Final = 20_000
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    # With no referrer at all, browsers do not say either from which site a form comes.
    "Referrer-Policy": "same-origin",
}


class Form:
    """What a form sent, or a query: fields with their values."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        """Takes the fields in their order; a name may be there more than once."""
        self._fields = fields

    def text(self, name: str) -> str:
        """Returns the last value of a field without space around it; empty where it was not sent."""
        return self.exact(name).strip()

    def exact(self, name: str) -> str:
        """Returns the last value of a field as it was sent; empty where it was not."""
        return next((value for field, value in reversed(self._fields) if field == name), "")

    def all(self, name: str) -> list[str]:
        """Returns all values of a field."""
        return [value for field, value in self._fields if field == name]

    def lines(self, name: str) -> list[str]:
        """Returns the lines of all values of a field that are not empty."""
        return [line.strip() for value in self.all(name) for line in value.splitlines() if line.strip()]

    def ticked(self, name: str) -> bool:
        """Whether a box was ticked."""
        return bool(self.text(name))

    def number(self, name: str) -> int:
        """Returns a whole number; 0 where it was not sent.

        Raises:
            InvalidRequestError: The value is none.
        """
        text = self.text(name)
        if not text:
            return 0
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise InvalidRequestError(f"{name} is {text[:80]!r}, and has to be a whole number")
        return int(text)


class Visit(NamedTuple):
    """One request of a browser.

    Attributes:
        site: The pages.
        request: The request.
        session: Who asks.
        form: What a form sent; what the query holds where nothing was sent.
    """

    site: Site
    request: Request
    session: Session
    form: Form

    async def ask(self, rpc: str, message: Message) -> Any:
        """Returns the answer of the API to a request that is no stream."""
        return await self.site.api.answer(rpc, message, self.session.caller)

    async def rows(
        self, rpc: str, request: Any, rows_of: Callable[[Any], Iterable[_Row]], limit: int
    ) -> tuple[list[_Row], bool]:
        """Returns the rows of as many pages as it takes, and whether there are no more.

        Args:
            rpc: The RPC, which lists rows by key.
            request: Its request; `after` and `limit` are set here.
            rows_of: Returns the rows of an answer.
            limit: The maximum of rows, in whole pages.
        """
        rows: list[_Row] = []
        request.limit = PAGE_ROWS
        for _ in range(limit // PAGE_ROWS):
            answer = await self.ask(rpc, request)
            rows += rows_of(answer)
            if not answer.next_after:
                return rows, True
            request.after = answer.next_after
        return rows, False

    def page(self, template: str, status: int = 200, **values: object) -> Response:
        """Returns a page.

        Args:
            template: The name of its template, without its ending.
            status: The HTTP status.
            values: What the template shows.
        """
        return self.site.page(self.request, self.session, template, status, **values)


class Site:
    """The pages."""

    def __init__(self, api: Api, sessions: Sessions, *, graph_label: str, clock: Callable[[], float]) -> None:
        """Takes what answers, and who may ask.

        Args:
            api: What answers.
            sessions: Who uses a browser.
            graph_label: The label of the graph.
            clock: Returns the time in seconds since the epoch.
        """
        self.api = api
        self.sessions = sessions
        self.clock = clock
        self._graph_label = graph_label
        self._environment = _environment()

    def route(
        self,
        path: str,
        endpoint: Callable[[Visit], Awaitable[Response]],
        method: str = "GET",
        *,
        open_to_all: bool = False,
    ) -> Route:
        """Returns the route of a page.

        Args:
            path: Its path.
            endpoint: Makes the page.
            method: GET; or POST, of a form with a mark.
            open_to_all: Whether nobody has to sign in for it.
        """
        return Route(path, functools.partial(self._serve, endpoint, open_to_all), methods=[method])

    def page(self, request: Request, session: Session | None, template: str, status: int, **values: object) -> Response:
        """Returns a page; see `Visit.page`."""
        text = self._environment.get_template(f"{template}.html").render(
            values,
            graph_label=self._graph_label,
            path=request.url.path,
            here=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            mark=self.sessions.mark(session) if session else "",
            caller=session.caller if session else None,
            signs_in=self.sessions.needs_token,
            now=self.clock(),
        )
        response = HTMLResponse(text, status, _HEADERS)
        if session is not None and session.new:
            self.set_cookie(response, request, session)
        return response

    def set_cookie(self, response: Response, request: Request, session: Session) -> None:
        """Has a browser remember its session."""
        response.set_cookie(
            COOKIE,
            session.key,
            max_age=SESSION_SECONDS,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )

    def session(self, request: Request) -> Session:
        """Returns the session of a request.

        Raises:
            UnauthenticatedError: Somebody has to sign in first.
        """
        certificate = request.scope.get("state", {}).get(CERTIFICATE_NAME_KEY)
        return self.sessions.of(request.cookies.get(COOKIE, ""), request.headers.get("authorization", ""), certificate)

    async def _serve(
        self, endpoint: Callable[[Visit], Awaitable[Response]], open_to_all: bool, request: Request
    ) -> Response:
        session: Session | None = None
        try:
            try:
                session = self.session(request)
            except UnauthenticatedError:
                if not open_to_all:
                    return _to_sign_in(request)
                session = Session("", Caller(name="", role=READ))
            form = await _form(request)
            if request.method == "POST" and not open_to_all:
                self.sessions.check_mark(session, form.exact(MARK_FIELD))
            return await endpoint(Visit(self, request, session, form))
        except HTTPException:
            raise
        except Exception as error:
            report(error, f"{request.method} {request.url.path}")
            detail = worded_detail_of(error)
            return self.page(request, session, "error", meaning_of(error).http, detail=detail)


def redirect(address: str, query: Mapping[str, str] | None = None) -> Response:
    """Returns what sends a browser to another page of ours."""
    return RedirectResponse(address + (f"?{urlencode(query)}" if query else ""), 303)


def _to_sign_in(request: Request) -> Response:
    if request.method != "GET":
        return redirect("/sign_in")
    return redirect("/sign_in", {"next": request.url.path + (f"?{request.url.query}" if request.url.query else "")})


async def _form(request: Request) -> Form:
    """Reads the form of a request, or its query where it can have none."""
    if request.method != "POST":
        return Form(request.query_params.multi_items())
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise HttpRequestError(415, f"the body has to be of the type {_FORM}")
    body = await request.body()
    try:
        text = body.decode()
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise InvalidRequestError(f"the form cannot be read: {error}") from None
    return Form(fields)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(asset=lambda name: assets()[name].address, mark_field=MARK_FIELD)
    for function in (
        formats.age,
        formats.build_status,
        formats.category,
        formats.clock_time,
        formats.duration,
        formats.glyph,
        formats.in_address,
        formats.iso_time,
        formats.job_status,
        formats.number,
        formats.partition_status,
        formats.planning_progress,
        formats.reason,
        formats.seconds_between,
        formats.shortened,
        formats.size,
        formats.struct_value,
        formats.visible,
    ):
        environment.filters[function.__name__] = function
    return environment
