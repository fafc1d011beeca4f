"""Makes plans for the commands that show what would be done."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from databuild.cli.invocation import Invocation
from databuild.executors.local import LocalExecutor
from databuild.model.job_graph import Plan
from databuild.model.records import PartitionRecord
from databuild.orchestration.run_build import make_plan
from databuild.orchestration.settings import Settings


class NothingKnown:
    """A reader that knows of no partition, so that planning goes all the way up."""

    def partition_records(self, _refs: Collection[str], /) -> Mapping[str, PartitionRecord]:
        """Returns nothing."""
        return {}


def settings(call: Invocation) -> Settings:
    """Returns where job processes run and what they leave behind."""
    return Settings(working_directory=call.cwd, log_directory=call.log_dir)


def plan_for(
    call: Invocation,
    requested: Sequence[str],
    *,
    force: bool = False,
    reuse_stale: bool = False,
    reader: Any = None,
) -> Plan:
    """Makes the plan for partitions; nothing is left behind.

    Args:
        call: The invocation.
        requested: What is asked for, ranges expanded.
        force: Whether to plan what was requested even if it is fresh.
        reuse_stale: Whether to use stale partitions as they are.
        reader: What to look partitions up in, instead of the event log.
    """
    catalog = call.catalog()
    made: list[Plan] = []

    async def make() -> None:
        made.append(
            await make_plan(
                requested,
                catalog=catalog,
                reader=reader or call.reader(),
                executor=LocalExecutor(base_env=call.environ),
                settings=settings(call),
                force=force,
                reuse_stale=reuse_stale,
            )
        )

    # The plan is not made the result, since asyncio.run prints that into a string nobody sees: a second for 100,000
    # partitions.
    asyncio.run(make())
    return made[0]
