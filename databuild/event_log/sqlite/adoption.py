"""Whether data may be adopted, in SQLite: not where it is there already, or a build is about to produce it.

Called inside the transaction that would write the adoption, after everything that was appended before it.
"""

from __future__ import annotations

import json
import sqlite3

from databuild.errors import AdoptionRefusedError
from databuild.event_log.sqlite.connection import QUERIES
from databuild.v1 import events_pb2 as ev


def refusal(connection: sqlite3.Connection, event: ev.BuildEvent) -> AdoptionRefusedError | None:
    """Returns why an event is refused; None where it is no adoption, or one that may be written."""
    if event.WhichOneof("event") != "adoption" or event.adoption.force:
        return None
    refs = json.dumps([ref.str for ref in event.adoption.partitions])
    taken = dict(connection.execute(QUERIES["adoption_conflicts"], {"keys": refs}).fetchall())
    return AdoptionRefusedError(taken) if taken else None
