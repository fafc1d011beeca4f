"""Partitions as users write them: refs, ranges of refs, or nothing for the default partitions of the graph."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence

from databuild.cli.backend.invocation import Invocation
from databuild.cli.flags.command_table import COMMANDS_BY_NAME
from databuild.errors import InvalidRequestError, UnknownPartitionError

_WORD = r"[A-Za-z_-]+"


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
        nearest = nearest_command(error.ref)
        if nearest is None:
            raise
        message = f"{error.ref!r} is neither a command nor a partition of the graph; did you mean `{nearest}`?"
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


def nearest_command(text: str) -> str | None:
    """Returns the command that is most similar to a word; None if none is similar, or the text is not one word."""
    if not re.fullmatch(_WORD, text):
        return None
    import difflib

    nearest = difflib.get_close_matches(text.lower().replace("-", "_"), COMMANDS_BY_NAME, n=1, cutoff=0.7)
    return nearest[0] if nearest else None
