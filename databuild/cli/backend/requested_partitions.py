"""Partitions as users write them: refs, ranges of refs, or nothing for the default partitions of the graph."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from databuild.cli.backend.invocation import Invocation
from databuild.errors import InvalidRequestError, UnknownPartitionError


def expand(call: Invocation, texts: Sequence[str], *, produced: bool = True) -> list[str]:
    """Returns the refs that texts name, each once, with ranges expanded.

    Args:
        call: The invocation.
        texts: Refs and ranges of refs.
        produced: False to accept refs that no job produces.

    Raises:
        InvalidRequestError: A text matches no pattern of the graph, or its range is invalid.
    """
    with suggest_command():
        return list(call.catalog().expand(texts, produced=produced))


@contextlib.contextmanager
def suggest_command() -> Iterator[None]:
    """Replaces the error of an unknown partition by one that suggests a command, if the ref is similar to its name."""
    try:
        yield
    except UnknownPartitionError as error:
        from databuild.cli.flags.near_form import near_command

        hint = near_command(error.ref)
        if not hint:
            raise
        message = f"{error.ref!r} is neither a command nor a partition of the graph; {hint}"
        raise InvalidRequestError(message) from None


def requested_partitions(call: Invocation, partitions: Sequence[str]) -> list[str]:
    """Returns the refs that texts name; without texts, the default partitions of the graph.

    Raises:
        InvalidRequestError: There are neither texts nor default partitions, or a text is invalid.
    """
    texts = partitions or call.catalog().default_partitions
    if not texts:
        message = f"no PARTITION is given, and {call.graph_label} has no default_partitions; give at least one"
        raise InvalidRequestError(message)
    return expand(call, texts)
