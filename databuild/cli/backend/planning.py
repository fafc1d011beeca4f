"""Makes plans for the commands that show what would be done."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.progress import TICK_SECONDS, Progress, progress_for
from databuild.executors.local import LocalExecutor
from databuild.graph.ports import PartitionRecords
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import Plan
from databuild.model.planning import PlanningProgress
from databuild.model.records import FailureRecord, PartitionRecord
from databuild.orchestration.build.make_plan import make_plan
from databuild.orchestration.build.settings import Settings
from databuild.orchestration.coordination.dead_builds import find_dead_builds

if TYPE_CHECKING:
    from databuild.event_log.reads import Reader


class NothingKnown:
    """A reader that knows of no partition, so that planning goes all the way up."""

    def partition_records(self, _refs: Collection[str], /) -> Mapping[str, PartitionRecord]:
        """Returns nothing."""
        return {}


class WithoutTheDead:
    """A reader of what a build would find once it has ended those whose orchestrators have died."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._dead = find_dead_builds(reader)

    def partition_records(self, refs: Collection[str], /) -> Mapping[str, PartitionRecord]:
        """Returns what is known of partitions, nothing of them being produced by the dead."""
        records = self._reader.partition_records(refs)
        if not self._dead:
            return records
        return {ref: self._ended(record) for ref, record in records.items()}

    def _ended(self, record: PartitionRecord) -> PartitionRecord:
        dead = self._dead.get(record.claimed_by_build_request_id)
        if dead is None:
            return record
        return record._replace(
            claimed_by_build_request_id="", status="FAILED", failure=FailureRecord("INFRASTRUCTURE", dead.fault)
        )


def settings(call: Invocation) -> Settings:
    """Returns where job processes run and what they leave behind."""
    return Settings(working_directory=call.cwd, log_directory=call.log_dir)


class ShownPlanning:
    """Shows how planning goes, once it has taken a while: most plans are made before anything need be shown."""

    def __init__(self, call: Invocation) -> None:
        """Takes the invocation, which knows where to show it."""
        self._call = call
        self._latest = PlanningProgress()
        self._progress: Progress | None = None

    def planning(self, progress: PlanningProgress) -> None:
        """Takes how far planning is."""
        self._latest = progress
        if self._progress is not None:
            self._progress.planning(progress)

    def warned(self, warning: str) -> None:
        """Writes a warning."""
        if self._progress is not None:
            self._progress.warned(warning)
        else:
            print_warnings(self._call, [warning])

    async def show(self) -> None:
        """Shows it from the first second on."""
        await asyncio.sleep(TICK_SECONDS)
        self._progress = progress = progress_for(self._call.err, self._call.environ)
        progress.counts.phase = "planning"
        progress.planning(self._latest)
        progress.start()
        while True:
            progress.tick()
            await asyncio.sleep(TICK_SECONDS)

    def end(self) -> None:
        """Takes away what is drawn."""
        if self._progress is not None:
            self._progress.stop()


def print_warnings(call: Invocation, warnings: Sequence[str]) -> None:
    """Writes warnings where everything goes that is not the result."""
    for warning in warnings:
        call.err.line(f"databuild: warning: {warning}")
    call.err.flush()


def plan_for(
    call: Invocation,
    requested: Sequence[str],
    *,
    options: PlanOptions | None = None,
    reader: PartitionRecords,
    past: Reader | None = None,
) -> Plan:
    """Makes the plan for partitions; nothing is left behind.

    Args:
        call: The invocation.
        requested: What is asked for, ranges expanded.
        options: The options of the plan; None for the defaults.
        reader: What to look partitions up in.
        past: Reads the configurations of past builds, for reasons; None to leave them out.
    """
    catalog = call.catalog()
    made: list[Plan] = []
    shown = ShownPlanning(call)

    async def make() -> None:
        showing = asyncio.create_task(shown.show(), name="progress")
        try:
            plan = await make_plan(
                requested,
                catalog=catalog,
                reader=reader,
                executor=LocalExecutor(base_env=call.job_environ),
                settings=settings(call),
                options=options or PlanOptions(),
                observer=shown,
                past=past,
            )
        finally:
            showing.cancel()
            shown.end()
        made.append(plan)

    # The plan is not made the result, since asyncio.run prints that into a string nobody sees: a second for 100,000
    # partitions.
    asyncio.run(make())
    return made[0]
