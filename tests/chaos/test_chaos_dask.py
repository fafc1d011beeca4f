"""Builds over Dask whose orchestrators, workers and scheduler are killed or paused at any moment."""

from __future__ import annotations

import contextlib
from multiprocessing.context import ForkServerContext
from pathlib import Path

from databuild.event_log.open import open_reader
from tests.chaos.dask_rounds import DaskRound, check_job_runs
from tests.chaos.history import History
from tests.chaos.rounds import check_round, run_round
from tests.engines.cluster import Cluster

ROUNDS = 3


def test_each_job_run_starts_once_and_ends_once_whatever_happens_to_the_cluster(
    tmp_path: Path, processes: ForkServerContext, seed: int
) -> None:
    uri = f"sqlite:{tmp_path}/events.db"
    with Cluster() as cluster:
        chaos = DaskRound(processes, seed, uri, tmp_path, cluster)
        run_round(chaos, tmp_path)
    with contextlib.closing(open_reader(uri)) as reader:
        check_round(chaos, History(reader))
        check_job_runs([event for _, event in reader.all_events(limit=1_000_000)], tmp_path / "notes")
