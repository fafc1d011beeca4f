"""The state of its process that a worker restores after each request."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from databuild.job.process_state import ProcessState


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> ProcessState:
    monkeypatch.setenv("KEPT", "before")
    monkeypatch.setenv("REMOVED", "\udcff")  # not UTF-8
    return ProcessState()


def test_the_environment_is_that_of_the_start(state: ProcessState) -> None:
    os.environ.update(KEPT="after", ADDED="new")
    del os.environ["REMOVED"]
    state.restore()

    assert dict(os.environ) == state.variables
    # As a process that the next request starts sees it.
    assert subprocess.run(["sh", "-c", "echo $KEPT$ADDED"], capture_output=True, check=True).stdout == b"before\n"


def test_an_environment_that_was_cleared_is_restored(state: ProcessState) -> None:
    os.environ.clear()
    state.restore()

    assert dict(os.environ) == state.variables


def test_signal_handlers_are_those_of_the_start(state: ProcessState) -> None:
    before = signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    state.restore()

    assert (signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGINT)) == before


def test_the_rest_of_the_process_is_as_at_the_start(state: ProcessState, tmp_path: Path) -> None:
    folder, umask, stdout = Path.cwd(), os.umask(0o022), sys.stdout
    os.umask(umask)
    os.chdir(tmp_path)
    os.umask(0o777)
    signal.alarm(1000)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    sys.stdout = sys.stderr
    state.restore()
    now = os.umask(umask)

    assert Path.cwd() == folder
    assert now == umask
    assert signal.alarm(0) == 0
    assert signal.SIGUSR1 not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert sys.stdout is stdout
