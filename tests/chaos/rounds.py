"""Rounds of chaos: concurrent builds, and faults of the builds and the server, chosen by a seed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import TypeAlias

from databuild.model.build_options import BuildKeywords
from tests.chaos import building
from tests.chaos.history import History
from tests.support.present import present
from tests.support.waiting import wait_until

AT_ONCE = 8
MAX_BUILDS = 12
PAUSE_SECONDS = (0.1, 1.8 * building.LEASE_SECONDS)
CHAOS_SECONDS = 0.8
MAX_SECONDS = 120
Fault: TypeAlias = Callable[[Sequence[ForkServerProcess]], None]
"""Causes a fault, given the processes of builds that live."""

_MARK = b"DATABUILD_BUILD_REQUEST_ID="


class Round:
    """One round.

    Attributes:
        builds: The processes of builds, by id.
        happened: The faults so far, for the message of a failed test.
        seed: The number that chooses the faults.
        at_once: The number of builds at once.
        chaos_seconds: The time for which faults are caused.
        options: The options of all builds.
        target: The function that runs a build.
    """

    target = staticmethod(building.build)
    at_once = AT_ONCE
    chaos_seconds = CHAOS_SECONDS

    def __init__(
        self,
        processes: ForkServerContext,
        seed: int,
        uri: str,
        folder: Path,
        restart: Callable[[signal.Signals], None] | None = None,
    ) -> None:
        """Starts nothing yet.

        Args:
            processes: Starts processes.
            seed: Chooses the faults.
            uri: An empty event log.
            folder: An empty folder.
            restart: Restarts the server; None if the log has no server.
        """
        self.builds: dict[str, ForkServerProcess] = {}
        self.happened: list[str] = []
        self.options: BuildKeywords = {}
        self.seed = seed
        self._processes = processes
        self._random = random.Random(seed)
        self._uri = uri
        self._folder = folder
        self._restart = restart
        self._paused: dict[int, float] = {}
        self._prefix = f"c{os.getpid()}x{seed}-{folder.name}"

    def run(self) -> None:
        """Causes all faults, and waits until every build has ended and one more build has completed the rest."""
        try:
            for _ in range(self.at_once):
                self._start()
            until = time.monotonic() + self.chaos_seconds
            while time.monotonic() < until:
                time.sleep(self._random.uniform(0, 0.05))  # the times of the faults are random, by the seed
                self._let_something_happen()
                self._go_on(time.monotonic())
            self._go_on(until + MAX_SECONDS)
            self._join()
            self._start(building.EVERYTHING, pace=0)
            self._join()
            self._wait_until_nobody_is_left()
        finally:
            self._end_all()

    def _start(self, requested: tuple[str, ...] | None = None, pace: float | None = None) -> None:
        name = f"{self._prefix}-{len(self.builds)}"
        options = {"jobs": self._random.randint(1, 3), "keep_going": self._random.random() < 0.5, **self.options}
        refs = self._random.sample(building.EVERYTHING, self._random.randint(1, 6))
        requested = requested or tuple(refs)
        pace = self._random.choice([0.01, 0.03, 0.1]) if pace is None else pace
        args = (self._uri, name, str(self._folder), requested, pace)
        process = self._processes.Process(target=self.target, args=args, kwargs=options, name=name)
        self.builds[name] = process
        process.start()

    def _let_something_happen(self) -> None:
        living = [process for process in self.builds.values() if process.is_alive()]
        if len(living) < self.at_once and len(self.builds) < MAX_BUILDS:
            self._start()
        faults = self._faults()
        what = self._random.choices(list(faults), list(faults.values()))[0]
        what(living)

    def _faults(self) -> Mapping[Fault, int]:
        """Returns the faults with their weights."""
        return {
            self._kill: 3,
            self._pause: 6,
            self._kill_a_job: 4,
            self._pause_a_job: 2,
            self._restart_server: 1,
        }

    def _kill(self, living: Sequence[ForkServerProcess]) -> None:
        if living:
            process = self._random.choice(living)
            self._note("kill", process.name)
            process.kill()

    def _pause(self, living: Sequence[ForkServerProcess]) -> None:
        if living:
            process = self._random.choice(living)
            self._signal(present(process.pid), signal.SIGSTOP)
            self._note("pause", process.name)

    def _kill_a_job(self, _living: Sequence[ForkServerProcess]) -> None:
        if jobs := self._job_processes():
            pid = self._random.choice(jobs)
            self._note("kill job", pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _pause_a_job(self, _living: Sequence[ForkServerProcess]) -> None:
        if jobs := self._job_processes():
            pid = self._random.choice(jobs)
            self._note("pause job", pid)
            self._signal(pid, signal.SIGSTOP)

    def _restart_server(self, _living: Sequence[ForkServerProcess]) -> None:
        if self._restart is not None and len(self.builds) > AT_ONCE:
            how = self._random.choice([signal.SIGINT, signal.SIGQUIT])
            self._note("restart", how.name)
            self._restart(how)

    def _signal(self, pid: int, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            if number == signal.SIGSTOP:
                self._paused[pid] = time.monotonic() + self._random.uniform(*PAUSE_SECONDS)

    def _go_on(self, now: float) -> None:
        """Resumes the processes that are due, in whichever pause they are."""
        for pid, until in tuple(self._paused.items()):
            if until <= now:
                del self._paused[pid]
                self._signal(pid, signal.SIGCONT)

    def _join(self) -> None:
        """Waits for the end of every build."""
        until = time.monotonic() + MAX_SECONDS
        for name, process in self.builds.items():
            process.join(max(0.0, until - time.monotonic()))
            assert process.exitcode is not None, f"{name} does not end"

    def _wait_until_nobody_is_left(self) -> None:
        # Watchdogs have the build in their arguments.
        builds = [_MARK + build.encode() for build in self.builds]
        wait_until(lambda: not (self._job_processes() or _processes_with("cmdline", builds)))

    def _job_processes(self) -> list[int]:
        """Returns the processes of jobs, and the workers, which serve any build of their orchestrator."""
        return sorted(_processes_with("environ", [f"CHAOS_FOLDER={self._folder}".encode()]))

    def _end_all(self) -> None:
        """Kills all processes that are left."""
        for process in self.builds.values():
            if process.is_alive():
                process.kill()
            process.join()
        for pid in self._job_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _note(self, what: str, whom: object) -> None:
        self.happened.append(f"{what} {whom}")


def _processes_with(place: str, texts: Sequence[bytes]) -> list[int]:
    """Returns the processes with one of some texts among their variables or arguments."""
    found = []
    for path in Path("/proc").glob(f"[0-9]*/{place}"):
        with contextlib.suppress(OSError):
            if not set(texts).isdisjoint(path.read_bytes().split(b"\0")):
                found.append(int(path.parent.name))
    return found


def run_round(chaos: Round, folder: Path) -> None:
    """Runs a round, and prints what happened and the output of each build."""
    try:
        chaos.run()
    finally:
        print(f"seed {chaos.seed}:", *chaos.happened, sep="\n  ")
        for name, process in chaos.builds.items():
            said = folder / f"{name}.said"
            print(name, process.exitcode, said.read_text(encoding="utf-8") if said.exists() else "")


def check_round(chaos: Round, history: History) -> None:
    """Checks the ends of the builds of a round, and that they have made everything."""
    *victims, last = chaos.builds.values()
    allowed = {-9, building.BUILT, building.FAILED, building.REFUSED, building.UNWRITTEN}
    assert {process.exitcode for process in victims} <= allowed
    assert last.exitcode == building.BUILT
    assert sorted(history.made) == sorted(building.EVERYTHING)
    history.check()
