"""The partitions whose current data was made from given ones, as the event log has recorded it.

The log stores the uses of an input by job run (`LineageReads.uses`), so a run with many inputs and many outputs is
read once, not once for each pair. All functions are iterative and read page by page. Only a walk over all steps needs
memory for the partitions that it has listed, since it lists each once.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from itertools import groupby, islice
from typing import Final, TypeVar

from databuild.errors import InvalidRequestError
from databuild.event_log.reads import LineageReads
from databuild.model.paging import read_pages, read_rows
from databuild.model.records import PartitionState, PartitionUse
from databuild.model.views import DownstreamPage, DownstreamPartition
from databuild.tuples import NamedTuple

_INPUTS: Final = 500
"""The number of partitions that are read about together."""

_T = TypeVar("_T")

UseKey = tuple[str, str, str]


class Step(NamedTuple):
    """A partition that was made from another in one step.

    Attributes:
        ref: The partition.
        distance: The number of steps from the given partitions.
        use: The input that it was made from, with its version.
    """

    ref: str
    distance: int
    use: PartitionUse


class Position(NamedTuple):
    """A position in the steps from given partitions, after which reading resumes.

    Attributes:
        use: The key of the last use all of whose outputs were read; None for none.
        run: The job run of the following use, if some of its outputs were read; empty for none.
        output: The last of these outputs.
    """

    use: UseKey | None = None
    run: str = ""
    output: str = ""


_START: Final = Position()


def direct_steps(
    reader: LineageReads, refs: Collection[str], start: Position = _START
) -> Iterator[tuple[Step, Position]]:
    """Yields the partitions made from given ones in one step, by input, job run and ref, each with its position.

    A partition comes once for each given partition that it was made from.

    Args:
        reader: Reads the log.
        refs: The given partitions.
        start: The position to resume after.
    """
    previous = start.use
    pages = read_pages(
        lambda after, limit: reader.uses(refs, after=after, limit=limit), key=lambda use: use.key, start=previous
    )
    for page in pages:
        # Within one input, uses are ordered by job run, as their outputs are.
        for _, group in groupby(page, key=lambda use: use.input):
            uses = list(group)
            before = dict(zip((use.key for use in uses), [previous, *(use.key for use in uses)], strict=False))
            previous = uses[-1].key
            for use, ref in _outputs(reader, uses, start):
                end = Position(use.key) if use.output else Position(before[use.key], use.job_run_id, ref)
                yield Step(ref, 1, use), end
            start = _START


def all_steps(reader: LineageReads, refs: Collection[str]) -> Iterator[Step]:
    """Yields the partitions made from given ones in any number of steps: each once, nearest first."""
    listed: set[str] = set()
    visited_runs: set[str] = set()
    expanded = frozenset(refs)
    level = sorted(expanded)
    distance = 0
    while level:
        distance += 1
        next_level: list[str] = []
        for inputs in _chunks(level):
            for uses in _pages_of_uses(reader, inputs):
                # The outputs of a run need one visit only, however many of its inputs are on the way.
                new = {use.key[1:]: use for use in reversed(uses) if use.job_run_id not in visited_runs}
                visited_runs.update(run for run, _ in new if run)
                for use, ref in _outputs(reader, [new[key] for key in sorted(new)]):
                    if ref in listed:
                        continue
                    listed.add(ref)
                    if ref not in expanded:
                        next_level.append(ref)
                    yield Step(ref, distance, use)
        level = sorted(next_level)


def downstream(
    reader: LineageReads,
    refs: Collection[str],
    *,
    transitive: bool,
    limit: int,
    page_token: str = "",
    max_partitions: int | None = None,
) -> DownstreamPage:
    """Returns a page of the partitions made from given ones, with their states.

    Args:
        reader: Reads the log.
        refs: The given partitions.
        transitive: True for any number of steps, with each partition once; False for one step, with a partition once
            for each given partition that it was made from.
        limit: The maximum number of partitions on the page.
        page_token: The `next_page_token` of the page before; empty for the first page.
        max_partitions: The maximum number of partitions on all pages of a transitive list, each page of which repeats
            the walk; None for no maximum.

    Raises:
        InvalidRequestError: The page token is not one of this list.
    """
    if not transitive:
        page = list(islice(direct_steps(reader, refs, _position(page_token)), limit + 1))
        token = _token(page[limit - 1][1]) if len(page) > limit else ""
        return DownstreamPage(tuple(_described(reader, [step for step, _ in page[:limit]])), token)
    skipped = _count(page_token)
    if max_partitions is not None and skipped > max_partitions:
        raise _invalid(page_token)
    allowed = limit if max_partitions is None else min(limit, max_partitions - skipped)
    steps = list(islice(all_steps(reader, refs), skipped, skipped + allowed + 1))
    more = len(steps) > allowed
    truncated = more and max_partitions is not None and skipped + allowed >= max_partitions
    token = str(skipped + allowed) if more and not truncated else ""
    return DownstreamPage(tuple(_described(reader, steps[:allowed])), token, truncated=truncated)


def _pages_of_uses(reader: LineageReads, refs: Collection[str]) -> Iterator[list[PartitionUse]]:
    start: UseKey | None = None
    pages = read_pages(
        lambda after, limit: reader.uses(refs, after=after, limit=limit), key=lambda use: use.key, start=start
    )
    return map(list, pages)


def _outputs(
    reader: LineageReads, uses: Iterable[PartitionUse], start: Position = _START
) -> Iterator[tuple[PartitionUse, str]]:
    """Yields uses with each of their outputs after a position; `uses` are ordered by job run, with no run twice."""
    runs: dict[str, PartitionUse] = {}
    for use in uses:
        if use.job_run_id:
            runs[use.job_run_id] = use
        else:
            yield use, use.output
    if not runs:
        return
    rows = read_rows(
        lambda last, limit: reader.outputs_of_runs(runs, after=last, limit=limit),
        key=lambda row: row,
        start=(start.run, start.output),
    )
    for run, ref in rows:
        yield runs[run], ref


def _chunks(items: Iterable[_T]) -> Iterator[list[_T]]:
    remaining = iter(items)
    return iter(lambda: list(islice(remaining, _INPUTS)), [])


def _described(reader: LineageReads, steps: Iterable[Step]) -> Iterator[DownstreamPartition]:
    for chunk in _chunks(steps):
        states = reader.partition_states({ref for step in chunk for ref in (step.ref, step.use.input)})
        for ref, distance, use in chunk:
            state = states.get(ref, _UNKNOWN)
            record = states.get(use.input)
            changed = record is not None and not use.query and record.version not in {"", use.version}
            yield DownstreamPartition(
                ref,
                distance,
                use.input,
                use.version,
                query=use.query,
                status=state.status,
                available=state.available,
                tainted=state.tainted,
                input_changed=changed,
            )


_UNKNOWN: Final = PartitionState("", "AVAILABLE", available=False)
"""The state of a partition without a record: there is none, unless it was removed between two reads."""


def _token(position: Position) -> str:
    return json.dumps(position, separators=(",", ":"))


def _position(page_token: str) -> Position:
    if not page_token:
        return _START
    try:
        use, run, output = json.loads(page_token)
    except (ValueError, TypeError, RecursionError):
        raise _invalid(page_token) from None
    key = use if isinstance(use, list) else []
    if len(key) not in {0, 3} or not all(isinstance(part, str) and part.isprintable() for part in (*key, run, output)):
        raise _invalid(page_token)
    return Position((key[0], key[1], key[2]) if key else None, run, output)


def _count(page_token: str) -> int:
    if not page_token:
        return 0
    if not (page_token.isascii() and page_token.isdecimal() and len(page_token) < 10):
        raise _invalid(page_token)
    return int(page_token)


def _invalid(page_token: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{page_token[:80]!r} is not a page token of this list; pass the next_page_token of the page before"
    )
