"""Runs programs in processes that a server with their modules forks.

This takes less than a Python for each, and is for tests of many commands. Others test how a command starts.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import Any, TextIO


class ForkedProgram:
    """A process with the interface of `subprocess.Popen` that tests use. Its input is empty."""

    def __init__(
        self, server: ForkServerContext, program: str, arguments: Sequence[str], environ: Mapping[str, str]
    ) -> None:
        """Starts the process.

        Args:
            server: The server, which has imported the modules of the program.
            program: The code of the program.
            arguments: Its arguments.
            environ: Its environment variables.
        """
        out, out_end = server.Pipe(duplex=False)
        err, err_end = server.Pipe(duplex=False)
        self._process = server.Process(target=_run, args=(program, list(arguments), dict(environ), out_end, err_end))
        with out, err, out_end, err_end:
            self._process.start()
            self.stdout, self.stderr = _open(out), _open(err)
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | Any:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end of the process, and returns its exit code."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Waits for the end of the process, and returns the rest of its output and error output."""
        with ThreadPoolExecutor(2) as readers:
            texts = [readers.submit(_rest, file) for file in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()  # so that the readers end
                raise
            return texts[0].result(), texts[1].result()


def _open(end: Connection) -> TextIO:
    return os.fdopen(os.dup(end.fileno()), encoding="utf-8")


def _rest(file: TextIO) -> str:
    if file.closed:
        return ""
    with file:
        return file.read()


def _run(program: str, arguments: list[str], environ: dict[str, str], out: Connection, err: Connection) -> None:
    """Runs a program in this process, which a fork server has forked."""
    for end, number in ((out, 1), (err, 2)):
        os.dup2(end.fileno(), number)
        end.close()
    os.environ.clear()
    os.environ.update(environ)
    sys.argv[:] = ["-c", *arguments]
    exec(program, {"__name__": "__main__", "__builtins__": __builtins__})
