"""Rounds of chaos in which processes delete and forget data beside builds, and are killed and paused as well."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from databuild.event_log.reads import Reader
from databuild.model.store_check import StoreCheckOptions
from databuild.orchestration.stores.selection import Selection
from databuild.orchestration.stores.verification import verify_part
from tests.chaos import building, removing
from tests.chaos.history import check_log
from tests.chaos.rounds import MAX_SECONDS, Fault, Round
from tests.support.present import present

_REMOVERS = 2
_MAX_REMOVERS = 8


class RemovalRound(Round):
    """One round.

    Attributes:
        removers: The processes that remove data.
    """

    target = staticmethod(building.build_with_reports)
    at_once = 4
    chaos_seconds = 2.0

    def __init__(
        self,
        processes: ForkServerContext,
        seed: int,
        uri: str,
        folder: Path,
        restart: Callable[[signal.Signals], None] | None = None,
    ) -> None:
        """Starts nothing yet; see `Round`."""
        super().__init__(processes, seed, uri, folder, restart)
        self.options = {"verify": "all"}
        self.removers: list[ForkServerProcess] = []

    def _let_something_happen(self) -> None:
        living = [process for process in self.removers if process.is_alive()]
        if len(living) < _REMOVERS and len(self.removers) < _MAX_REMOVERS:
            self._start_remover()
        super()._let_something_happen()

    def _start_remover(self) -> None:
        name = f"{self._prefix}-r{len(self.removers)}"
        args = (self._uri, name, str(self._folder), self._random.randrange(1_000_000))
        process = self._processes.Process(target=removing.remove, args=args, name=name)
        self.removers.append(process)
        process.start()

    def _faults(self) -> Mapping[Fault, int]:
        return {
            self._kill: 2,
            self._kill_a_remover: 3,
            self._pause_a_remover: 4,
            self._kill_a_job: 2,
            self._restart_server: 1,
        }

    def _kill_a_remover(self, _living: Sequence[ForkServerProcess]) -> None:
        if living := [process for process in self.removers if process.is_alive()]:
            process = self._random.choice(living)
            self._note("kill", process.name)
            process.kill()

    def _pause_a_remover(self, _living: Sequence[ForkServerProcess]) -> None:
        if living := [process for process in self.removers if process.is_alive()]:
            process = self._random.choice(living)
            self._note("pause", process.name)
            self._signal(present(process.pid), signal.SIGSTOP)

    def _join(self) -> None:
        """Waits for the end of every build and every removal."""
        super()._join()
        until = time.monotonic() + MAX_SECONDS
        for process in self.removers:
            process.join(max(0.0, until - time.monotonic()))
            assert process.exitcode is not None, f"{process.name} does not end"

    def _end_all(self) -> None:
        for process in self.removers:
            if process.is_alive():
                process.kill()
            process.join()
        super()._end_all()


def check_removal_round(chaos: RemovalRound, reader: Reader) -> None:
    """Checks the ends of a round: the last build has made everything, and all of its data is there."""
    *victims, last = chaos.builds.values()
    allowed = {-9, building.BUILT, building.FAILED, building.REFUSED, building.UNWRITTEN}
    assert {process.exitcode for process in victims} <= allowed
    assert {process.exitcode for process in chaos.removers} <= {-9, building.BUILT, building.UNWRITTEN}
    assert last.exitcode == building.BUILT
    check_log(reader)
    records = reader.partition_records(building.EVERYTHING)
    assert {ref for ref, record in records.items() if record.available} == set(building.EVERYTHING)
    part = verify_part(reader, Selection((), tuple), StoreCheckOptions(), author="ann")
    assert (part.check.checked, part.check.findings) == (len(building.EVERYTHING), ())
    for ref, record in records.items():
        place = Path(present(record.location).uri.removeprefix("file://"))
        assert place.read_text(encoding="utf-8") == f"{record.job_run_id}\n", ref
