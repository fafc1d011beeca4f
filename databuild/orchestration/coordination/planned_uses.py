"""Partitions that open builds have planned to read or to make, so that their data must stay."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from databuild.event_log.reads import BuildReads
from databuild.model import statuses
from databuild.model.paging import read_rows
from databuild.model.records import BuildRecord
from databuild.v1 import plan_pb2


class PlannedUses:
    """The partitions of the plans of all open builds.

    All tasks of a build count until the build ends: one that has ended may run again for an output that is lost.

    Attributes:
        planning: The builds that are planning. Nothing is known of their inputs yet.
    """

    def __init__(self, reader: BuildReads, ignored: Collection[str] = ()) -> None:
        """Reads the plans.

        Args:
            reader: Reads the event log.
            ignored: Builds that do not count.
        """
        self.planning: list[str] = []
        self._reads: dict[str, str] = {}
        self._makes: dict[str, str] = {}
        self._prefixes: dict[str, str] = {}
        for build in _open_builds(reader):
            if build.build_request_id in ignored:
                continue
            if build.status == "PLANNING":
                self.planning.append(build.build_request_id)
            elif build.status != "RECEIVED":  # a build that is queued plans with the records of that time
                self._add(reader, build.build_request_id)

    def fault(self, ref: str) -> str:
        """Returns the reason why the data of a partition must stay, in words; empty if there is none."""
        if build := self._makes.get(ref):
            return f"build {build} makes it"
        return self.read_fault(ref)

    def read_fault(self, ref: str) -> str:
        """Returns the reason for a partition that builds read and do not make; empty if there is none."""
        if ref in self._makes:
            return ""
        if build := self._reads.get(ref):
            return f"build {build} reads it"
        readers = (build for prefix, build in self._prefixes.items() if ref.startswith(prefix))
        return next((f"build {build} reads it" for build in readers), "")

    def _add(self, reader: BuildReads, build: str) -> None:
        events = read_rows(
            lambda after, limit: reader.events(build, after_sequence=after, limit=limit),
            key=lambda event: event.sequence,
            start=0,
        )
        for event in events:
            for task in event.job_graph.tasks:
                self._add_task(build, task)

    def _add_task(self, build: str, task: plan_pb2.Task) -> None:
        self._makes.update((output.str, build) for output in task.config.outputs)
        self._reads.update((used.partition_ref.str, build) for used in task.config.inputs)
        self._prefixes.update((prefix, build) for prefix in task.query_prefixes)


def _open_builds(reader: BuildReads) -> Iterator[BuildRecord]:
    for status in statuses.BUILD.open:

        def older(newer: str, limit: int, status: str = status) -> Sequence[BuildRecord]:
            return reader.builds(status=status, before=newer or None, limit=limit)

        yield from read_rows(older, key=lambda build: build.build_request_id, start="")
