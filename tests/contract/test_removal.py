"""The contract of every event log for data that is forgotten or deleted."""

from __future__ import annotations

import pytest

from databuild.errors import RemovalRefusedError
from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log, open_pruner
from databuild.event_log.verify import verify
from databuild.model.records import RemovalRecord
from databuild.model.results import Failed, Success
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.contract.placed_data import LOCATION, PLACE, place, records
from tests.support.step_builds import adopt, begin, build, claim, take_over
from tests.support.stores import Store

FORGOTTEN, DELETED = pt.PARTITION_STATUS_FORGOTTEN, pt.PARTITION_STATUS_DELETED


def removal(
    operation: str, kind: pt.PartitionStatus, versions: dict[str, str], *, completed: bool = False
) -> ev.BuildEvent:
    """Returns the event of a removal, given the versions by ref."""
    event = ev.BuildEvent(event_id=f"{operation}/1", build_request_id=operation, sequence=1)
    event.time.FromMilliseconds(300_500)
    event.removal.author, event.removal.reason = "ann", "old"
    event.removal.kind, event.removal.completed = kind, completed
    for ref, version in versions.items():
        event.removal.partitions.add(ref=ref, version=version)
    return event


async def remove(
    log: EventLog, operation: str, kind: pt.PartitionStatus, *, completed: bool = False, **versions: str
) -> None:
    """Records that data is removed, given the versions by ref."""
    await log.append([removal(operation, kind, versions, completed=completed)])


@pytest.mark.parametrize(("kind", "name"), [(FORGOTTEN, "FORGOTTEN"), (DELETED, "DELETED")])
async def test_removed_data_is_not_available_until_it_is_made_again(
    log: EventLog, kind: pt.PartitionStatus, name: str
) -> None:
    await build(log, "b", "p", "q")
    await remove(log, "m", kind, p="b.1.1")

    record = records(log, "p")["p"]
    assert (record.status, record.available, record.time, record.build_request_id) == (name, False, 300.5, "m")
    assert record.removal is not None
    assert record.removal._asdict() == RemovalRecord("m", "ann", "old", 300.5, record.status)._asdict()
    assert (record.version, record.job_run_id, record.deleted) == ("b.1.1", "b.1.1", kind == DELETED)
    assert log.reader().partition_counts() == {"AVAILABLE": 1, name: 1}
    assert log.reader().stored_data_of(["p"]) == []
    assert [run.job_run_id for run in log.reader().produced_by("p")] == ["b.1.1"]
    await build(log, "c", "p")
    record = records(log, "p")["p"]
    assert (record.status, record.available, record.version, record.removal) == ("AVAILABLE", True, "c.1.1", None)
    assert verify(log.reader()).reported == ()


async def test_a_removal_of_data_that_was_replaced_meanwhile_has_no_effect(log: EventLog) -> None:
    await build(log, "b", "p")
    before = records(log, "p")
    await remove(log, "m", DELETED, p="an earlier version", unknown="1")
    await remove(log, "n", DELETED, p="b.1.1", completed=True)

    assert records(log, "p", "unknown") == before
    assert verify(log.reader()).reported == ()


async def test_data_that_a_build_claims_is_not_removed(log: EventLog) -> None:
    await build(log, "b", "p", "q")
    await begin(log, "c", "p")
    await log.renew_lease("c", "here", 60)
    await claim(log, "c", 1, "p")
    with pytest.raises(RemovalRefusedError, match="'p' cannot be removed, since build c is making it") as caught:
        await remove(log, "m", DELETED, p="b.1.1", q="b.2.1")

    assert dict(caught.value.faults) == {"p": "build c is making it"}
    assert records(log, "q")["q"].available
    assert log.reader().events("m") == []


async def test_completed_deletions_have_no_location(log: EventLog) -> None:
    one = await begin(log, "b", "p", "q")
    await place(one, 1, "p", PLACE)
    await place(one, 2, "q", PLACE)
    await one.complete_build(Success(jobs_completed=2))
    await remove(log, "m", DELETED, p="b.1.1", q="b.2.1")
    assert records(log, "p")["p"].location == LOCATION
    await remove(log, "n", DELETED, p="b.1.1", completed=True)

    found = records(log, "p", "q")
    assert (found["p"].location, found["q"].location) == (None, LOCATION)
    assert found["p"].removal is not None
    assert found["p"].removal.operation_id == "m"
    assert found["p"].status == "DELETED"
    assert verify(log.reader()).reported == ()


async def test_a_removal_ends_a_taint(log: EventLog) -> None:
    await build(log, "b", "p")
    taint = ev.BuildEvent(event_id="t/1", build_request_id="t", sequence=1)
    taint.taint.CopyFrom(ev.TaintEvent(partitions=[pt.PartitionRef(str="p")], tainted=True, author="a", reason="b"))
    await log.append([taint])
    await remove(log, "m", FORGOTTEN, p="b.1.1")

    assert (records(log, "p")["p"].tainted, records(log, "p")["p"].taint_reason) == (False, "")
    assert log.reader().partition_counts() == {"FORGOTTEN": 1}
    assert verify(log.reader()).reported == ()


async def test_a_failed_build_leaves_a_removal_as_it_is(log: EventLog) -> None:
    await build(log, "b", "p")
    await remove(log, "m", DELETED, p="b.1.1")
    one = await begin(log, "c", "p")
    await one.complete_build(Failed(message="no"))

    record = records(log, "p")["p"]
    assert (record.status, record.deleted, record.version) == ("FAILED", True, "b.1.1")
    assert verify(log.reader()).reported == ()


async def test_adoption_ends_a_removal(log: EventLog) -> None:
    await build(log, "b", "p", "q")
    await remove(log, "m", FORGOTTEN, p="b.1.1", q="b.2.1")
    await adopt(log, "a", "p")
    await take_over(log, "a2", ev.AdoptedRecord(ref="q", version="1", location=PLACE))

    found = records(log, "p", "q")
    assert [(found[ref].available, found[ref].removal) for ref in ("p", "q")] == [(True, None)] * 2
    assert verify(log.reader()).reported == ()


async def test_removals_outlive_the_pruning_of_builds(store: Store) -> None:
    log = open_event_log(store.uri)
    one = await begin(log, "b", "p", "q")
    await place(one, 1, "p", PLACE)
    await place(one, 2, "q", pt.Location(uri="s3://bucket/q"))
    await one.complete_build(Success(jobs_completed=2))
    await remove(log, "m", DELETED, p="b.1.1", q="b.2.1")
    await remove(log, "n", DELETED, q="b.2.1", completed=True)
    for pruned in (["b"], ["c"]):
        pruner = open_pruner(store.uri)
        pruner.prune(pruned, 400.0)
        pruner.close()
        await build(log, "c" if pruned == ["b"] else "d", "r")
    before = records(log, "p", "q")
    await log.close()
    writer = store.write()
    writer.rebuild()
    writer.close()
    log = open_event_log(store.uri)

    assert records(log, "p", "q") == before
    assert (before["p"].location, before["q"].location) == (LOCATION, None)
    assert [record.deleted for record in before.values()] == [True, True]
    assert verify(log.reader()).reported == ()
    await log.close()
