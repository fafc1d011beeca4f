"""Batches of refs that fit on a command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

MAX_BATCH_REFS: Final = 4096

MAX_BATCH_BYTES: Final = 256 * 1024
"""Far below the limit of Linux for arguments and environment together, a quarter of the stack limit (usually 2 MiB)."""


def batches(refs: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yields refs in their order, in batches that keep both limits. A longer ref is a batch of its own."""
    start = length = 0
    for number, ref in enumerate(refs):
        length += len(ref) + 1
        if number > start and (number - start >= MAX_BATCH_REFS or length > MAX_BATCH_BYTES):
            yield refs[start:number]
            start, length = number, len(ref) + 1
    if start < len(refs):
        yield refs[start:]


def batches_that_fit(refs: Sequence[str], fits: Callable[[Sequence[str]], bool]) -> Iterator[Sequence[str]]:
    """Yields refs in their order, halved until each batch fits. A single ref is not divided, even if it does not fit.

    Args:
        refs: The refs; none yield nothing.
        fits: Returns True if one command line can have these refs. The environment also counts, and the kernel's limit
            may be far below MAX_BATCH_BYTES, so the executor decides.
    """
    if len(refs) > 1 and not fits(refs):
        middle = len(refs) // 2
        yield from batches_that_fit(refs[:middle], fits)
        yield from batches_that_fit(refs[middle:], fits)
    elif refs:
        yield refs
