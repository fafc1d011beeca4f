"""A receiver of exporters that answers and does nothing else. It prints its addresses, and ends with its input.

It is a program of its own, so that its work does not count as that of a build.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc

from databuild.exporters.bes import publish_build_event_pb2 as bes


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name in the base class)
        pass


class _Export(grpc.GenericRpcHandler):  # type: ignore[misc]
    def service(self, details: grpc.HandlerCallDetails, /) -> grpc.RpcMethodHandler:
        if details.method.endswith("/PublishBuildToolEventStream"):
            return grpc.stream_stream_rpc_method_handler(
                _acknowledge,
                bes.PublishBuildToolEventStreamRequest.FromString,
                bes.PublishBuildToolEventStreamResponse.SerializeToString,
            )
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"")


def _acknowledge(
    requests: Iterator[bes.PublishBuildToolEventStreamRequest], _context: grpc.ServicerContext
) -> Iterator[bes.PublishBuildToolEventStreamResponse]:
    for request in requests:
        event = request.ordered_build_event
        yield bes.PublishBuildToolEventStreamResponse(stream_id=event.stream_id, sequence_number=event.sequence_number)


def main() -> None:
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((_Export(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    addresses = {"http": f"http://127.0.0.1:{http.server_port}", "grpc": f"http://127.0.0.1:{port}"}
    print(json.dumps(addresses), flush=True)
    sys.stdin.read()
    server.stop(0).wait()


if __name__ == "__main__":
    main()
