"""Freshness of partitions: decides which of them have to be built, and for which reason.

The decision depends on configurations and records only; nothing is read from outside.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import NamedTuple

from databuild.errors import DependencyCycleError
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import JobConfig
from databuild.model.pacing import SLICE
from databuild.model.records import Manifest, PartitionRecord
from databuild.v1 import partition_pb2 as pt


class Decision(NamedTuple):
    """The decision about one partition.

    Attributes:
        reason: A value of `Reason` (partition.proto).
        cause: The subject of the reason, such as the ref of the changed input.
    """

    reason: int
    cause: str

    @property
    def builds(self) -> bool:
        """True if the partition will be built."""
        return self.reason not in _REASONS_TO_KEEP


_REASONS_TO_KEEP = frozenset({pt.REASON_UP_TO_DATE, pt.REASON_STALE_REUSED})
_IN_PROGRESS = Decision(pt.REASON_UNSPECIFIED, "")
_MISSING = Decision(pt.REASON_MISSING, "")
_FAILED_BEFORE = Decision(pt.REASON_FAILED_BEFORE, "")


def is_reusable(record: PartitionRecord, *, reuse_stale: bool) -> bool:
    """Returns True if a partition is used as it is, so that neither its configuration nor its inputs matter."""
    return record.adopted or (reuse_stale and record.available and not record.tainted)


class Freshness:
    """Decides about partitions, upstream first."""

    def __init__(
        self,
        configs: Mapping[str, JobConfig],
        digests: Mapping[str, str],
        records: Mapping[str, PartitionRecord],
        owners: Mapping[str, str],
        code_digests: Mapping[str, str],
        *,
        forced: frozenset[str],
        options: PlanOptions,
    ) -> None:
        """Decides nothing yet.

        Args:
            configs: The configuration that produces each ref.
            digests: The digest of that configuration, by ref.
            records: The record of each ref that has one.
            owners: The label of the job that produces each ref.
            code_digests: The code digest of each job, by label.
            forced: The refs to build even if they are fresh.
            options: The options of the plan.
        """
        self._configs = configs
        self._digests = digests
        self._records = records
        self._owners = owners
        self._code_digests = code_digests
        self._forced = forced
        self._reuse_stale = options.reuse_stale
        self._decisions: dict[str, Decision] = {}
        self._visited_configs: set[int] = set()
        self._changed_inputs: dict[int, Decision | None] = {}
        self._batch_versions: dict[int, dict[str, str]] = {}

    def decide(self, refs: Sequence[str]) -> Generator[None, None, dict[str, Decision]]:
        """Decides about refs and all partitions upstream of them; yields at least once per slice (see `Pace`).

        Raises:
            DependencyCycleError: Partitions depend on each other.
        """
        decisions = self._decisions
        steps = 0
        for start in refs:
            if start in decisions:
                continue
            # Depth-first search without recursion: a chain of partitions may exceed the interpreter's recursion limit.
            path = [start]
            decisions[start] = _IN_PROGRESS
            inputs = [iter(self._upstream(start))]
            while path:
                if steps >= SLICE:
                    steps = 0
                    yield
                for needed in inputs[-1]:
                    steps += 1
                    if not steps % SLICE:
                        yield
                    decision = decisions.get(needed)
                    if decision is None:
                        path.append(needed)
                        decisions[needed] = _IN_PROGRESS
                        inputs.append(iter(self._upstream(needed)))
                        break
                    if decision is _IN_PROGRESS:
                        raise DependencyCycleError(path[path.index(needed) :])
                else:
                    ref = path.pop()
                    inputs.pop()
                    config = self._configs.get(ref)
                    if config is not None and len(config.outputs) > 1 and not self._is_reused(ref):
                        self._visited_configs.add(id(config))
                    record = self._records.get(ref)
                    if record is not None and record.manifest is not None and len(record.manifest.inputs) > SLICE:
                        yield  # the decision reads each of these inputs
                    decisions[ref] = self._decide(ref)
                    steps += 1
        return decisions

    def _upstream(self, ref: str) -> Sequence[str]:
        config = self._configs.get(ref)
        if config is None or not config.materialize or self._is_reused(ref):
            return ()
        if id(config) in self._visited_configs:
            return ()  # its inputs were decided for another of its outputs
        return config.materialize

    def _is_reused(self, ref: str) -> bool:
        record = self._records.get(ref)
        return record is not None and ref not in self._forced and is_reusable(record, reuse_stale=self._reuse_stale)

    def _decide(self, ref: str) -> Decision:
        record = self._records.get(ref)
        if record is None or not record.available:
            return self._unavailable(record)
        if record.tainted:
            return Decision(pt.REASON_TAINTED, record.taint_reason)
        if ref in self._forced:
            return Decision(pt.REASON_FORCED, "")
        stale = self._stale(ref, record)
        if stale is None:
            return Decision(pt.REASON_UP_TO_DATE, "")
        if self._reuse_stale:
            return Decision(pt.REASON_STALE_REUSED, stale.cause)
        return stale

    @staticmethod
    def _unavailable(record: PartitionRecord | None) -> Decision:
        if record is None:
            return _MISSING
        if record.claimed_by_build_request_id:
            return Decision(pt.REASON_BUILDING_ELSEWHERE, record.claimed_by_build_request_id)
        return _FAILED_BEFORE if record.failure is not None or record.status == "BUILDING" else _MISSING

    def _stale(self, ref: str, record: PartitionRecord) -> Decision | None:
        if record.adopted:
            return None  # no job run produced it, so there is no code, configuration or input to compare
        manifest = record.manifest
        if manifest is None or manifest.code_digest != self._code_digests[self._owners[ref]]:
            return Decision(pt.REASON_CODE_CHANGED, "")
        if manifest.digest_of(ref) != self._digests.get(ref):
            return Decision(pt.REASON_CONFIGURATION_CHANGED, "")
        if manifest.output_digests:
            return self._changed_input_of(ref, manifest)
        # The configuration digests are equal, so the manifest has the inputs of the configuration: all are decided.
        # Outputs of one job run share its manifest, so its inputs are compared once.
        if id(manifest) not in self._changed_inputs:
            self._changed_inputs[id(manifest)] = self._changed_input(manifest)
        return self._changed_inputs[id(manifest)]

    def _changed_input_of(self, ref: str, manifest: Manifest) -> Decision | None:
        """Compares the inputs of one output of a batch, which has the inputs of other outputs as well."""
        versions = self._batch_versions.get(id(manifest))
        if versions is None:
            versions = {used.ref: used.version for used in manifest.inputs if not used.query}
            self._batch_versions[id(manifest)] = versions
        for needed in self._configs[ref].materialize:
            if self._is_changed(needed, versions.get(needed)):
                return Decision(pt.REASON_INPUT_CHANGED, needed)
        return None

    def _changed_input(self, manifest: Manifest) -> Decision | None:
        for used in manifest.inputs:
            if used.query:
                continue  # QUERY inputs never make a partition stale
            if self._is_changed(used.ref, used.version):
                return Decision(pt.REASON_INPUT_CHANGED, used.ref)
        return None

    def _is_changed(self, ref: str, used_version: str | None) -> bool:
        """Returns True if an input will be rebuilt, or has another version than the one that was used."""
        decision = self._decisions.get(ref)
        record = self._records.get(ref)
        return (decision is not None and decision.builds) or record is None or record.version != used_version
