"""Versions of partitions during an execution, and the decision that a task need not run because of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING

from databuild.event_log.reads import PartitionReads
from databuild.model.job_graph import Plan, Task
from databuild.model.pacing import slices
from databuild.model.paging import read_rows
from databuild.model.records import Manifest, PartitionRecord
from databuild.v1 import partition_pb2 as pt

if TYPE_CHECKING:
    from databuild.orchestration.stores.unrecorded import UnrecordedChange


class Versions:
    """The versions that planning found and that the build has produced since.

    Attributes:
        now: The version of each partition that the build reads or has produced, by ref.
    """

    def __init__(self, reader: PartitionReads, changes: MutableMapping[str, UnrecordedChange] | None = None) -> None:
        """Knows no version yet.

        Args:
            reader: Reads the records of partitions.
            changes: The changes of data that the build uses as it is, by ref; more may be added.
        """
        self.now: dict[str, str] = {}
        self._changes = changes if changes is not None else {}
        self._reader = reader
        self._code_digests: Mapping[str, str] = {}
        self._forced: Mapping[str, str] = {}
        self._input_changed: set[str] = set()
        self._missing: set[str] = set()

    def start(self, plan: Plan) -> None:
        """Initializes the versions from a plan. Must be called once, before the execution."""
        self.now = dict(plan.versions)
        self._code_digests = plan.code_digests
        self._forced = {
            partition.ref: partition.version for partition in plan.partitions if partition.reason == pt.REASON_FORCED
        }
        self._input_changed = {
            partition.ref for partition in plan.partitions if partition.reason == pt.REASON_INPUT_CHANGED
        }
        self._missing = {partition.ref for partition in plan.partitions if partition.reason == pt.REASON_MISSING}

    def extend(self, plan: Plan) -> None:
        """Adds the versions of a further plan, for tasks that the build runs in addition."""
        # Without those of the build's own partitions, of which the further plan knows no version.
        self.now.update((ref, version) for ref, version in plan.versions.items() if version)
        self.now.update(
            (partition.ref, partition.version)
            for partition in plan.partitions
            if not partition.task_id and partition.version
        )
        self._code_digests = {**self._code_digests, **plan.code_digests}

    def resume(self, plan: Plan, available: Collection[str]) -> None:
        """Initializes the versions for a build that another process has begun.

        The log does not have the versions that planning found, so inputs have their current ones.

        Args:
            plan: The plan.
            available: The partitions that the build has produced, or taken from other builds.
        """
        self.start(plan)
        inputs = {ref for task in plan.tasks for refs in (task.config.materialize, task.config.query) for ref in refs}
        outputs = {ref for task in plan.tasks for ref in task.config.outputs}
        known = sorted((inputs - outputs) | set(available))
        for refs in slices(known):
            self.now.update(
                (ref, record.version)
                for ref, record in self.records(refs).items()
                # A build that claims data only to check whether it is needed makes it unavailable for a moment.
                if record.available or record.claimed_by_build_request_id
            )

    def made(self, ref: str, version: str) -> None:
        """Stores the version of a partition that this build, or another one meanwhile, has made."""
        self.now[ref] = version
        if self._changes:
            self._changes.pop(ref, None)

    def read(self, ref: str) -> str:
        """Returns the version that a run which starts now reads, for its manifest; empty if there is none."""
        if ref in self._changes:
            return self._changes[ref].read
        return self.now.get(ref, "")

    def records(self, refs: Sequence[str]) -> Mapping[str, PartitionRecord]:
        """Reads the current records of partitions from the event log."""
        return self._reader.partition_records(refs)

    def available(self, prefixes: Sequence[str]) -> Mapping[str, str]:
        """Returns the versions of the available partitions that are read by prefix, by ref (see `JobConfig`)."""
        versions: dict[str, str] = {}
        for prefix in prefixes:

            def read(after: str, limit: int, prefix: str = prefix) -> Sequence[PartitionRecord]:
                return self._reader.partitions(prefix=prefix, after=after, limit=limit)

            for record in read_rows(read, key=lambda record: record.ref, start=""):
                rest = record.ref[len(prefix) :]
                if record.available and rest and "/" not in rest:
                    versions[record.ref] = record.version
        return versions

    def code_digest(self, task: Task) -> str:
        """Returns the code digest of a task's job; empty if it has none."""
        return self._code_digests.get(task.job_label, "")

    def needed(self, task: Task) -> bool:
        """Returns False if changed inputs were the only reason to run, and they were rebuilt to identical versions.

        Build systems call this early cutoff.
        """
        outputs = task.config.outputs
        if not self._input_changed.issuperset(outputs):
            return True
        records = self.records(outputs)
        manifests: dict[int, Manifest] = {}  # outputs of one job run share a manifest
        for ref in outputs:
            record = records.get(ref)
            if record is None or record.manifest is None or not record.available:
                return True
            manifests[id(record.manifest)] = record.manifest
        return not all(self._has_current_inputs(task, manifest) for manifest in manifests.values())

    def never_made(self, task: Task) -> bool:
        """Returns True if no output of a task existed when the build was planned."""
        return self._missing.issuperset(task.config.outputs)

    def built_elsewhere(self, task: Task, versions: Mapping[str, str]) -> bool:
        """Returns True if all outputs of a task exist as this build would produce them, or were adopted.

        Args:
            task: The task.
            versions: The current versions of its outputs, by ref; an output that does not exist is absent or empty.
        """
        outputs = task.config.outputs
        # A forced output must have another version than when it was planned. Versions of other outputs do not tell
        # whether they are newer than the plan, so their manifests are compared.
        if any(versions.get(ref, "") in {"", self._forced.get(ref)} for ref in outputs):
            return False
        records = self.records(outputs)
        manifests: dict[int, Manifest] = {}
        for ref, digest in zip(outputs, task.digests, strict=True):
            record = records.get(ref)
            if record is not None and record.adopted:
                continue
            if record is None or record.manifest is None or record.tainted:
                return False
            if record.manifest.digest_of(ref) != digest:
                return False
            manifests[id(record.manifest)] = record.manifest
        return all(
            manifest.code_digest == self.code_digest(task) and self._has_current_inputs(task, manifest)
            for manifest in manifests.values()
        )

    def _has_current_inputs(self, task: Task, manifest: Manifest) -> bool:
        """Returns True if the inputs of a run have their current versions. Of a batch, those of the task count."""
        inputs = frozenset(task.config.materialize) if manifest.output_digests else None
        return all(
            used.query or self.now.get(used.ref) == used.version or self.read(used.ref) == used.version
            for used in manifest.inputs
            if inputs is None or used.ref in inputs
        )
