"""An HTTP server that receives notifications."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer


class Receiver:
    """An HTTP server that keeps requests, and answers with the next of `answers`, else with 204.

    Attributes:
        absent: Paths that it does not have. Requests to them are answered with 404.
        requests: The headers and the body of each other request.
        taken: Those of the requests that were not refused.
        answers: The statuses of the next answers.
        gate: No request is answered while it is not set.
    """

    def __init__(self, port: int = 0, absent: Sequence[str] = ()) -> None:
        self.absent = absent
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.gate.wait()
                if self.path in receiver.absent:
                    self.send_error(404)
                    return
                request = {name.lower(): value for name, value in self.headers.items()}, body
                receiver.requests.append(request)
                status = receiver.answers.pop(0) if receiver.answers else 204
                if status < 300:
                    receiver.taken.append(request)
                self.send_response(status)
                self.send_header("location", "/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name in the base class)
                pass

        self.server = HTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?key=secret"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()
