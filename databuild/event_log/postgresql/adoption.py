"""Whether data may be adopted, in PostgreSQL: not where it is there already, or a build is about to produce it.

Called inside a transaction of the writer that has locked the partitions, so that what is found stays so until the
commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from databuild.errors import AdoptionRefusedError
from databuild.event_log.postgresql.connection import QUERIES
from databuild.event_log.postgresql.read_models import Step
from databuild.event_log.postgresql.statements import as_json
from databuild.v1 import events_pb2 as ev


def refusals(
    connection: psycopg.Connection[Any],
    accepted: Mapping[str, Sequence[ev.BuildEvent]],
    groups: Sequence[Sequence[Step]],
) -> dict[str, AdoptionRefusedError]:
    """Returns why adoptions are refused, by operation.

    Args:
        connection: The connection.
        accepted: The events that are about to be written.
        groups: What they change.
    """
    found: dict[str, AdoptionRefusedError] = {}
    made: set[str] = set()
    conflicts = QUERIES["adoption_conflicts"].encode()
    for build, events in accepted.items():
        adoption = events[0].adoption
        if adoption.partitions and not adoption.force:
            refs = {ref.str for ref in adoption.partitions}
            taken = dict.fromkeys(sorted(refs & made), "")
            taken.update(connection.execute(conflicts, {"keys": as_json(sorted(refs))}).fetchall())
            if taken:
                found[build] = AdoptionRefusedError(taken)
                continue
        changed = [step.changes.partitions for steps in groups for step in steps if step.build_request_id == build]
        made.update(ref for partitions in changed for ref, known in partitions.items() if known.data is not None)
    return found
