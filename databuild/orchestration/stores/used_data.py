"""The data that a build is about to use as it is: looks whether it is still in its store."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from databuild.event_log.reads import StoredDataReads
from databuild.model.job_graph import Plan
from databuild.model.pacing import slices
from databuild.orchestration.stores.look import Look

_PART: Final = 5000
"""The number of partitions that are looked for at once. Reading their places blocks the event loop."""


class UsedData:
    """Looks for data of other builds, each partition once."""

    def __init__(self, reader: StoredDataReads, policy: str) -> None:
        """Looks at nothing yet.

        Args:
            reader: Reads the places of data.
            policy: The data to look for, one of `VERIFY_POLICIES`.
        """
        self._reader = reader
        self._policy = policy
        self._seen: set[str] = set()

    async def missing_of(self, plan: Plan) -> Mapping[str, str]:
        """Returns the versions of the data that a plan would use as it is and that is missing, by ref.

        Partitions that were looked for in an earlier plan of the same build are left out.

        Raises:
            EventLogError: The places cannot be read.
        """
        missing: dict[str, str] = {}
        if self._policy == "none":
            return missing
        unseen = [ref for ref in self._used_by(plan) if ref not in self._seen]
        self._seen.update(unseen)
        for refs in slices(unseen, _PART):
            data = self._reader.stored_data_of(refs)
            if not any(one.location is not None for one in data):
                continue
            look = await asyncio.to_thread(Look, data)
            versions = {one.ref: one.version for one in data}
            missing |= {found.ref: versions[found.ref] for found in look.findings if found.kind == "missing"}
        return missing

    def _used_by(self, plan: Plan) -> Iterator[str]:
        inputs: Collection[str] = plan.versions if self._policy != "all" else ()
        for partition in plan.partitions:
            if partition.task_id or not partition.version:
                continue
            if (
                self._policy == "all"
                or partition.ref in inputs
                or (self._policy == "requested" and partition.requested)
            ):
                yield partition.ref
