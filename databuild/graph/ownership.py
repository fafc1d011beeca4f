"""Ownership of refs: the job that produces each ref of one analysis, found by patterns or by the graph's lookup.

Results are kept, so each ref is looked up at most once. A lookup is a Protocol here; it runs as a process elsewhere.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Final

from databuild.errors import AmbiguousPartitionError, InvalidRequestError, UnknownPartitionError
from databuild.graph.catalog import JobCatalog
from databuild.graph.patterns import PartitionPattern
from databuild.graph.ports import Lookup
from databuild.graph.refs import are_plain
from databuild.model.pacing import Pace, slices

_FEW: Final = 4
"""Up to so many refs are found faster one by one."""

_MAX_ROWS: Final = 100_000
"""The maximum number of matches that are kept for `take_rows`."""


def _requested(_: str) -> None:
    """The need of refs that were requested."""


class Ownership:
    """The jobs that produce refs.

    Attributes:
        labels: The label of the job that produces each ref found so far.
        by_patterns: True if the graph has no lookup.
    """

    def __init__(self, catalog: JobCatalog, lookup: Lookup | None, pace: Pace | None = None) -> None:
        self.labels: dict[str, str] = {}
        self.by_patterns = lookup is None
        self._unowned: set[str] = set()
        self._rows: dict[str, tuple[str, ...]] = {}
        self._catalog = catalog
        self._lookup = lookup
        self._pace = pace or Pace()

    async def find(self, refs: Iterable[str], *, needed_by: Callable[[str], str | None] = _requested) -> None:
        """Finds the jobs that produce refs.

        Args:
            refs: The refs.
            needed_by: Returns the ref that has a ref as its input; None for refs of the request.

        Raises:
            InvalidRequestError: A text is not a valid ref.
            UnknownPartitionError: No job produces a ref.
            AmbiguousPartitionError: More than one job produces a ref.
            LookupFaultError: The lookup failed, or its answer is invalid.
        """
        new_refs = [ref for ref in refs if ref not in self.labels]
        if self._lookup is not None:
            await self._find_by_lookup(new_refs, needed_by)
            return
        for refs_slice in slices(new_refs):
            await self._pace.rest()
            for ref in self._not_found_at_once(refs_slice):
                try:
                    self.labels[ref] = self._catalog.owner(ref)
                except UnknownPartitionError as error:
                    raise UnknownPartitionError(
                        ref, nearest=error.nearest, needed_by=needed_by(ref), fault=error.fault
                    ) from None
                except AmbiguousPartitionError:
                    raise
                except InvalidRequestError as error:
                    raise _with_need(error, needed_by(ref)) from None

    async def _find_by_lookup(self, refs: Sequence[str], needed_by: Callable[[str], str | None]) -> None:
        for refs_slice in slices(refs):
            await self._pace.rest()
            for ref in refs_slice:
                try:
                    self._catalog.check_ref(ref)
                except InvalidRequestError as error:
                    raise _with_need(error, needed_by(ref)) from None
        await self.try_find(refs)
        for ref in refs:
            if ref not in self.labels:
                raise UnknownPartitionError(ref, needed_by=needed_by(ref))

    async def try_find(self, refs: Iterable[str]) -> None:
        """Finds the jobs that produce refs, as `find` does, but ignores refs that no job produces."""
        new_refs = [ref for ref in refs if ref not in self.labels]
        if not new_refs:
            return
        if self._lookup is not None:
            self.labels.update(await self._lookup(new_refs))
            return
        for refs_slice in slices(new_refs):
            await self._pace.rest()
            for ref in self._not_found_at_once(refs_slice):
                self.is_produced(ref)

    def unproduced(self, refs: Iterable[str]) -> Set[str]:
        """Returns those of given refs that no job produces, by the patterns of the jobs.

        Raises:
            AmbiguousPartitionError: More than one job produces a ref.
        """
        new_refs = [ref for ref in dict.fromkeys(refs) if ref not in self.labels]
        if not new_refs:
            return frozenset()
        unowned = self._unowned.intersection(new_refs)
        others = self._not_found_at_once([ref for ref in new_refs if ref not in unowned])
        return unowned.union([ref for ref in others if not self.is_produced(ref)])

    def _not_found_at_once(self, refs: Sequence[str]) -> Sequence[str]:
        """Finds the jobs of refs for which this can be done in bulk, and returns the other refs."""
        if len(refs) <= _FEW or not are_plain(refs):
            return refs
        by_pattern: dict[tuple[PartitionPattern, str], list[str]] = defaultdict(list)
        for segment, members in _by_first_segment(refs).items():
            patterns = self._catalog.patterns_of_segment(segment)
            if len(patterns) == 1:
                by_pattern[patterns[0]] += members
                continue
            for ref in members:
                candidates = [entry for entry in patterns if ref.startswith(entry[0].prefix)]
                if len(candidates) == 1:  # of several, more than one may match, which `find_owner` reports
                    by_pattern[candidates[0]].append(ref)
        for (pattern, label), members in by_pattern.items():
            rows = pattern.match_many(members)
            matched = members if len(rows) == len(members) else [row[0] for row in rows]
            self.labels.update(dict.fromkeys(matched, label))
            if label in self._catalog.declared and len(self._rows) < _MAX_ROWS:
                self._rows.update(zip(matched, rows, strict=True))
        return [ref for ref in refs if ref not in self.labels]

    def take_rows(self, refs: Iterable[str]) -> list[tuple[str, ...]]:
        """Returns the kept rows of `match_many` for refs of one declared job, and keeps them no longer.

        A row is kept if the ref was found in bulk. It has the fields in the order of the pattern that matched.
        """
        return list(filter(None, map(self._rows.pop, refs, itertools.repeat(()))))

    def is_produced(self, ref: str) -> bool:
        """Returns True if a job produces a ref, by the patterns of the jobs; False for a text that is not a valid ref.

        Raises:
            AmbiguousPartitionError: More than one job produces it.
        """
        if ref in self.labels:
            return True
        if ref in self._unowned:
            return False
        try:
            owner = self._catalog.find_owner(ref)
        except AmbiguousPartitionError:
            raise
        except InvalidRequestError:
            owner = None
        if owner is None:
            self._unowned.add(ref)
            return False
        self.labels[ref] = owner
        return True


def _by_first_segment(refs: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Returns plain refs by their first segment."""
    first = min(refs)
    segment, slash, _ = first.partition("/")
    if slash and max(refs).startswith(segment + slash):  # so do all refs between them
        return {segment: refs}
    by_segment: dict[str, list[str]] = defaultdict(list)
    for ref in refs:
        by_segment[ref.partition("/")[0]].append(ref)
    return by_segment


def _with_need(error: InvalidRequestError, dependent: str | None) -> InvalidRequestError:
    """Adds the ref that needs the invalid ref to an error, unless the request itself has named it."""
    return InvalidRequestError(f"{error}; {dependent!r} needs it") if dependent else error
