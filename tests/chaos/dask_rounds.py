"""Rounds of chaos over Dask: besides the builds, its workers and its scheduler are killed and paused."""

from __future__ import annotations

import math
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from databuild.v1 import events_pb2 as ev
from tests.chaos.rounds import Fault, Round
from tests.engines.cluster import Cluster

_WORKERS = 2


class DaskRound(Round):
    """One round over a cluster of its own."""

    at_once = 3
    chaos_seconds = 4.0

    def __init__(self, processes: ForkServerContext, seed: int, uri: str, folder: Path, cluster: Cluster) -> None:
        """Starts nothing yet; see `Round`.

        Args:
            processes: Starts processes.
            seed: Chooses the faults.
            uri: An empty event log.
            folder: An empty folder.
            cluster: The cluster.
        """
        super().__init__(processes, seed, uri, folder)
        self.options = {"executor": cluster.uri}
        self._cluster = cluster

    def _faults(self) -> Mapping[Fault, int]:
        return {
            self._kill: 6,
            self._pause: 6,
            self._kill_a_job: 3,
            self._pause_a_job: 3,
            self._kill_a_worker: 2,
            self._pause_a_worker: 3,
            self._pause_the_scheduler: 2,
            self._kill_the_scheduler: 1,
        }

    def _kill_a_worker(self, _living: Sequence[ForkServerProcess]) -> None:
        worker = self._random.choice(self._cluster.workers)
        self._note("kill worker", worker.pid)
        self._cluster.kill(worker)
        self._go_on(math.inf)  # a paused scheduler would not register the next one
        self._cluster.start_worker()

    def _pause_a_worker(self, _living: Sequence[ForkServerProcess]) -> None:
        worker = self._random.choice(self._cluster.workers)
        self._note("pause worker", worker.pid)
        self._signal(worker.pid, signal.SIGSTOP)

    def _pause_the_scheduler(self, _living: Sequence[ForkServerProcess]) -> None:
        self._note("pause scheduler", self._cluster.scheduler.pid)
        self._signal(self._cluster.scheduler.pid, signal.SIGSTOP)

    def _kill_the_scheduler(self, _living: Sequence[ForkServerProcess]) -> None:
        self._note("kill scheduler", self._cluster.scheduler.pid)
        self._cluster.kill(self._cluster.scheduler)
        for worker in tuple(self._cluster.workers):
            self._cluster.kill(worker)
        self._cluster.start_scheduler()
        for _ in range(_WORKERS):
            self._cluster.start_worker()


def check_job_runs(events: Sequence[ev.BuildEvent], notes: Path) -> None:
    """Checks that each job run has started at most once, and has one end."""
    starts = Counter(line.split()[2] for line in notes.read_text(encoding="utf-8").splitlines() if line[:6] == "start ")
    handles = Counter(event.placement.job_run_id for event in events if event.placement.handle)
    scheduled = {event.job.job_run_id for event in events if event.job.status == ev.JOB_STATUS_SCHEDULED}
    ends = Counter(
        event.job.job_run_id
        for event in events
        if event.job.status not in {ev.JOB_STATUS_UNSPECIFIED, ev.JOB_STATUS_SCHEDULED, ev.JOB_STATUS_RUNNING}
    )
    assert {run: count for run, count in starts.items() if count > 1} == {}, "started twice"
    assert {run: count for run, count in handles.items() if count > 1} == {}, "submitted twice"
    assert {run: count for run, count in ends.items() if count > 1} == {}, "ended twice"
    assert scheduled <= set(ends), "without an end"
