"""Which job produces each ref of one analysis: decided by the jobs' patterns, or by the graph's lookup.

It remembers what was found, and does not know that a lookup is a process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from databuild.errors import AmbiguousPartitionError, InvalidRequestError, UnknownPartitionError
from databuild.graph.catalog import JobCatalog
from databuild.graph.ports import Lookup
from databuild.model.pacing import Pace, slices

_NOBODY: Mapping[str, str] = {}


class Ownership:
    """The owners of refs, by ref.

    Attributes:
        labels: What was found.
        by_patterns: Whether patterns decide, and no lookup.
    """

    def __init__(self, catalog: JobCatalog, lookup: Lookup | None, pace: Pace | None = None) -> None:
        """Takes the jobs, the lookup where there is one (then patterns decide nothing), and when to rest."""
        self.labels: dict[str, str] = {}
        self.by_patterns = lookup is None
        self._catalog = catalog
        self._lookup = lookup
        self._pace = pace or Pace()

    async def find(self, refs: Iterable[str], *, needed_by: Mapping[str, str] = _NOBODY) -> None:
        """Finds who produces refs.

        Args:
            refs: The refs.
            needed_by: The ref whose job asked for a ref, unless the request did.

        Raises:
            InvalidRequestError: One of them is no ref.
            UnknownPartitionError: Nobody produces one of them.
            AmbiguousPartitionError: More than one job does.
            LookupFaultError: The lookup failed, or its answer cannot be used.
        """
        wanted = [ref for ref in refs if ref not in self.labels]
        if self._lookup is not None:
            await self._find_by_lookup(wanted, needed_by)
            return
        for some in slices(wanted):
            await self._pace.rest()
            for ref in some:
                try:
                    self.labels[ref] = self._catalog.owner(ref)
                except UnknownPartitionError as error:
                    needing = needed_by.get(ref)
                    raise UnknownPartitionError(
                        ref, nearest=error.nearest, needed_by=needing, fault=error.fault
                    ) from None
                except AmbiguousPartitionError:
                    raise
                except InvalidRequestError as error:
                    raise _needed(error, needed_by.get(ref)) from None

    async def _find_by_lookup(self, refs: Sequence[str], needed_by: Mapping[str, str]) -> None:
        for some in slices(refs):
            await self._pace.rest()
            for ref in some:
                try:
                    self._catalog.check_ref(ref)
                except InvalidRequestError as error:
                    raise _needed(error, needed_by.get(ref)) from None
        await self.try_find(refs)
        for ref in refs:
            if ref not in self.labels:
                raise UnknownPartitionError(ref, needed_by=needed_by.get(ref))

    async def try_find(self, refs: Iterable[str]) -> None:
        """Finds who produces refs, as `find`, and leaves out those that nobody produces."""
        wanted = [ref for ref in refs if ref not in self.labels]
        if not wanted:
            return
        if self._lookup is not None:
            self.labels.update(await self._lookup(wanted))
            return
        for some in slices(wanted):
            await self._pace.rest()
            self.labels.update((ref, self._catalog.owner(ref)) for ref in some if self._catalog.produces(ref))


def _needed(error: InvalidRequestError, needing: str | None) -> InvalidRequestError:
    """Returns an error about a ref with what needs it, where the request does not name it itself."""
    return InvalidRequestError(f"{error}; {needing!r} needs it") if needing else error
