"""The processes that remove data in the chaos tests. Imports no pytest, so that processes start fast."""

from __future__ import annotations

import asyncio
import os
import random
import sys

from databuild.errors import CoordinationError, EventLogError, RemovalRefusedError
from databuild.event_log.open import open_event_log
from databuild.executors.local import LocalExecutor
from databuild.orchestration.stores.removal import Removals
from databuild.orchestration.stores.selection import Selection
from databuild.storage.storages import Storages
from tests.chaos import building

_OPERATIONS = 20
_MAX_PLANNING_SECONDS = 0.5


def remove(uri: str, name: str, folder: str, seed: int) -> None:
    """Deletes and forgets data many times, and exits; the exit code tells if the log could be used."""
    said = os.open(f"{folder}/{name}.said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 2)
    sys.exit(asyncio.run(_remove(uri, random.Random(seed))))


async def _remove(uri: str, chosen: random.Random) -> int:
    try:
        log = open_event_log(uri)
        removals = Removals(
            log,
            LocalExecutor(base_env={}),
            Storages({}),
            produced=building.catalog_without_workers({}).may_produce,
            max_planning_seconds=_MAX_PLANNING_SECONDS,
        )
        for _ in range(_OPERATIONS):
            refs = chosen.sample(building.EVERYTHING, chosen.randint(1, 6))
            selection = Selection(refs, tuple)
            try:
                if chosen.random() < 0.7:
                    done = await removals.delete_part(selection, author="ann", reason="old")
                    print("delete", [(one.ref, one.fault) for one in done.data], file=sys.stderr)
                else:
                    forgotten = await removals.forget(selection, author="ann", reason="wrong")
                    print("forget", forgotten.partitions, file=sys.stderr)
            except RemovalRefusedError as error:
                print(error, file=sys.stderr)
            await asyncio.sleep(chosen.uniform(0, 0.05))  # the times of the removals are random, by the seed
        await log.close()
    except (CoordinationError, EventLogError) as error:
        print(error, file=sys.stderr)
        return building.UNWRITTEN
    return building.BUILT
