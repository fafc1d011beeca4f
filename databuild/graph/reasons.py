"""Reasons of planning decisions, as text for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from databuild.model.enum_names import as_words, reason_name
from databuild.model.job_graph import AbsentInput, PlannedPartition

_MAX_NAMED: Final = 5


def reason_text(partition: PlannedPartition) -> str:
    """Returns the reason for the decision about a partition in a few words, such as `code changed`."""
    words = as_words(reason_name(partition.reason))
    return f"{words}: {partition.cause}" if partition.cause else words


def absent_input_text(absent: AbsentInput) -> str:
    """Describes a QUERY input that does not exist: the partition that reads it, and the job that could produce it."""
    producer = f"{absent.job_label} produces it" if absent.job_label else "no job is known to produce it"
    return f"{absent.ref!r}, which {absent.read_by!r} reads ({producer})"


def absent_inputs_warning(absent: Sequence[AbsentInput]) -> list[str]:
    """Returns one warning about QUERY inputs that do not exist; an empty list without such inputs."""
    if not absent:
        return []
    named = "; ".join(map(absent_input_text, absent[:_MAX_NAMED]))
    more = f"; and {len(absent) - _MAX_NAMED:,} more" if len(absent) > _MAX_NAMED else ""
    noun = "a QUERY input does" if len(absent) == 1 else f"{len(absent):,} QUERY inputs do"
    advice = "; build it first, or make it a MATERIALIZE input"
    return [f"{noun} not exist: {named}{more}{advice if any(an_input.job_label for an_input in absent) else ''}"]
