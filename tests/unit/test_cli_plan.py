"""Plans of the command line: reading of records, and garbage collection."""

from __future__ import annotations

import gc
from collections.abc import Collection, Mapping
from pathlib import Path

from databuild.cli.backend.local_plan import RecordsWithoutDeadBuilds
from databuild.event_log.sqlite.reader import SqliteReader
from databuild.executors.local import LocalExecutor
from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.declared.declaration import Declaration
from databuild.model.records import PartitionRecord
from databuild.orchestration.build.make_plan import make_plan
from databuild.orchestration.build.settings import Settings


class CountedReader(SqliteReader):
    """Counts the partitions whose records it is asked for, and has a number of records."""

    def __init__(self, path: Path, counts: Mapping[str, int]) -> None:
        super().__init__(str(path / "events.db"))
        self.asked = 0
        self._counts = counts

    def partition_counts(self) -> Mapping[str, int]:
        return self._counts

    def partition_records(self, refs: Collection[str]) -> Mapping[str, PartitionRecord]:
        self.asked += len(refs)
        return super().partition_records(refs)


def test_no_partition_is_looked_up_in_an_empty_event_log(tmp_path: Path) -> None:
    empty, filled = CountedReader(tmp_path, {}), CountedReader(tmp_path, {"AVAILABLE": 1})

    for reader in (empty, filled):
        assert RecordsWithoutDeadBuilds(reader).partition_records(["a", "b"]) == {}

    assert (empty.asked, filled.asked) == (0, 2)


async def test_garbage_is_collected_again_after_a_plan_without_it(tmp_path: Path) -> None:
    collecting: list[bool] = []

    class Reader:
        def partition_records(self, _: Collection[str]) -> Mapping[str, PartitionRecord]:
            collecting.append(gc.isenabled())
            return {}

    job = Job(label="//:a", executable="x", outputs=("a/{n:int}",), declaration=Declaration())
    for gc_while_planning in (True, False):
        await make_plan(
            ["a/1"],
            catalog=JobCatalog(graph_label="//:g", jobs={job.label: job}),
            reader=Reader(),
            executor=LocalExecutor(base_env={}),
            settings=Settings(
                working_directory=str(tmp_path), log_directory=str(tmp_path), gc_while_planning=gc_while_planning
            ),
        )

    assert collecting == [True, False]
    assert gc.isenabled()
