"""Freshness of partitions: decides which of them have to be built, and for which reason.

The decision depends on configurations and records only; nothing is read from outside.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Mapping, Sequence

from databuild.errors import DependencyCycleError
from databuild.graph.partition_graph import PartitionGraph
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import JobConfig
from databuild.model.pacing import SLICE, slices
from databuild.model.records import Manifest, PartitionRecord
from databuild.tuples import NamedTuple
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
        return self.reason not in REASONS_TO_KEEP


REASONS_TO_KEEP = frozenset({pt.REASON_UP_TO_DATE, pt.REASON_STALE_REUSED, pt.REASON_DELETED_UNNEEDED})
"""The reasons of partitions that are not built."""

_UNDECIDED = Decision(pt.REASON_UNSPECIFIED, "")
_IN_PROGRESS = Decision(pt.REASON_UNSPECIFIED, "")
_MISSING = Decision(pt.REASON_MISSING, "")
_FAILED_BEFORE = Decision(pt.REASON_FAILED_BEFORE, "")
_LOST = Decision(pt.REASON_LOST, "")
_DELETED = Decision(pt.REASON_DELETED, "")
_DELETED_UNNEEDED = Decision(pt.REASON_DELETED_UNNEEDED, "")
_UP_TO_DATE = Decision(pt.REASON_UP_TO_DATE, "")
_FEW_INPUTS = 8
_PAUSE = -1
"""Stands between inputs where the event loop should run. No partition has this number."""


class Freshness:
    """Decides about partitions, upstream first.

    Attributes:
        changed_configurations: The numbers of the partitions whose configuration has changed, in the order of the
            decisions.
        deleted: The numbers of the partitions whose data was deleted and is not rebuilt.
    """

    def __init__(
        self,
        graph: PartitionGraph,
        configs: Mapping[str, JobConfig],
        digests: Mapping[int, str],
        records: Mapping[str, PartitionRecord],
        owners: Mapping[str, str],
        code_digests: Mapping[str, str],
        *,
        forced: frozenset[str],
        options: PlanOptions,
    ) -> None:
        """Decides nothing yet.

        Args:
            graph: The partitions.
            configs: The configuration that produces each ref.
            digests: The digest of that configuration, by its `id`, for each ref whose record has a manifest.
            records: The record of each ref that has one.
            owners: The label of the job that produces each ref.
            code_digests: The code digest of each job, by label.
            forced: The refs to build even if they are fresh.
            options: The options of the plan.
        """
        self.changed_configurations: list[int] = []
        self.deleted: list[int] = []
        self._needed: frozenset[str] = frozenset()
        self._graph = graph
        self._configs = configs
        self._digests = digests
        self._records = records
        self._owners = owners
        self._code_digests = code_digests
        self._forced = forced
        self._reuse_stale = options.reuse_stale
        self._reset()

    def _reset(self) -> None:
        self.changed_configurations.clear()
        self.deleted.clear()
        # The last element is found for _PAUSE, so that the search below need not look for it at each edge.
        self._decisions = [*[_UNDECIDED] * len(self._graph.refs), _IN_PROGRESS]
        self._kept_versions: dict[str, str] = {}
        self._changed_inputs: dict[int, Decision | None] = {}
        self._batch_versions: dict[int, dict[str, str]] = {}
        self._visited_inputs: set[int] = set()

    def decide(
        self, refs: Sequence[str], needed: frozenset[str] = frozenset()
    ) -> Generator[None, None, list[Decision]]:
        """Decides about all partitions: refs and everything upstream of them.

        Yields at least once per slice (see `Pace`).

        Args:
            refs: The requested partitions.
            needed: Further partitions that are rebuilt if their data was deleted; empty for the first call.

        Returns:
            The decision about each partition, by number.

        Raises:
            DependencyCycleError: Partitions depend on each other. Without records, `search` finds that.
        """
        if not self._records:
            return [_MISSING] * len(self._graph.refs)
        self._needed = needed.union(refs)
        if needed:
            self._reset()
        if (yield from self._precede_their_inputs()):
            decisions = yield from self._decide_backwards()
            if not self.changed_configurations:
                return decisions
            self._reset()  # the search finds them in the order in which they are explained
        return (yield from self.search(refs))

    def _precede_their_inputs(self) -> Generator[None, None, bool]:
        """Returns True if the number of each partition is lower than those of its inputs, as in a graph of layers."""
        first_inputs: dict[int, int] = {}
        work = 0
        for number, inputs in enumerate(self._graph.upstream):
            work += 1
            if work >= SLICE:
                work = 0
                yield
            if not inputs:
                continue
            if len(inputs) <= SLICE:
                first = min(inputs)
            elif (known := first_inputs.get(id(inputs))) is not None:
                first = known
            else:
                first = first_inputs[id(inputs)] = min(inputs)
                yield
            if first <= number:
                return False
        return True

    def _decide_backwards(self) -> Generator[None, None, list[Decision]]:
        """Decides about all partitions, those with the highest numbers first."""
        decisions, records = self._decisions, self._records
        work = 0
        for number in range(len(decisions) - 2, -1, -1):
            record = records.get(self._graph.refs[number])
            if record is None:
                decisions[number] = _MISSING
                work += 1
            else:
                work += 1 + (len(record.manifest.inputs) if record.manifest is not None else 0)
            if work >= SLICE:
                work = 0
                yield
            if record is not None:
                decisions[number] = self._decide(number, record)
        decisions.pop()
        return decisions

    def search(self, refs: Sequence[str]) -> Generator[None, None, list[Decision]]:
        """Does what `decide` does, and always finds partitions that depend on each other."""
        decisions, all_refs, upstream = self._decisions, self._graph.refs, self._graph.upstream
        steps = 0
        for ref in refs:
            start = self._graph.numbers[ref]
            if decisions[start] is not _UNDECIDED:
                continue
            # Depth-first search without recursion: a chain of partitions may exceed the interpreter's recursion limit.
            path = [start]
            decisions[start] = _IN_PROGRESS
            inputs = [self._inputs(start)]
            while path:
                if steps >= SLICE:
                    steps = 0
                    yield
                for needed in inputs[-1]:
                    decision = decisions[needed]
                    if decision is _UNDECIDED:
                        path.append(needed)
                        decisions[needed] = _IN_PROGRESS
                        inputs.append(self._inputs(needed))
                        break
                    if decision is _IN_PROGRESS:
                        if needed != _PAUSE:
                            raise DependencyCycleError([all_refs[member] for member in path[path.index(needed) :]])
                        yield
                else:
                    inputs.pop()
                    number = path.pop()
                    if len(upstream[number]) > SLICE:
                        self._visited_inputs.add(id(upstream[number]))
                    steps += 1 + len(upstream[number])
                    record = self._records.get(all_refs[number])
                    if record is not None and record.manifest is not None and len(record.manifest.inputs) > SLICE:
                        yield  # the decision reads each of these inputs
                    decisions[number] = _MISSING if record is None else self._decide(number, record)
        decisions.pop()
        return decisions

    def _inputs(self, number: int) -> Iterator[int]:
        """Returns the inputs of a partition, or none if they were decided for another output of its configuration."""
        inputs = self._graph.upstream[number]
        if len(inputs) <= SLICE:
            return iter(inputs)
        if id(inputs) in self._visited_inputs:
            return iter(())
        return itertools.chain.from_iterable((*part, _PAUSE) for part in slices(inputs))

    def _decide(self, number: int, record: PartitionRecord) -> Decision:
        ref = record.ref
        if not record.available:
            return self._deleted(number, record) if record.deleted else self._unavailable(record)
        if record.tainted:
            return Decision(pt.REASON_TAINTED, record.taint_reason)
        if ref in self._forced:
            return Decision(pt.REASON_FORCED, "")
        stale = self._stale(ref, record)
        if stale is not None and not self._reuse_stale:
            if stale.reason == pt.REASON_CONFIGURATION_CHANGED:
                self.changed_configurations.append(number)
            return stale
        self._kept_versions[ref] = record.version
        return _UP_TO_DATE if stale is None else Decision(pt.REASON_STALE_REUSED, stale.cause)

    def _deleted(self, number: int, record: PartitionRecord) -> Decision:
        """Decides about deleted data: unless something needs it, it counts for other partitions as if it were there."""
        if record.claimed_by_build_request_id:
            return self._unavailable(record)
        if record.tainted:
            return Decision(pt.REASON_TAINTED, record.taint_reason)
        if record.ref in self._needed:
            return _DELETED
        stale = self._stale(record.ref, record)
        if stale is not None and not self._reuse_stale:
            if stale.reason == pt.REASON_CONFIGURATION_CHANGED:
                self.changed_configurations.append(number)
            return stale
        self.deleted.append(number)
        self._kept_versions[record.ref] = record.version
        return _DELETED_UNNEEDED

    @staticmethod
    def _unavailable(record: PartitionRecord) -> Decision:
        if record.claimed_by_build_request_id:
            return Decision(pt.REASON_BUILDING_ELSEWHERE, record.claimed_by_build_request_id)
        if record.status == "MISSING":
            return _LOST
        if record.removal is not None:
            return Decision(pt.REASON_FORGOTTEN, record.removal.reason)
        return _FAILED_BEFORE if record.failure is not None else _MISSING

    def _stale(self, ref: str, record: PartitionRecord) -> Decision | None:
        if record.adoption is not None and record.manifest is None:
            return None  # no job run produced it, so there is no code, configuration or input to compare
        manifest = record.manifest
        if manifest is None or manifest.code_digest != self._code_digests[self._owners[ref]]:
            return Decision(pt.REASON_CODE_CHANGED, "")
        digest = manifest.digest_of(ref) if manifest.output_digests else manifest.configuration_digest
        if digest != self._digests[id(self._configs[ref])]:
            return Decision(pt.REASON_CONFIGURATION_CHANGED, "")
        if manifest.output_digests:
            return self._changed_input_of(ref, manifest)
        # The configuration digests are equal, so the manifest has the inputs of the configuration: all are decided.
        # Outputs of one job run share its manifest, so many inputs are compared once.
        if len(manifest.inputs) <= _FEW_INPUTS:
            return self._changed_input(manifest)
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
        kept = self._kept_versions
        for needed, version, query in manifest.inputs:
            # QUERY inputs never make a partition stale.
            if kept.get(needed) != version and not query and self._is_changed(needed, version):
                return Decision(pt.REASON_INPUT_CHANGED, needed)
        return None

    def _is_changed(self, ref: str, used_version: str | None) -> bool:
        """Returns True if an input will be rebuilt, or has another version than the one that was used."""
        number = self._graph.numbers.get(ref)
        decision = _UNDECIDED if number is None else self._decisions[number]
        record = self._records.get(ref)
        return (decision is not _UNDECIDED and decision.builds) or record is None or record.version != used_version
