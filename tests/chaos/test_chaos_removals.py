"""Data that is deleted and forgotten beside builds, at any moment, is rebuilt when something needs it."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path

from databuild.event_log.open import open_reader
from tests.chaos.removal_rounds import RemovalRound, check_removal_round
from tests.chaos.rounds import run_round
from tests.support.stores import Store

ROUNDS = 6


def test_no_data_is_gone_that_the_log_has_whatever_happens_to_builds_and_removals(
    store: Store,
    tmp_path: Path,
    processes: ForkServerContext,
    seed: int,
    restart: Callable[[signal.Signals], None] | None,
) -> None:
    chaos = RemovalRound(processes, seed, store.uri, tmp_path, restart)
    run_round(chaos, tmp_path)
    with contextlib.closing(open_reader(store.uri)) as reader:
        check_removal_round(chaos, reader)
