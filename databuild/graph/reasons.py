"""Why planning decided about a partition as it did, in words."""

from __future__ import annotations

from databuild.model.job_graph import PlannedPartition
from databuild.v1 import partition_pb2 as pt


def reason_name(reason: int) -> str:
    """Returns the name of a reason without its prefix, such as `CODE_CHANGED`."""
    return pt.Reason.Name(reason).removeprefix("REASON_")


def reason_text(partition: PlannedPartition) -> str:
    """Returns why a partition will be built, or will not, in a few words."""
    words = reason_name(partition.reason).lower().replace("_", " ")
    return f"{words}: {partition.cause}" if partition.cause else words
