"""Parts that all pages share: forms, sessions, calls of the API, and rendering of templates."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode

import jinja2
from google.protobuf.message import Message
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from databuild.errors import HttpRequestError, InvalidRequestError, UnauthenticatedError
from databuild.model.environments import check_environment
from databuild.model.paging import PAGE_ROWS
from databuild.service.access.auth import READ, Caller
from databuild.service.access.certificates import CERTIFICATE_NAME_KEY
from databuild.service.api.errors import meaning_of, report, worded_detail_of
from databuild.service.api.methods import Api
from databuild.service.builds.reports import Reports
from databuild.service.dashboard import formats
from databuild.service.dashboard.assets import assets
from databuild.service.dashboard.sessions import COOKIE, CSRF_FIELD, SESSION_SECONDS, Session, Sessions
from databuild.tuples import NamedTuple

_Row = TypeVar("_Row")

ENVIRONMENT_COOKIE: Final = "databuild_environment"

_TEMPLATES: Final = Path(__file__).parent / "templates"
_FORM: Final = "application/x-www-form-urlencoded"
_MAX_FIELDS: Final = 20_000
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    # Not `no-referrer`: browsers would then send `Origin: null` with forms, which the guard refuses.
    "Referrer-Policy": "same-origin",
}


class Form:
    """The fields of a form or of a query."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._fields = fields

    def text(self, name: str) -> str:
        """Returns the last value of a field, stripped; empty if it was not sent."""
        return self.exact(name).strip()

    def exact(self, name: str) -> str:
        """Returns the last value of a field, unchanged; empty if it was not sent."""
        return next((value for field, value in reversed(self._fields) if field == name), "")

    def all(self, name: str) -> list[str]:
        """Returns all values of a field."""
        return [value for field, value in self._fields if field == name]

    def lines(self, name: str) -> list[str]:
        """Returns the lines of all values of a field, stripped and without empty ones."""
        return [line.strip() for value in self.all(name) for line in value.splitlines() if line.strip()]

    def checked(self, name: str) -> bool:
        """Returns true if a checkbox was checked."""
        return bool(self.text(name))

    def number(self, name: str) -> int:
        """Returns a non-negative integer; 0 if it was not sent.

        Raises:
            InvalidRequestError: The value is not an integer of at most 9 digits.
        """
        text = self.text(name)
        if not text:
            return 0
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise InvalidRequestError(f"{name} is {text[:80]!r}, but must be an integer of at most 9 digits")
        return int(text)


