"""Keyset paging: reads all rows of a query page by page, each page after the key of the last row before it.

Rows that are added or removed meanwhile never cause others to be read twice or left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

PAGE_ROWS: Final = 1000

_Row = TypeVar("_Row")
_Key = TypeVar("_Key")


def read_pages(
    read: Callable[[_Key, int], Sequence[_Row]],
    *,
    key: Callable[[_Row], _Key],
    start: _Key,
    size: int = PAGE_ROWS,
) -> Iterator[Sequence[_Row]]:
    """Yields pages with at least one row. A page with fewer rows than `size` is the last.

    Args:
        read: Returns the first rows after a key, in the order of their keys, at most as many as its second argument.
        key: Returns the key of a row.
        start: The key to begin after.
        size: The maximum of rows per page.
    """
    after = start
    while page := read(after, size):
        yield page
        if len(page) < size:
            return
        after = key(page[-1])


def read_rows(
    read: Callable[[_Key, int], Sequence[_Row]],
    *,
    key: Callable[[_Row], _Key],
    start: _Key,
    size: int = PAGE_ROWS,
) -> Iterator[_Row]:
    """Yields rows one by one; the arguments are those of `read_pages`."""
    for page in read_pages(read, key=key, start=start, size=size):
        yield from page
