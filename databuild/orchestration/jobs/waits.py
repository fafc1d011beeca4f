"""Waits of a build for shared resources. Imports little, so that the command `status` starts fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from databuild.event_log.reads import CoordinationReads


def resource_waits(reader: CoordinationReads, build_request_id: str) -> list[str]:
    """Describes each resource that a build waits for, with the builds that hold it."""
    uses = reader.resource_use()
    waits = []
    for wait in uses:
        if wait.waiting and wait.build_request_id == build_request_id:
            holders = [
                f"{use.build_request_id} has {use.amount}"
                for use in uses
                if use.resource == wait.resource and use.amount
            ]
            waits.append(f"for {wait.resource}: {', '.join(holders) or 'it is the turn of another build'}")
    return waits
