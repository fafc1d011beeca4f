"""A server with the parts of the APIs of GitHub and GitLab by which programs write comments.

Sources: https://docs.github.com/en/rest/issues/comments and https://docs.gitlab.com/api/notes/
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

_LIST: Final = re.compile(r"/repos/acme/data/issues/7/comments|/projects/3/merge_requests/7/notes")
_ONE: Final = re.compile(r"/repos/acme/data/issues/comments/(\d+)|/projects/3/merge_requests/7/notes/(\d+)")


class CodeHost:
    """A server that keeps the comments of one pull request or merge request, whose number is 7.

    Attributes:
        url: Its address.
        comments: The comments, with the fields of both APIs.
        user: The user whose token it accepts; an empty name stands for an app, which has no user.
        refused: A status with which all writes are refused; 0 for none.
        requests: The method and the path of each request.
    """

    def __init__(self, token: str = "the-token") -> None:
        self.comments: list[dict[str, Any]] = []
        self.user = ""
        self.refused = 0
        self.requests: list[str] = []
        host = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                parts = urlsplit(self.path)
                host.requests.append(f"{self.command} {parts.path}")
                allowed = f"Bearer {token}" == self.headers.get("Authorization")
                allowed = allowed or token == self.headers.get("PRIVATE-TOKEN")
                status, document = (
                    host.answer(self.command, parts.path, parse_qs(parts.query), json.loads(body or "{}"))
                    if allowed
                    else (401, {"message": "Bad credentials"})
                )
                data = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815 (names in the base class)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name in the base class)
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def add(self, author: str, body: str) -> None:
        bot = author.endswith("[bot]")
        self.comments.append(
            {
                "id": 100 + len(self.comments),
                "body": body,
                "user": {"login": author, "type": "Bot" if bot else "User"},
                "author": {"id": sum(author.encode()), "username": author},
            }
        )

    def answer(
        self, method: str, path: str, query: Mapping[str, list[str]], body: Mapping[str, Any]
    ) -> tuple[int, object]:
        if method == "GET" and path == "/user":
            if not self.user:
                return 403, {"message": "Resource not accessible by integration"}
            return 200, {"login": self.user, "id": sum(self.user.encode())}
        if method == "GET" and _LIST.fullmatch(path):
            size, page = int(query["per_page"][0]), int(query["page"][0])
            return 200, self.comments[size * (page - 1) : size * page]
        if self.refused:
            return self.refused, {"message": "Resource not accessible\nby integration"}
        return self._write(method, path, body["body"])

    def _write(self, method: str, path: str, text: str) -> tuple[int, object]:
        if method == "POST" and _LIST.fullmatch(path):
            self.add(self.user or "github-actions[bot]", text)
            return 201, self.comments[-1]
        one = _ONE.fullmatch(path)
        if one and method == ("PATCH" if path.startswith("/repos") else "PUT"):
            self.comments[int(one[1] or one[2]) - 100]["body"] = text
            return 200, {}
        return 404, {"message": "Not Found"}
