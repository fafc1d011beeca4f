"""A service in a process of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.processes import BrokenRunError

FLAGS = ("--port=0", "--grpc_port=0", "--output=json", "--drain_seconds=600")
"""What the command `serve` is to be given."""


class Service:
    """A service in a process of its own, which listens where it likes."""

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
        self._address = json.loads(line)["http"].removeprefix("http://")

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
