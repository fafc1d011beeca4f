"""Why a partition has to be built, or need not be.

It decides from configurations and records, and asks nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from databuild.errors import DependencyCycleError
from databuild.model.job_graph import JobConfig
from databuild.model.records import PartitionRecord
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
        code_digests: Mapping[str, str],
        *,
        forced: frozenset[str],
        reuse_stale: bool,
    ) -> None:
        """Takes what is known.

        Args:
            configs: The configuration that produces each ref.
            digests: The digest of the configuration that produces each ref.
            records: What is recorded of each ref, where anything is.
            code_digests: The code digest of the job that produces each ref.
            forced: The refs to build even if fresh.
            reuse_stale: Whether to use stale partitions as they are.
        """
        self._configs = configs
        self._digests = digests
        self._records = records
        self._code_digests = code_digests
        self._forced = forced
        self._reuse_stale = reuse_stale
        self._decisions: dict[str, Decision] = {}

    def decide(self, refs: Sequence[str]) -> dict[str, Decision]:
        """Decides about refs and everything that was configured upstream of them.

        Raises:
            DependencyCycleError: Partitions need each other.
        """
        decisions = self._decisions
        for start in refs:
            if start in decisions:
                continue
            # Depth first without recursion: a chain may be longer than the interpreter's stack is deep.
            path = [start]
            decisions[start] = _IN_WORK
            inputs = [iter(self._upstream(start))]
            while path:
                for needed in inputs[-1]:
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
                    decisions[ref] = self._decide(ref)
        return decisions

    def _upstream(self, ref: str) -> Sequence[str]:
        config = self._configs.get(ref)
        if config is None or self._may_be_reused(ref):
            return ()
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
        if manifest is None or manifest.code_digest != self._code_digests.get(ref, ""):
            return Decision(pt.REASON_CODE_CHANGED, "")
        if manifest.configuration_digest != self._digests.get(ref):
            return Decision(pt.REASON_CONFIGURATION_CHANGED, "")
        for known in manifest.inputs:
            if known.query:
                continue
            decision = self._decisions.get(known.ref)
            now = self._records.get(known.ref)
            if (decision is not None and decision.builds) or now is None or now.version != known.version:
                return Decision(pt.REASON_INPUT_CHANGED, known.ref)
        return None
