"""Requests for everything downstream of partitions: the partitions that they stand for, as the event log has recorded.

The request is expanded once, before the build is recorded, so that a retry of the build requests the same partitions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Final

from databuild.errors import InvalidRequestError, NothingDownstreamError, TooManyPartitionsError
from databuild.event_log.reads import LineageReads
from databuild.graph.catalog import JobCatalog
from databuild.graph.patterns import MAX_REFS
from databuild.model.records import PartitionState
from databuild.tuples import NamedTuple

_PAGE: Final = 1000
_SHOWN: Final = 3
"""The number of partitions without a producer that the warning names."""


class Requested(NamedTuple):
    """The partitions that a request stands for.

    Attributes:
        refs: The partitions.
        downstream_of: The partitions that they were made from; none if the request names `refs` themselves.
        warnings: Warnings about the request, one sentence each.
    """

    refs: tuple[str, ...]
    downstream_of: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def partitions_to_build(
    reader: LineageReads, catalog: JobCatalog, refs: Sequence[str], limit: int = MAX_REFS
) -> Requested:
    """Returns the available partitions that were made from given ones in any number of steps, by ref.

    A given partition is among them only if it was made from another. Partitions that no job of the graph produces any
    more are left out, with a warning. If the graph has a lookup, planning finds out about producers.

    Args:
        reader: Reads the event log.
        catalog: The jobs.
        refs: The given partitions.
        limit: The maximum number of partitions.

    Raises:
        NothingDownstreamError: There is none.
        TooManyPartitionsError: There are more than `limit`.
    """
    from databuild.event_log.downstream import all_steps  # every build imports this module, and few need the walk

    produced: list[str] = []
    left_out: list[str] = []
    for state in _states(reader, (step.ref for step in all_steps(reader, refs))):
        if state.available:
            (produced if catalog.lookup or _is_produced(catalog, state.ref) else left_out).append(state.ref)
            if len(produced) > limit:
                raise TooManyPartitionsError(limit)
    if not produced:
        raise NothingDownstreamError(refs, left_out)
    return Requested(tuple(sorted(produced)), tuple(refs), _warnings(left_out))


def partitions_to_taint(reader: LineageReads, refs: Sequence[str], limit: int = MAX_REFS) -> tuple[str, ...]:
    """Returns given partitions and those that were made from them in any number of steps, by ref.

    Partitions without a record, which cannot be tainted, are left out, unless there are no others.

    Raises:
        TooManyPartitionsError: There are more than `limit`.
    """
    from databuild.event_log.downstream import all_steps

    recorded: set[str] = set()
    for state in _states(reader, chain(refs, (step.ref for step in all_steps(reader, refs)))):
        recorded.add(state.ref)
        if len(recorded) > limit:
            raise TooManyPartitionsError(limit)
    return tuple(sorted(recorded)) if recorded else tuple(refs)


def _states(reader: LineageReads, refs: Iterable[str]) -> Iterator[PartitionState]:
    """Yields the states of those partitions that have a record, in order."""
    remaining = iter(refs)
    while chunk := list(islice(remaining, _PAGE)):
        states = reader.partition_states(chunk)
        yield from (states[ref] for ref in chunk if ref in states)


def _is_produced(catalog: JobCatalog, ref: str) -> bool:
    try:
        return catalog.find_owner(ref) is not None
    except InvalidRequestError:  # a graph of the past had a pattern for this form of a ref
        return False


def _warnings(left_out: Collection[str]) -> tuple[str, ...]:
    if not left_out:
        return ()
    names = ", ".join(sorted(left_out)[:_SHOWN])
    more = f" and {len(left_out) - _SHOWN:,} more" if len(left_out) > _SHOWN else ""
    verb, pronoun = ("is", "it") if len(left_out) == 1 else ("are", "them")
    return (f"{names}{more} {verb} downstream too, but left out: no job of the graph produces {pronoun} any more",)
