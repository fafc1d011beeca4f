"""Partitions as people write them: refs, ranges of refs, and none at all for the graph's default ones."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Iterator, Sequence

from databuild.cli.backend.invocation import Invocation
from databuild.cli.flags.command_table import COMMANDS_BY_NAME
from databuild.errors import InvalidRequestError, UnknownPartitionError

_WORD = re.compile(r"[A-Za-z_-]+")


def expand(call: Invocation, texts: Sequence[str]) -> list[str]:
    """Returns the refs that texts ask for, ranges expanded, each once.

    Raises:
        InvalidRequestError: A text fits no pattern of the graph, or its range cannot be read.
    """
    with suggest_command():
        return list(call.catalog().expand(texts))


@contextlib.contextmanager
def suggest_command() -> Iterator[None]:
    """Names the command that a partition which nobody produces may have been meant to be."""
    try:
        yield
    except UnknownPartitionError as error:
        nearest = nearest_command(error.ref)
        if nearest is None:
            raise
        message = f"{error.ref!r} is neither a command nor a partition that a job produces; did you mean `{nearest}`?"
        raise InvalidRequestError(message) from None


def requested_partitions(call: Invocation, partitions: Sequence[str]) -> list[str]:
    """Returns the refs that texts ask for; without any, the graph's default partitions.

    Raises:
        InvalidRequestError: Nothing is asked for, or something that is not there.
    """
    texts = partitions or call.catalog().default_partitions
    if not texts:
        message = f"no partition is named, and {call.graph_label} has no default_partitions"
        raise InvalidRequestError(message)
    return expand(call, texts)


def nearest_command(text: str) -> str | None:
    """Returns the command that a single word may have been meant to be."""
    if not _WORD.fullmatch(text):
        return None
    nearest = difflib.get_close_matches(text.lower().replace("-", "_"), COMMANDS_BY_NAME, n=1, cutoff=0.7)
    return nearest[0] if nearest else None
