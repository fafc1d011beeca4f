"""The contract of every event log for the places of data, and for data that is missing from its store."""

from __future__ import annotations

import pytest

from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log, open_pruner
from databuild.event_log.verify import verify
from databuild.model.records import Location, StoredData
from databuild.model.results import Failed, Success
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.events.payloads import partition_missing
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.contract.placed_data import LOCATION, PLACE, place, records
from tests.support.step_builds import adopt, begin, build, claim, produce, take_over
from tests.support.stores import Store


async def lose(log: EventLog, operation: str, **versions: str) -> None:
    """Records that data is missing, given the versions by ref."""
    event = ev.BuildEvent(event_id=f"{operation}/1", build_request_id=operation, sequence=1)
    event.time.FromMilliseconds(300_500)
    event.missing.author = "ann"
    for ref, version in versions.items():
        event.missing.partitions.add(ref=ref, version=version)
    await log.append([event])


async def test_data_has_the_place_that_its_job_reported(log: EventLog) -> None:
    one = await begin(log, "b", "p", "q", "r")
    await place(one, 1, "p", PLACE)
    await place(one, 2, "q", pt.Location(uri="s3://bucket/q"))
    await produce(one, 3, "r")

    assert [records(log, "p", "q", "r")[ref].location for ref in "pqr"] == [LOCATION, Location("s3://bucket/q"), None]
    found = [StoredData("p", "b.1.1", LOCATION), StoredData("q", "b.2.1", Location("s3://bucket/q"))]
    assert sorted(log.reader().stored_data_of(["p", "q", "unknown"])) == found
    assert log.reader().stored_data_under(limit=2) == found
    assert log.reader().stored_data_under(after="q") == [StoredData("r", "b.3.1", None)]
    assert log.reader().stored_data_under("q") == found[1:]


async def test_data_that_a_build_claims_is_not_listed(log: EventLog) -> None:
    one = await begin(log, "b", "p")
    await place(one, 1, "p", PLACE)
    await one.complete_build(Success(jobs_completed=1))
    await begin(log, "c", "p")
    await log.renew_lease("c", "here", 60)
    await claim(log, "c", 1, "p")

    assert log.reader().stored_data_of(["p"]) == log.reader().stored_data_under("p") == []


async def test_new_data_has_its_own_place_or_none(log: EventLog) -> None:
    one = await begin(log, "b", "p", "q")
    await place(one, 1, "p", PLACE)
    await place(one, 2, "q", PLACE)
    await one.complete_build(Success(jobs_completed=2))
    two = await begin(log, "c", "p")
    await place(two, 1, "p", pt.Location(uri="file:///new"))
    await adopt(log, "a", "q", force=True)

    assert records(log, "p")["p"].location == Location("file:///new")
    assert records(log, "q")["q"].location is None


async def test_data_from_another_log_keeps_its_place(log: EventLog) -> None:
    await take_over(log, "a", ev.AdoptedRecord(ref="p", version="1", location=PLACE))

    assert records(log, "p")["p"].location == LOCATION


async def test_missing_data_is_not_available_until_it_is_made_again(log: EventLog) -> None:
    await build(log, "b", "p", "q")
    await lose(log, "m", p="b.1.1")

    record = records(log, "p")["p"]
    assert (record.status, record.available, record.time, record.build_request_id) == ("MISSING", False, 300.5, "m")
    assert log.reader().partition_counts() == {"AVAILABLE": 1, "MISSING": 1}
    assert log.reader().stored_data_of(["p"]) == []
    await build(log, "c", "p")
    record = records(log, "p")["p"]
    assert (record.status, record.available, record.version) == ("AVAILABLE", True, "c.1.1")
    assert verify(log.reader()).faults == 0


async def test_a_loss_of_data_that_was_replaced_meanwhile_has_no_effect(log: EventLog) -> None:
    await build(log, "b", "p")
    before = records(log, "p")
    await lose(log, "m", p="an earlier version", unknown="1")

    assert records(log, "p", "unknown") == before
    assert verify(log.reader()).faults == 0


async def test_a_build_may_lose_data_of_its_own_and_of_others(log: EventLog) -> None:
    await build(log, "b", "theirs")
    one = await begin(log, "c", "mine", "other")
    await place(one, 1, "mine", PLACE)
    await one.emit(partition_missing("mine", "c.1.1", "c.2.1"), partition_missing("theirs", "b.1.1"))
    lost = records(log, "mine", "theirs")
    one.emit_partition_scheduled("mine", 1, pt.REASON_LOST)
    await place(one, 1, "mine", PLACE, attempt=2)
    one.emit_partition_scheduled("theirs", 3, pt.REASON_LOST)
    await one.complete_build(Failed(message="no"))

    assert [(lost[ref].status, lost[ref].available) for ref in ("mine", "theirs")] == [("MISSING", False)] * 2
    made = records(log, "mine", "theirs")
    assert (made["mine"].version, made["mine"].available) == ("c.1.2", True)
    assert (made["theirs"].status, made["theirs"].available) == ("FAILED", False)
    assert verify(log.reader()).reported == ()


@pytest.mark.parametrize("steps", [3, 4, 5])
async def test_a_loss_does_not_depend_on_the_batches_of_events(uri: str, steps: int) -> None:
    one = BuildOrchestrator.with_mock_event_log("b", ["p"], clock=lambda: 100.0)
    await one.start_build(graph_label="//:g")
    await one.start_planning()
    await one.emit_partition_scheduled("p", 1, pt.REASON_MISSING)
    await one.complete_planning()
    await one.start_execution()
    await place(one, 1, "p", PLACE)
    await one.emit(partition_missing("p", "b.1.1"))
    if steps > 3:
        await one.emit_partition_scheduled("p", 1, pt.REASON_LOST)
    if steps > 4:
        await place(one, 1, "p", PLACE, attempt=2)
    else:
        await one.complete_build(Failed(message="no"))
    log = open_event_log(uri)
    await log.append(one.emitted_events)
    record = records(log, "p")["p"]
    found = verify(log.reader())
    await log.close()

    assert found.reported == ()
    assert (record.location, record.available) == (LOCATION, steps > 4)
    assert record.status == {3: "FAILED", 4: "FAILED", 5: "AVAILABLE"}[steps]


async def test_places_and_losses_outlive_the_pruning_of_their_builds(store: Store) -> None:
    log = open_event_log(store.uri)
    one = await begin(log, "b", "p", "q")
    await place(one, 1, "p", PLACE)
    await place(one, 2, "q", PLACE)
    await one.complete_build(Success(jobs_completed=2))
    await lose(log, "m", q="b.2.1")
    pruner = open_pruner(store.uri)
    pruner.prune(["b"], 400.0)
    pruner.close()
    await build(log, "c", "p")
    one = await begin(log, "d", "p")
    await place(one, 1, "p", PLACE)
    await one.complete_build(Success(jobs_completed=1))
    before = records(log, "p", "q")
    pruner = open_pruner(store.uri)
    pruner.prune(["c", "d"], 500.0)  # replaces the snapshot of `p`
    pruner.close()
    await log.close()
    writer = store.write()
    writer.rebuild()
    writer.close()
    log = open_event_log(store.uri)

    assert records(log, "p", "q") == before
    assert records(log, "p")["p"].location == LOCATION
    assert verify(log.reader()).faults == 0
    await log.close()
