"""Requests over HTTP/1.1 to receivers that answer in every way that the protocol allows, and in others."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from databuild.exporters.http_requests import Answer, HttpError, HttpReceiver, fault_of
from tests.engines.certificates import make_certificate

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
TAKEN = Answer(200, "OK", b"")
SECONDS = 20.0


class Script:
    """A server whose connections answer one request after the other with given bytes, and are closed after the last.

    Attributes:
        url: Its address.
        requests: The head and the body of each request, in the order of arrival.
    """

    def __init__(self, *connections: Sequence[bytes]) -> None:
        self.requests: list[tuple[str, bytes]] = []
        self._connections = connections
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"http://{self.host}/in/box?key=1"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.close()

    def _run(self) -> None:
        for answers in self._connections:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                for answer in answers:
                    head = b"".join(iter(stream.readline, b"\r\n")).decode()
                    if not head:
                        break
                    lengths = [line.split(":")[1] for line in head.splitlines() if line.startswith("Content-Length:")]
                    self.requests.append((head, stream.read(int(lengths[0])) if lengths else b""))
                    connection.sendall(answer)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def sent(script: Script, bodies: Sequence[bytes] = (b"a",)) -> list[Answer]:
    receiver = HttpReceiver(script.url, {"Content-Type": "text/plain"})
    try:
        return [receiver.post(body, SECONDS) for body in bodies]
    finally:
        receiver.close()
        script.close()


def test_requests_follow_each_other_on_one_connection() -> None:
    script = Script([OK] * 3)
    receiver = HttpReceiver(script.url, {"Content-Type": "text/plain"})

    assert [receiver.post(b"a", SECONDS), receiver.post(b"", SECONDS)] == [TAKEN] * 2
    assert receiver.post(b"bc", 10.0, {"X-Id": "7"}) == TAKEN
    head, _ = script.requests[0]
    assert [body for _, body in script.requests] == [b"a", b"", b"bc"]
    assert sorted(head.splitlines()) == [
        "Accept-Encoding: identity",
        "Content-Length: 1",
        "Content-Type: text/plain",
        f"Host: {script.host}",
        "POST /in/box?key=1 HTTP/1.1",
        "User-Agent: databuild",
    ]
    assert "X-Id: 7" in script.requests[2][0].splitlines()
    receiver.close()
    script.close()


def test_the_head_and_the_body_of_a_request_arrive_together() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        receiver = HttpReceiver(f"http://127.0.0.1:{listener.getsockname()[1]}", {})
        answers: list[Answer] = []
        thread = threading.Thread(target=lambda: answers.append(receiver.post(b"body", SECONDS)))
        thread.start()
        connection, _ = listener.accept()
        with connection:
            first = connection.recv(65536)
            connection.sendall(OK)
            thread.join(SECONDS)
        receiver.close()

    assert first.startswith(b"POST ")
    assert first.endswith(b"\r\n\r\nbody")
    assert answers == [TAKEN]


CHUNKED = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = CHUNKED + b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", Answer(200, "OK", b"hi")),
        (CHUNKS, Answer(201, "Created", b"abc0123456789")),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, TAKEN),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Answer(204, "No Content", b"")),
        (b"HTTP/1.1 302 Found\r\nLocation: http://h/\r\nContent-Length: 0\r\n\r\n", Answer(302, "Found", b"")),
        (b"HTTP/1.1 500\r\nContent-Length: 0\r\n\r\n", Answer(500, "", b"")),
    ],
)
def test_answers_are_read_to_their_end(answer: bytes, expected: Answer) -> None:
    script = Script([answer, OK])

    assert sent(script, (b"a", b"b")) == [expected, TAKEN]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", Answer(200, "OK", b"until the end")),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", Answer(200, "OK", b"hi")),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nhi", Answer(200, "OK", b"hi")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" + b"x" * (1 << 20), Answer(200, "OK", b"x" * (1 << 20))),
    ],
)
def test_after_such_an_answer_the_next_request_has_a_connection_of_its_own(answer: bytes, expected: Answer) -> None:
    script = Script([answer], [OK])

    assert sent(script, (b"a", b"b")) == [expected, TAKEN]
    assert [body for _, body in script.requests] == [b"a", b"b"]


def test_a_connection_that_was_closed_meanwhile_is_opened_again() -> None:
    script = Script([OK], [OK], [OK])

    assert sent(script, (b"a", b"b", b"c")) == [TAKEN] * 3
    assert [body for _, body in script.requests] == [b"a", b"b", b"c"]


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "it does not speak HTTP/1.1"),
        (b"HTTP/1.1 OK\r\n\r\n", "it does not speak HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", "it closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "it closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000, "got more than 65536 bytes when reading header line"),
    ],
)
def test_an_answer_that_is_none_is_a_fault(answer: bytes, fault: str) -> None:
    script = Script([answer])

    with pytest.raises(HttpError) as error:
        sent(script)
    assert fault_of(error.value) == fault


def test_a_proxy_gets_the_whole_address_and_its_own_user(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Script([OK])
    monkeypatch.setenv("http_proxy", f"http://ann:s%20cret@{proxy.host}")
    receiver = HttpReceiver("http://user@receiver.example:8080/in box", {})

    assert receiver.post(b"a", SECONDS) == TAKEN
    head, _ = proxy.requests[0]
    assert head.startswith("POST http://receiver.example:8080/in%20box HTTP/1.1\r\nHost: receiver.example:8080\r\n")
    assert "Proxy-Authorization: Basic YW5uOnMgY3JldA==" in head.splitlines()
    receiver.close()
    proxy.close()


def test_a_proxy_forwards_connections_with_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    proxy = Script([b"HTTP/1.1 407 Who are you\r\n\r\n"])
    monkeypatch.setenv("https_proxy", proxy.host)
    receiver = HttpReceiver("https://[::1]/in", {}, ssl.create_default_context())

    with pytest.raises(OSError, match="Tunnel connection failed: 407 Who are you"):
        receiver.post(b"a", SECONDS)
    [(head, _)] = proxy.requests
    assert head.startswith("CONNECT ")
    assert "::1" in head.splitlines()[0]
    proxy.close()


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "http://127.0.0.1:port"])
def test_an_unusable_proxy_is_a_fault(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)

    with pytest.raises(HttpError, match="the proxy of the environment has no valid address"):
        HttpReceiver("http://receiver.example/", {}).post(b"a", SECONDS)


def test_a_host_that_needs_no_proxy_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script([OK])
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    assert sent(script) == [TAKEN]
    assert script.requests[0][0].startswith("POST /in/box?key=1 HTTP/1.1\r\n")


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A server with TLS that answers one request; yields its address and the path of its authority."""
    own = make_certificate(tmp_path, "receiver")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(own.certificate, own.key)
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        # A client that does not trust the certificate ends the handshake.
        with contextlib.suppress(OSError), listener.accept()[0] as plain:
            connection = context.wrap_socket(plain, server_side=True)
            received = b""
            while not received.endswith(b"\r\n\r\na"):
                received += connection.recv(65536)
            connection.sendall(OK)
            connection.close()

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}/", own.authority
    listener.close()


def test_a_receiver_with_tls_is_checked_against_its_authority(secure: tuple[str, str]) -> None:
    url, authority = secure
    receiver = HttpReceiver(url, {}, ssl.create_default_context(cafile=authority))

    assert receiver.post(b"a", SECONDS) == TAKEN
    receiver.close()


def test_a_receiver_of_an_unknown_authority_gets_nothing(secure: tuple[str, str]) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        HttpReceiver(secure[0], {}).post(b"a", SECONDS)