class Visit(NamedTuple):
    """One request of a browser.

    Attributes:
        site: The site that serves it.
        request: The HTTP request.
        session: The session of the browser.
        form: Fields of the form; for GET those of the query.
        environment: The environment that the browser has chosen; empty for the base.
    """

    site: Site
    request: Request
    session: Session
    form: Form
    environment: str

    async def call(self, rpc: str, message: Message) -> Any:
        """Calls an RPC that is not a stream, and returns its response."""
        return await (await self.api_for(rpc, message)).answer(rpc, message, self.session.caller)

    async def api_for(self, rpc: str, message: Message) -> Api:
        """Returns the API of the chosen environment for an RPC and its request."""
        return await self.site.api.of_environment(self.environment, rpc, message, self.session.caller)

    async def rows(
        self, rpc: str, request: Any, rows_of: Callable[[Any], Iterable[_Row]], limit: int
    ) -> tuple[list[_Row], bool]:
        """Returns the rows of as many pages as it takes, and whether there are no more.

        Args:
            rpc: The RPC, which lists rows by key.
            request: Its request; `page_token` and `page_size` are set here.
            rows_of: Returns the rows of an answer.
            limit: The maximum of rows, in whole pages.
        """
        rows: list[_Row] = []
        request.page_size = PAGE_ROWS
        for _ in range(limit // PAGE_ROWS):
            answer = await self.call(rpc, request)
            rows += rows_of(answer)
            if not answer.next_page_token:
                return rows, True
            request.page_token = answer.next_page_token
        return rows, False

    def page(self, template: str, status: int = 200, **values: object) -> Response:
        """Renders a page.

        Args:
            template: Name of the template without `.html`.
            status: HTTP status.
            values: Variables of the template.
        """
        return self.site.page(self.request, self.session, template, status, **values)


class Site:
    """Serves pages: checks sessions and forms, renders templates and errors."""

    def __init__(
        self, api: Api, reports: Reports, sessions: Sessions, *, graph_label: str, clock: Callable[[], float]
    ) -> None:
        """Creates a site.

        Args:
            api: The API that answers requests.
            reports: Renders reports about builds.
            sessions: Sessions of browsers.
            graph_label: Bazel label of the graph, shown on each page.
            clock: Returns the current time in seconds since the epoch.
        """
        self.api = api
        self.reports = reports
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
        public: bool = False,
    ) -> Route:
        """Returns the route of a page.

        Args:
            path: Path of the page.
            endpoint: Returns the page.
            method: GET, or POST for a form with a CSRF token.
            public: True if the page needs no session and no CSRF token.
        """
        return Route(path, functools.partial(self._serve, endpoint, public), methods=[method])

    def page(self, request: Request, session: Session | None, template: str, status: int, **values: object) -> Response:
        """Renders a page, see `Visit.page`."""
        text = self._environment.get_template(f"{template}.html").render(
            values,
            graph_label=self._graph_label,
            path=request.url.path,
            environment=environment_of(request),
            csrf_token=self.sessions.csrf_token(session, environment_of(request)) if session else "",
            caller=session.caller if session else None,
            needs_token=self.sessions.needs_token,
            now=self.clock(),
        )
        response = HTMLResponse(text, status, _HEADERS)
        if session is not None and session.new:
            self.set_cookie(response, request, session)
        return response

    def set_cookie(self, response: Response, request: Request, session: Session) -> None:
        """Sets the session cookie."""
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
            UnauthenticatedError: The browser must sign in first.
        """
        certificate = request.scope.get("state", {}).get(CERTIFICATE_NAME_KEY)
        return self.sessions.of(request.cookies.get(COOKIE, ""), request.headers.get("authorization", ""), certificate)

    async def _serve(
        self, endpoint: Callable[[Visit], Awaitable[Response]], public: bool, request: Request
    ) -> Response:
        session: Session | None = None
        try:
            try:
                session = self.session(request)
            except UnauthenticatedError:
                if not public:
                    return _to_sign_in(request)
                session = Session("", Caller(name="", role=READ))
            form = await _form(request)
            if request.method == "POST" and not public:
                self.sessions.check_csrf_token(session, environment_of(request), form.exact(CSRF_FIELD))
            return await endpoint(Visit(self, request, session, form, environment_of(request)))
        except HTTPException:
            raise
        except Exception as error:
            report(error, f"{request.method} {request.url.path}")
            detail = worded_detail_of(error)
            return self.page(request, session, "error", meaning_of(error).http, detail=detail)


def environment_of(request: Request) -> str:
    """Returns the environment that a browser has chosen; empty for the base, and for a cookie that names none."""
    name: str = request.cookies.get(ENVIRONMENT_COOKIE, "")
    try:
        check_environment(name)
    except InvalidRequestError:
        return ""
    return name


def redirect(address: str, query: Mapping[str, str] | None = None) -> Response:
    """Returns a redirect (303) to a page of the dashboard."""
    return RedirectResponse(address + (f"?{urlencode(query)}" if query else ""), 303)


def _to_sign_in(request: Request) -> Response:
    if request.method != "GET":
        return redirect("/sign_in")
    return redirect("/sign_in", {"next": request.url.path + (f"?{request.url.query}" if request.url.query else "")})


async def _form(request: Request) -> Form:
    """Returns the form of a POST request, or the query of a GET request."""
    if request.method != "POST":
        return Form(request.query_params.multi_items())
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise HttpRequestError(415, f"the body must have the media type {_FORM}")
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
    environment.globals.update(asset=lambda name: assets()[name].address)
    for function in (
        formats.age,
        formats.build_status,
        formats.category,
        formats.clock_time,
        formats.duration,
        formats.glyph,
        formats.url_quoted,
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
        formats.printable,
        formats.printable_lines,
    ):
        environment.filters[function.__name__] = function
    return environment
