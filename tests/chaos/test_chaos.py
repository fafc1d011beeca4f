"""Builds that are killed, paused or cut off at any moment never produce the same partition twice."""

from __future__ import annotations

import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path

from databuild.event_log.open import open_reader
from tests.chaos.history import History, read_notes
from tests.chaos.rounds import Round, check_round, run_round
from tests.support.stores import Store

ROUNDS = 25


def test_each_partition_is_made_once_whatever_happens_to_builds(
    store: Store,
    tmp_path: Path,
    processes: ForkServerContext,
    seed: int,
    restart: Callable[[signal.Signals], None] | None,
) -> None:
    chaos = Round(processes, seed, store.uri, tmp_path, restart)
    run_round(chaos, tmp_path)
    reader = open_reader(store.uri)
    history = History(reader)
    check_round(chaos, history)
    history.check_runs(read_notes(tmp_path / "notes"))
    reader.close()
