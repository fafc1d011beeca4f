"""A service in a process of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.processes import BrokenRunError

FLAGS = ("--port=0", "--grpc_port=0", "--output=json", "--drain_seconds=600")
"""The flags of the command `serve`."""

_READ_BYTES = 64 * 1024


class Service:
    """A service in a process of its own, on ports that the system chooses.

    Attributes:
        grpc: The address of its gRPC server.
        port: The port of its HTTP server.
    """

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        """Starts the service and waits until it listens.

        Args:
            argv: The command `serve` with FLAGS.
            environment: The environment variables.

        Raises:
            BrokenRunError: The service did not start.
        """
        self._process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BrokenRunError("the service did not start")
        addresses = json.loads(line)
        self._address = addresses["http"].removeprefix("http://")
        self.grpc: str = addresses["grpc"]
        self.port = int(self._address.rpartition(":")[2])

    def connect(self) -> contextlib.closing[http.client.HTTPConnection]:
        return contextlib.closing(http.client.HTTPConnection(self._address, timeout=600))

    def peak_memory_bytes(self) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def end(self) -> int:
        """Stops the service after its builds have ended, and returns its peak memory in bytes."""
        peak = self.peak_memory_bytes()
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate()
        if self._process.returncode:
            raise BrokenRunError(f"the service ended with exit code {self._process.returncode}")
        return peak


def submit(connection: http.client.HTTPConnection, parallelism: int, *partitions: str) -> str:
    """Submits a build, and returns its id.

    Raises:
        BrokenRunError: The service refused the submission.
    """
    body = {"partitions": partitions, "options": {"jobs": parallelism}}
    connection.request("POST", "/api/v1/builds", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != http.client.OK:
        raise BrokenRunError(f"a submission was refused: {text[:500]!r}")
    return str(json.loads(text)["build_request_id"])


def watch(connection: http.client.HTTPConnection, build: str, after: int = 0) -> Iterator[tuple[float, dict[str, Any]]]:
    """Yields the events of a build after a sequence number, each with the time of its arrival, until the build ends.

    Raises:
        BrokenRunError: An event is missing, or comes twice.
    """
    connection.request("GET", f"/api/v1/builds/{build}/watch?after_sequence={after}")
    response = connection.getresponse()
    rest = b""
    sequence = after
    # Large reads: the lines of `response` would take twice the time of their JSON, on the processors of the build.
    while data := response.read1(_READ_BYTES):
        arrival = time.time()
        *sent, rest = (rest + data).split(b"\n\n")
        for one in sent:
            event = json.loads(one.partition(b"\ndata: ")[2] or b"{}")
            if event:
                sequence += 1
                if int(event["sequence"]) != sequence:
                    raise BrokenRunError(f"event {sequence} of build {build} is missing: {one[:500]!r}")
                yield arrival, event
