"""Plans that are made in this process, for `plan`, `explain`, `graph` and `check`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from databuild.cli import quick_asyncio
from databuild.cli.backend.build_settings import build_settings
from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.planning_display import PlanningDisplay
from databuild.executors.local import LocalExecutor
from databuild.graph.ports import PartitionRecords
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import Plan
from databuild.model.records import FailureRecord, PartitionRecord
from databuild.orchestration.build.make_plan import make_plan
from databuild.orchestration.coordination.dead_builds import find_dead_builds

if TYPE_CHECKING:
    from databuild.event_log.reads import Reader


class RecordsWithoutDeadBuilds:
    """The records that a build would find. Before planning, a build ends all builds whose orchestrators have died."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._dead = find_dead_builds(reader)
        self._is_empty = not reader.partition_counts()

    def partition_records(self, refs: Collection[str], /) -> Mapping[str, PartitionRecord]:
        if self._is_empty:  # before the first build of a large graph, not to ask for each of its partitions
            return {}
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


def plan_for(
    call: Invocation,
    requested: Sequence[str],
    *,
    options: PlanOptions | None = None,
    reader: PartitionRecords,
    past: Reader | None = None,
    verify: str = "none",
    digests: bool = False,
) -> Plan:
    """Makes the plan for partitions, and records nothing.

    Args:
        call: The invocation.
        requested: The refs of the requested partitions.
        options: The options of the plan; None for the defaults.
        reader: Reads the records of partitions.
        past: Reads the configurations of past builds, so that reasons name what has changed, and the places of data;
            None to leave both out.
        verify: The data to look for in its store, one of `VERIFY_POLICIES`. Lost data is planned to be rebuilt.
        digests: True for tasks with configuration digests, which take time to compute.
    """
    catalog = call.catalog()
    display = PlanningDisplay(call.err, call.environ)

    async def make() -> Plan:
        showing = asyncio.create_task(display.show(), name="progress")
        executor = LocalExecutor(base_env=call.job_environ)

        async def plan_with(records: PartitionRecords) -> Plan:
            return await make_plan(
                requested,
                catalog=catalog,
                reader=records,
                executor=executor,
                settings=build_settings(call),
                options=options or PlanOptions(),
                observer=display,
                past=past,
                digests=digests,
            )

        try:
            if past is None or verify == "none":
                plan = await plan_with(reader)
            else:
                from databuild.orchestration.build.data_checks import job_look
                from databuild.orchestration.stores.planned_losses import plan_without_losses

                plan = await plan_without_losses(
                    plan_with,
                    records=reader,
                    stored=past,
                    verify=verify,
                    extensions=catalog.extensions,
                    jobs=job_look(catalog, past, executor, build_settings(call)),
                )
                for warning in plan.warnings:
                    display.warned(warning)
        finally:
            showing.cancel()
            display.end()
            await executor.close()
        call.kept.append(plan)
        return plan

    return quick_asyncio.run(make())
