"""Requests with JSON to the API of GitHub or GitLab, with nothing but the standard library."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, Final

_SECONDS: Final = 30.0
_PAGE_ROWS: Final = 100
_MAX_PAGES: Final = 100
_MAX_REASON: Final = 300


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows redirections of GET on the same host. Others would send the token away, or turn a write into a read."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        before, after = (urllib.parse.urlsplit(url) for url in (req.full_url, newurl))
        if req.get_method() != "GET" or before[:2] != after[:2]:
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER: Final = urllib.request.build_opener(_SameHost)


class RequestError(Exception):
    """A request failed.

    Args:
        what: The method and the path.
        status: The status of the answer; 0 without an answer.
        reason: The reason, as a clause.
    """

    def __init__(self, what: str, status: int, reason: str) -> None:
        super().__init__(f"{what}: {reason}")
        self.status = status


class Rest:
    """An API whose paths are below a URL.

    Args:
        url: The URL.
        headers: The headers of each request.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        if not url.startswith(("https://", "http://")):
            raise RequestError(url, 0, "the URL of the API must begin with https:// or http://")
        for name, value in headers.items():
            # The error of the HTTP client would print the value, which may be a token.
            if not (value.isascii() and value.isprintable()):
                raise RequestError(url, 0, f"the value of the header {name} has characters that cannot be sent")
        self._url = url.rstrip("/")
        self._headers = {"Accept": "application/json", "User-Agent": "databuild", **headers}

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Sends a request, and returns the JSON of the answer.

        Raises:
            RequestError: The request failed, or the answer is not JSON.
        """
        what = f"{method} {path}"
        data = None if body is None else json.dumps(body).encode()
        headers = self._headers if data is None else {**self._headers, "Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, data, headers, method=method)
        try:
            with _OPENER.open(request, timeout=_SECONDS) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                reason = error.read(_MAX_REASON).decode(errors="replace")
            raise RequestError(what, error.code, f"status {error.code}: {' '.join(reason.split())}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise RequestError(what, 0, str(error) or type(error).__name__) from error

    def rows(self, path: str) -> Iterator[Any]:
        """Yields the rows of all pages of a list.

        Raises:
            RequestError: A request failed.
        """
        for page in range(1, _MAX_PAGES + 1):
            rows = self.call("GET", f"{path}?per_page={_PAGE_ROWS}&page={page}")
            yield from rows
            if len(rows) < _PAGE_ROWS:
                return
