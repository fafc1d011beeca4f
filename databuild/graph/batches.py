"""Cuts refs into batches that fit on a command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

BATCH_REFS: Final = 4096
"""How many refs one call is asked for at most."""

BATCH_BYTES: Final = 256 * 1024
"""How long the refs of one call are together at most: far below what Linux lets a command line be."""


def batches(refs: Sequence[str]) -> Iterator[Sequence[str]]:
    """Returns refs in their order, as many together as one call is asked for."""
    start = length = 0
    for number, ref in enumerate(refs):
        length += len(ref) + 1
        if number > start and (number - start >= BATCH_REFS or length > BATCH_BYTES):
            yield refs[start:number]
            start, length = number, len(ref) + 1
    if start < len(refs):
        yield refs[start:]
