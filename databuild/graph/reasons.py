"""Why planning decided about a partition as it did, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from databuild.model.job_graph import AbsentInput, PlannedPartition
from databuild.v1 import partition_pb2 as pt

_MAX_NAMED: Final = 5


def reason_name(reason: int) -> str:
    """Returns the name of a reason without its prefix, such as `CODE_CHANGED`."""
    return pt.Reason.Name(reason).removeprefix("REASON_")


def reason_text(partition: PlannedPartition) -> str:
    """Returns why a partition will be built, or will not, in a few words."""
    words = reason_name(partition.reason).lower().replace("_", " ")
    return f"{words}: {partition.cause}" if partition.cause else words


def absent_input_text(absent: AbsentInput) -> str:
    """Returns a QUERY input that does not exist, with who reads it and who could produce it."""
    producer = f"{absent.job_label} produces it" if absent.job_label else "no job is known to produce it"
    return f"{absent.ref!r}, which {absent.read_by!r} reads ({producer})"


def absent_inputs_warning(absent: Sequence[AbsentInput]) -> list[str]:
    """Returns a warning of QUERY inputs that do not exist; none where there are none."""
    if not absent:
        return []
    named = "; ".join(map(absent_input_text, absent[:_MAX_NAMED]))
    more = f"; and {len(absent) - _MAX_NAMED:,} more" if len(absent) > _MAX_NAMED else ""
    noun = "a QUERY input does" if len(absent) == 1 else f"{len(absent):,} QUERY inputs do"
    advice = "; build what jobs produce before, or make it a MATERIALIZE input"
    return [f"{noun} not exist: {named}{more}{advice if any(one.job_label for one in absent) else ''}"]
