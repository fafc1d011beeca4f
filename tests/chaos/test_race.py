"""Two processes that request the same partitions at the same moment produce each of them once."""

from __future__ import annotations

from collections import Counter
from multiprocessing.context import ForkServerContext
from pathlib import Path

from databuild.event_log.open import open_event_log, open_reader
from databuild.graph.claim_ahead import SHORT_SECONDS
from tests.chaos import racing
from tests.chaos.history import History, read_notes
from tests.support.present import present
from tests.support.stores import Store
from tests.support.waiting import until

ROUNDS = 3
PARTITIONS = 1000


async def test_of_two_processes_that_race_one_makes_each_partition(
    store: Store, tmp_path: Path, processes: ForkServerContext, seed: int
) -> None:
    await open_event_log(store.uri).close()  # creates the tables
    refs = tuple(f"raw/{number}" for number in range(PARTITIONS))
    # Short job runs are claimed in batches, so that one build takes the lead; for longer ones, each claim is a race.
    args = (str(tmp_path), refs, (seed % 2) * 1.2 * SHORT_SECONDS)
    racers = [processes.Process(target=racing.race, args=(store.uri, name, *args)) for name in ("one", "two")]
    for racer in racers:
        racer.start()

    def ready() -> bool:
        assert all(racer.is_alive() for racer in racers)
        return len(list(tmp_path.glob("*.ready"))) == 2

    await until(ready)
    Path(tmp_path, "go").touch()
    for racer in racers:
        racer.join()
    runs = read_notes(tmp_path / "notes")
    reader = open_reader(store.uri)
    history = History(reader)
    builds = [reader.build(name) for name in ("one", "two")]

    assert [racer.exitcode for racer in racers] == [0, 0]
    assert [present(build).status for build in builds] == ["COMPLETED", "COMPLETED"]
    assert Counter(ref for run in runs.values() for ref in run.refs) == Counter(refs)
    assert sum(present(build).jobs_completed for build in builds) == PARTITIONS == len(history.made)
    history.check()
    history.check_runs(runs)
    reader.close()
