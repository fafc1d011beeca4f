"""The display of progress on a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import struct
import termios
import threading
from fcntl import ioctl

import pytest

from databuild.cli.display.live_progress import LiveProgress
from databuild.cli.display.output import Output
from databuild.model.build_counts import BuildCounts
from tests.support.half_done import JOB, events
from tests.support.waiting import wait_until


class Screen:
    """A pseudo-terminal, and the text that was written to it."""

    def __init__(self, columns: int) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(columns)
        self.written = bytearray()
        threading.Thread(target=self._read, daemon=True).start()

    def resize(self, columns: int) -> None:
        ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))

    def size(self) -> os.terminal_size:
        return os.get_terminal_size(self.slave)

    def _read(self) -> None:
        while True:
            try:
                self.written += os.read(self.master, 65536)
            except OSError:
                return

    def wait_for(self, text: str, after: int = 0) -> None:
        """Waits until a text has been written."""
        wait_until(lambda: text.encode() in self.written[after:])


def test_a_terminal_that_is_resized_is_drawn_for_its_new_width(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(100)
    for variable in ("COLUMNS", "LINES", "NO_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    # The console takes the size from the standard streams, which belong to pytest here.
    standard = os.dup(0)
    os.dup2(screen.slave, 0)
    stream = open(screen.slave, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    try:
        progress = LiveProgress(BuildCounts(lambda: 0.0), Output(stream))
        progress.start()
        for event in events():
            progress.on_event(event)
        screen.wait_for(f"{JOB} 12.1")
        screen.resize(30)
        before = len(screen.written)
        screen.wait_for("…", before)
        progress.warned("//:a has no end")
        progress.stop()
        stream.flush()
        screen.wait_for("\x1b[?25h")  # the cursor is visible again
    finally:
        os.dup2(standard, 0)
        os.close(standard)
        stream.close()

    text = screen.written.decode()
    assert text.count("warning: //:a has no end") == 1
    assert "FAILED" in text
