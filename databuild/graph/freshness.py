"""Why a partition has to be built, or need not be.

It decides from configurations and records, and asks nobody.
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
    """A value of Reason, and what it is about."""

    reason: int
    cause: str

    @property
    def builds(self) -> bool:
        """Whether the partition will be built."""
        return self.reason not in _KEEPS


_KEEPS = frozenset({pt.REASON_UP_TO_DATE, pt.REASON_STALE_REUSED})
_IN_WORK = Decision(pt.REASON_UNSPECIFIED, "")
_MISSING = Decision(pt.REASON_MISSING, "")
_FAILED_BEFORE = Decision(pt.REASON_FAILED_BEFORE, "")


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
        """Takes what is known.

        Args:
            configs: The configuration that produces each ref.
            digests: The digest of the configuration that produces each ref.
            records: What is recorded of each ref, where anything is.
            owners: The label of the job that produces each ref.
            code_digests: The code digest of each job, by label.
            forced: The refs to build even if fresh.
            options: Whether to use stale partitions as they are.
        """
        self._configs = configs
        self._digests = digests
        self._records = records
        self._owners = owners
        self._code_digests = code_digests
        self._forced = forced
        self._reuse_stale = options.reuse_stale
        self._decisions: dict[str, Decision] = {}
        self._walked: set[int] = set()
        self._changed_inputs: dict[int, Decision | None] = {}

    def decide(self, refs: Sequence[str]) -> Generator[None, None, dict[str, Decision]]:
        """Decides about refs and everything that was configured upstream of them; yields now and then (see `Pace`).

        Raises:
            DependencyCycleError: Partitions need each other.
        """
        decisions = self._decisions
        steps = 0
        for start in refs:
            if start in decisions:
                continue
            # Depth first without recursion: a chain may be longer than the interpreter's stack is deep.
            path = [start]
            decisions[start] = _IN_WORK
            inputs = [iter(self._upstream(start))]
            while path:
                if steps >= SLICE:
                    steps = 0
                    yield
                for needed in inputs[-1]:
                    steps += 1
                    if not steps % SLICE:
                        yield
                    known = decisions.get(needed)
                    if known is None:
                        path.append(needed)
                        decisions[needed] = _IN_WORK
                        inputs.append(iter(self._upstream(needed)))
                        break
                    if known is _IN_WORK:
                        raise DependencyCycleError(path[path.index(needed) :])
                else:
                    ref = path.pop()
                    inputs.pop()
                    config = self._configs.get(ref)
                    if config is not None and len(config.outputs) > 1 and not self._may_be_reused(ref):
                        self._walked.add(id(config))
                    record = self._records.get(ref)
                    if record is not None and record.manifest is not None and len(record.manifest.inputs) > SLICE:
                        yield  # deciding looks at each of these once
                    decisions[ref] = self._decide(ref)
                    steps += 1
        return decisions

    def _upstream(self, ref: str) -> Sequence[str]:
        config = self._configs.get(ref)
        if config is None or not config.materialize or self._may_be_reused(ref) or id(config) in self._walked:
            return ()  # where it was walked, its inputs are decided, from another of its outputs
        return config.materialize

    def _may_be_reused(self, ref: str) -> bool:
        record = self._records.get(ref)
        return (
            ref not in self._forced
            and record is not None
            and (record.adopted or (self._reuse_stale and record.available and not record.tainted))
        )

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
            return None  # no job of ours made it, so that nothing of a job can have changed
        manifest = record.manifest
        if manifest is None or manifest.code_digest != self._code_digests[self._owners[ref]]:
            return Decision(pt.REASON_CODE_CHANGED, "")
        if manifest.configuration_digest != self._digests.get(ref):
            return Decision(pt.REASON_CONFIGURATION_CHANGED, "")
        # The digests are equal, so that these inputs are those of the configuration, and decided about.
        if id(manifest) not in self._changed_inputs:
            self._changed_inputs[id(manifest)] = self._changed_input(manifest)
        return self._changed_inputs[id(manifest)]

    def _changed_input(self, manifest: Manifest) -> Decision | None:
        for known in manifest.inputs:
            if known.query:
                continue
            decision = self._decisions.get(known.ref)
            now = self._records.get(known.ref)
            if (decision is not None and decision.builds) or now is None or now.version != known.version:
                return Decision(pt.REASON_INPUT_CHANGED, known.ref)
        return None
