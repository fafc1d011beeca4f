"""Selections of recorded partitions by refs, ranges of refs and patterns."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from databuild.graph.patterns import PartitionPattern

_Row = TypeVar("_Row")
_Read_co = TypeVar("_Read_co", covariant=True)


class _ReadUnder(Protocol[_Read_co]):
    def __call__(self, prefix: str, *, after: str, limit: int) -> Sequence[_Read_co]: ...


class Selection:
    """The partitions that refs, ranges and patterns name, read page by page."""

    def __init__(self, texts: Sequence[str], expand: Callable[[Sequence[str]], Sequence[str]]) -> None:
        """Selects partitions; all partitions if there is no text.

        Args:
            texts: Refs, ranges of refs, and partition patterns with fields in braces.
            expand: Returns the refs of refs and ranges.

        Raises:
            InvalidRequestError: A text is not valid.
        """
        self._patterns = [PartitionPattern(text) for text in texts if "{" in text]
        plain = [text for text in texts if "{" not in text]
        self._refs = sorted(set(expand(plain))) if plain else []
        if self._patterns:
            self._prefix = os.path.commonprefix([*(one.prefix for one in self._patterns), *self._refs])  # noqa: RUF071
            self._chosen = frozenset(self._refs)

    @property
    def refs(self) -> Sequence[str]:
        """The refs that are named one by one or by ranges, in order."""
        return self._refs

    def page(
        self,
        read_refs: Callable[[Sequence[str]], Sequence[_Row]],
        read_under: _ReadUnder[_Row],
        after: str,
        limit: int,
        *,
        ref: Callable[[_Row], str],
    ) -> tuple[Sequence[_Row], str]:
        """Returns the rows of the next partitions, and the last ref that was considered; empty at the end.

        Args:
            read_refs: Reads the rows of refs.
            read_under: Reads the rows of refs with a prefix, by ref.
            after: The last ref that was considered before; empty for the first page.
            limit: The maximum number of rows.
            ref: Returns the ref of a row.
        """
        if not self._patterns:
            if not self._refs:
                data = read_under("", after=after, limit=limit)
                return data, ref(data[-1]) if len(data) == limit else ""
            refs = [one for one in self._refs if one > after][: limit + 1]
            found = sorted(read_refs(refs[:limit]), key=ref)
            return found, refs[limit - 1] if len(refs) > limit else ""
        data = read_under(self._prefix, after=after, limit=limit)
        chosen = [row for row in data if ref(row) in self._chosen or self._matches(ref(row))]
        return chosen, ref(data[-1]) if len(data) == limit else ""

    def _matches(self, ref: str) -> bool:
        return any(pattern.match(ref) is not None for pattern in self._patterns)
