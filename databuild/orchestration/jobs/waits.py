"""What a build waits for. Imports next to nothing, since `status` must answer at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from databuild.event_log.reads import CoordinationReads


def waits_of(reader: CoordinationReads, build_request_id: str) -> list[str]:
    """Returns what resources a build waits for, and who has them."""
    use = reader.resource_use()
    waits = []
    for one in use:
        if one.waiting and one.build_request_id == build_request_id:
            holders = [
                f"{other.build_request_id} has {other.amount}"
                for other in use
                if other.resource == one.resource and other.amount
            ]
            waits.append(f"for {one.resource}: {', '.join(holders) or 'it is the turn of another build'}")
    return waits
