"""Builds that are killed, paused or cut off at any moment never produce the same partition twice."""

from __future__ import annotations

import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path

from databuild.event_log.open import open_reader
from tests.chaos import building
from tests.chaos.history import History, read_notes
from tests.chaos.rounds import Round
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
    try:
        chaos.run()
    finally:
        print(f"seed {seed}:", *chaos.happened, sep="\n  ")
        for name, process in chaos.builds.items():
            said = tmp_path / f"{name}.said"
            print(name, process.exitcode, said.read_text(encoding="utf-8") if said.exists() else "")
    reader = open_reader(store.uri)
    history = History(reader)
    *victims, last = chaos.builds.values()

    assert {process.exitcode for process in victims} <= {
        -9,
        building.BUILT,
        building.FAILED,
        building.REFUSED,
        building.UNWRITTEN,
    }
    assert last.exitcode == building.BUILT
    assert sorted(history.made) == sorted(building.EVERYTHING)
    history.check()
    history.check_runs(read_notes(tmp_path / "notes"))
    reader.close()
