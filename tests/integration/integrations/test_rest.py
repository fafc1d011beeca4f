"""Requests to code hosts keep the token to the host that was configured."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from integrations.rest import RequestError, Rest


class Host:
    """A server that answers `/moved` with a redirection, and keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, str]] = []
        self.location = ""
        host = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                host.requests.append((self.command, self.path, self.headers.get("Authorization", "")))
                moved = self.path == "/moved"
                self.send_response(302 if moved else 200)
                if moved:
                    self.send_header("location", host.location)
                self.send_header("content-length", "0" if moved else "2")
                self.end_headers()
                self.wfile.write(b"" if moved else b"[]")

            do_GET = do_POST = answer  # noqa: N815 (names in the base class)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name in the base class)
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    hosts = Host(), Host()
    yield hosts
    for host in hosts:
        host.close()


def test_the_token_does_not_follow_a_redirection_to_another_host(hosts: tuple[Host, Host]) -> None:
    own, other = hosts
    own.location = f"{other.url}/steal"
    with pytest.raises(RequestError, match="status 302"):
        Rest(own.url, {"Authorization": "Bearer t"}).call("GET", "/moved")

    assert other.requests == []


def test_a_read_follows_a_redirection_and_a_write_does_not_become_a_read(hosts: tuple[Host, Host]) -> None:
    own, _ = hosts
    own.location = f"{own.url}/there"
    api = Rest(own.url, {"Authorization": "Bearer t"})

    assert api.call("GET", "/moved") == []
    with pytest.raises(RequestError, match="status 302"):
        api.call("POST", "/moved", {"body": "x"})
    assert own.requests == [
        ("GET", "/moved", "Bearer t"),
        ("GET", "/there", "Bearer t"),
        ("POST", "/moved", "Bearer t"),
    ]


@pytest.mark.parametrize("token", ["secret\n", "secr\xe9t", "sec\r\nX-Other: ret"])
def test_a_token_that_cannot_be_sent_is_not_printed(token: str) -> None:
    with pytest.raises(RequestError, match="the value of the header Authorization has characters") as caught:
        Rest("http://127.0.0.1:1", {"Authorization": token})

    assert "sec" not in str(caught.value)
