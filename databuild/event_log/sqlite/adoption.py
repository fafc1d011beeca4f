"""Whether data may be adopted, in SQLite: not where it is there already, or a build is about to produce it.

Called inside the transaction that would write the adoption, after everything that was appended before it.
"""

from __future__ import annotations

import json
import sqlite3

from databuild.errors import AdoptionRefusedError
from databuild.v1 import events_pb2 as ev

_TAKEN = """
SELECT j.value, coalesce(c.build_request_id, '') FROM json_each(?) j
LEFT JOIN partitions p ON p.ref = j.value AND p.available LEFT JOIN claims c ON c.ref = j.value
WHERE p.ref IS NOT NULL OR c.ref IS NOT NULL ORDER BY j.value
"""


def refusal(connection: sqlite3.Connection, event: ev.BuildEvent) -> AdoptionRefusedError | None:
    """Returns why an event is refused; None where it is no adoption, or one that may be written."""
    if event.WhichOneof("event") != "adoption" or event.adoption.force:
        return None
    refs = json.dumps([ref.str for ref in event.adoption.partitions])
    taken = dict(connection.execute(_TAKEN, (refs,)).fetchall())
    return AdoptionRefusedError(taken) if taken else None
