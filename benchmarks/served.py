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
"""What the command `serve` is to be given."""


class Service:
    """A service in a process of its own, which listens where it likes.

    Attributes:
        grpc: Where it answers gRPC.
    """

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        """Starts it.

        Args:
            argv: The command `serve` with FLAGS.
            environment: All of its variables.

        Raises:
            BrokenRunError: It did not start.
        """
        self._process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BrokenRunError("the service did not start")
        listens = json.loads(line)
        self._address = listens["http"].removeprefix("http://")
        self.grpc: str = listens["grpc"]

    def connect(self) -> contextlib.closing[http.client.HTTPConnection]:
        """Returns a connection, to be closed."""
        return contextlib.closing(http.client.HTTPConnection(self._address, timeout=600))

    def peak_memory_bytes(self) -> int:
        """Returns the most memory that it has held."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def end(self) -> int:
        """Ends it when its builds have ended, and returns the most memory that it held, in bytes."""
        peak = self.peak_memory_bytes()
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate()
        if self._process.returncode:
            raise BrokenRunError(f"the service ended with exit code {self._process.returncode}")
        return peak


def submit(connection: http.client.HTTPConnection, at_once: int, *partitions: str) -> str:
    """Submits a build, and returns its id.

    Raises:
        BrokenRunError: It was refused.
    """
    body = {"partitions": partitions, "options": {"jobs": at_once}}
    connection.request("POST", "/api/v1/builds", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != http.client.OK:
        raise BrokenRunError(f"a submission was refused: {text[:500]!r}")
    return str(json.loads(text)["build_request_id"])


def watch(connection: http.client.HTTPConnection, build: str, after: int = 0) -> Iterator[tuple[float, dict[str, Any]]]:
    """Yields the events of a build after a sequence number, each with when it came; ends with the build."""
    connection.request("GET", f"/api/v1/builds/{build}/watch?after_sequence={after}")
    for line in connection.getresponse():
        if line.startswith(b"data: {"):
            came = time.time()
            event = json.loads(line[6:])
            if event:
                yield came, event
