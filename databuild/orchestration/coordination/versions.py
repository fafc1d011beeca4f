"""The versions of partitions while a job graph is executed, and which tasks need not run because of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from databuild.event_log.reads import PartitionReads
from databuild.model.job_graph import Plan, Task
from databuild.model.records import Manifest, PartitionRecord
from databuild.v1 import partition_pb2 as pt


class Versions:
    """Knows what planning found, what the build has made since, and what the event log says now.

    Attributes:
        now: The version of each partition that the build reads or has made, by ref.
    """

    def __init__(self, reader: PartitionReads) -> None:
        """Takes what reads the event log."""
        self.now: dict[str, str] = {}
        self._reader = reader
        self._code_digests: Mapping[str, str] = {}
        self._forced: Mapping[str, str] = {}
        self._cut_off: set[str] = set()

    def start(self, plan: Plan) -> None:
        """Takes what planning found."""
        self.now = dict(plan.versions)
        self._code_digests = plan.code_digests
        self._forced = {one.ref: one.version for one in plan.partitions if one.reason == pt.REASON_FORCED}
        self._cut_off = {partition.ref for partition in plan.partitions if partition.reason == pt.REASON_INPUT_CHANGED}

    def records(self, refs: Sequence[str]) -> Mapping[str, PartitionRecord]:
        """Returns what is known now of partitions, by ref."""
        return self._reader.partition_records(refs)

    def code_digest(self, task: Task) -> str:
        """Returns the code digest of a task's job; empty where it has none."""
        return self._code_digests.get(task.job_label, "")

    def needed(self, task: Task) -> bool:
        """Whether a task still has to run: not if only inputs would have made it, and they ended as they were."""
        outputs = task.config.outputs
        if not self._cut_off.issuperset(outputs):
            return True
        records = self.records(outputs)
        manifests: dict[int, Manifest] = {}  # one for all outputs that the same job run made
        for ref in outputs:
            record = records.get(ref)
            if record is None or record.manifest is None or not record.available:
                return True
            manifests[id(record.manifest)] = record.manifest
        return not all(map(self._reads_the_same, manifests.values()))

    def made_by_another(self, task: Task, versions: Mapping[str, str]) -> bool:
        """Whether all outputs of a task are there as this build would make them, or adopted.

        Those that are forced must be of after planning. Of the others, planning may have seen some before another build
        made them all, and some after that.

        Args:
            task: The task.
            versions: The versions of its outputs that there are now, by ref.
        """
        outputs = task.config.outputs
        if any(versions.get(ref, "") in {"", self._forced.get(ref)} for ref in outputs):
            return False
        records = self.records(outputs)
        manifests: dict[int, Manifest] = {}
        for ref in outputs:
            record = records.get(ref)
            if record is not None and record.adopted:
                continue
            if record is None or record.manifest is None or record.tainted:
                return False
            manifests[id(record.manifest)] = record.manifest
        return all(self._as_we_would(task, manifest) for manifest in manifests.values())

    def _as_we_would(self, task: Task, manifest: Manifest) -> bool:
        return (
            manifest.code_digest == self.code_digest(task)
            and manifest.configuration_digest == task.configuration_digest
            and self._reads_the_same(manifest)
        )

    def _reads_the_same(self, manifest: Manifest) -> bool:
        return all(known.query or self.now.get(known.ref) == known.version for known in manifest.inputs)
