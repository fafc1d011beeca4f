"""Every event log grants claims, leases and resources to one build at a time."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from databuild.errors import CoordinationError, InvalidStateTransitionError
from databuild.event_log.coordination import ClaimRequest, LeaseOwner, Need, ResourceUse
from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log, open_reader
from databuild.event_log.verify import verify
from databuild.model.lifecycle import BuildState
from databuild.model.results import Cancelled, Failed, Success
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.events.payloads import job_event
from databuild.v1 import events_pb2 as ev
from tests.support.step_builds import begin, claim, produce
from tests.support.stores import Store


async def test_a_claim_is_granted_completely_to_one_build_until_its_partitions_have_ended(log: EventLog) -> None:
    one = await begin(log, "b1", "p", "q")
    await log.renew_lease("b1", "here", 60)
    await begin(log, "b2", "p", "q")
    await log.renew_lease("b2", "here", 60)
    first = await claim(log, "b1", 1, "p")
    refused = await claim(log, "b2", 1, "p", "q")
    again = await claim(log, "b1", 1, "p")
    await produce(one, 1, "p")
    after = await claim(log, "b2", 1, "p", "q")

    assert first.token > 0
    assert (refused.token, refused.held_by) == (0, {"p": "b1"})
    assert again.token > first.token
    assert after.token > again.token
    assert after.versions == {"p": "b1.1.1"}
    assert log.reader().claimed(["p", "q", "r"]) == {"p": "b2", "q": "b2"}
    assert log.reader().claims_of("b2") == {"p": "b2.1.1", "q": "b2.1.1"}


async def test_a_claimed_partition_is_not_available_until_the_claim_ends_without_a_run(log: EventLog) -> None:
    one = await begin(log, "b1", "p", "q")
    await produce(one, 1, "p")
    await produce(one, 2, "q")
    await one.complete_build(Success(jobs_completed=2))
    two = await begin(log, "b2", "p", "q")
    await log.renew_lease("b2", "here", 60)
    await claim(log, "b2", 1, "p")
    await claim(log, "b2", 2, "q")
    claimed = log.reader().partition_records(["p", "q"])
    await two.complete_build(Failed(message="it died"), {"q": "b2.2.1"})
    after = log.reader().partition_records(["p", "q"])

    assert not claimed["p"].available
    assert claimed["p"].claimed_by_build_request_id == "b2"
    assert after["p"].available
    assert not after["q"].available
    assert log.reader().claimed(["p", "q"]) == {}


async def test_a_run_that_is_skipped_or_cancelled_releases_its_claims(log: EventLog) -> None:
    one = await begin(log, "b", "p", "q")
    await log.renew_lease("b", "here", 60)
    await claim(log, "b", 1, "p")
    await claim(log, "b", 2, "q")
    skipped = job_event("b.1.1", 1, "//:j", ev.JOB_STATUS_SKIPPED)
    await one.emit(("job", skipped))

    assert log.reader().claimed(["p", "q"]) == {"q": "b"}


async def test_a_build_that_has_ended_can_neither_claim_nor_stay_alive(log: EventLog) -> None:
    one = await begin(log, "b", "p")
    await log.renew_lease("b", "here", 60)
    await one.complete_build(Cancelled())

    with pytest.raises(CoordinationError, match="it is CANCELLED"):
        await log.renew_lease("b", "here", 60)
    with pytest.raises(CoordinationError, match="its lease has ended"):
        await claim(log, "b", 1, "p")
    assert log.reader().holders() == {}


async def test_an_owned_lease_is_taken_over_only_from_the_named_holder(log: EventLog) -> None:
    mine = LeaseOwner("ann")
    await log.renew_lease("b", "here", 60, mine)
    await begin(log, "b", "p")
    await log.renew_lease("b", "here", 60, mine)

    for owner in (LeaseOwner("ann"), LeaseOwner("ann", "somebody")):
        with pytest.raises(CoordinationError, match="taken it over"):
            await log.renew_lease("b", "there", 60, owner)
    results = await asyncio.gather(
        *(log.renew_lease("b", place, 60, LeaseOwner("bob", "here")) for place in ("there", "elsewhere")),
        return_exceptions=True,
    )
    await log.renew_lease("b", "there", 60, LeaseOwner("bob", "here"))
    with pytest.raises(CoordinationError, match="taken it over"):
        await log.renew_lease("b", "here", 60, mine)

    assert [type(result) for result in results] == [type(None), CoordinationError]
    assert log.reader().leases(["here"]) == []
    ((lease, _),) = log.reader().leases(["there"])
    assert (lease.holder, lease.owner) == ("there", "bob")


async def test_a_lease_expires_by_the_clock_of_the_store(uri: str) -> None:
    now = [100.0]
    log = open_event_log(uri, clock=lambda: now[0])
    await begin(log, "b", "p")
    await log.renew_lease("b", "here", 30)
    reader = log.reader()
    holders = reader.holders()
    ((lease, early),) = reader.leases(holders)
    now[0] = 131.0
    later_holders = reader.holders()
    ((_, late),) = reader.leases(holders)
    await log.close()

    assert lease == ("b", 130.0, "here", "")
    assert (early, late) == (False, True)
    assert (holders, later_holders) == ({"here": False}, {"here": True})


async def test_leases_are_found_by_their_holders(uri: str) -> None:
    now = [100.0]
    log = open_event_log(uri, clock=lambda: now[0])
    for build, holder, seconds in (("b1", "here", 30), ("b2", "here", 60), ("b3", "there", 60), ("b4", "there", 60)):
        await begin(log, build, "p")
        await log.renew_lease(build, holder, seconds)
    now[0] = 131.0
    reader = log.reader()
    found = {
        holders: [(lease.build_request_id, expired) for lease, expired in reader.leases(holders)]
        for holders in (("here",), ("there", "nowhere"), ())
    }
    await log.close()

    assert reader.holders() == {"here": True, "there": False}
    assert found == {
        ("here",): [("b1", True), ("b2", False)],
        ("there", "nowhere"): [("b3", False), ("b4", False)],
        (): [],
    }


async def test_only_the_lease_of_a_build_that_is_not_in_the_log_is_removed(log: EventLog) -> None:
    await begin(log, "recorded", "p")
    for build in ("recorded", "unborn", "taken"):
        await log.renew_lease(build, "there" if build == "taken" else "here", 60)
    for build in ("recorded", "unborn", "taken", "nobody"):
        await log.remove_lease(build, "here")

    leases = log.reader().leases(["here", "there"])
    assert [(lease.build_request_id, lease.holder) for lease, _ in leases] == [("recorded", "here"), ("taken", "there")]


async def test_a_lease_is_removed_in_the_order_of_operations(log: EventLog) -> None:
    log.renew_lease("unborn", "here", 60)
    await log.remove_lease("unborn", "here")
    log.remove_lease("again", "here")
    await log.renew_lease("again", "here", 60)

    assert [lease.build_request_id for lease, _ in log.reader().leases(["here"])] == ["again"]


async def test_a_build_without_a_lease_is_found_until_it_ends(log: EventLog) -> None:
    builds = {name: await begin(log, name, "p") for name in ("b3", "b1", "b2")}
    await log.renew_lease("b2", "here", 60)
    begun = log.reader().unleased_builds()
    await builds["b3"].complete_build(Cancelled())
    ended = log.reader().unleased_builds()

    assert begun == ["b1", "b3"]
    assert ended == ["b1"]


async def test_resources_are_held_until_their_job_run_ends_and_builds_take_turns(log: EventLog) -> None:
    async def ask(build: str, task: int) -> str:
        run = f"{build}.{task}.1"
        (answer,) = await log.claim([ClaimRequest(build, run, (f"{build}{task}",), (Need("r", 1, 1),))])
        return answer.short_of

    builds = {}
    for build in ("a", "b"):
        await log.renew_lease(build, "here", 30)
        builds[build] = await begin(log, build, f"{build}1", f"{build}2", f"{build}3")
    assert await ask("a", 1) == ""
    assert await ask("b", 1) == "r"
    assert log.reader().claimed(["a1", "b1"]) == {"a1": "a"}
    assert log.reader().resource_use() == [ResourceUse("r", "a", 1, False), ResourceUse("r", "b", 0, True)]

    await produce(builds["a"], 1, "a1")
    assert await ask("a", 2) == ""  # granted something before the other first asked
    await produce(builds["a"], 2, "a2")
    assert await ask("a", 3) == "r"
    assert await ask("b", 1) == ""
    await builds["b"].complete_build(Cancelled())
    assert log.reader().resource_use() == [ResourceUse("r", "a", 0, True)]
    assert await ask("a", 3) == ""
    await builds["a"].complete_build(Cancelled())
    assert log.reader().resource_use() == []


async def test_a_process_that_continues_a_build_releases_the_resources_of_its_runs(store: Store) -> None:
    first, second = open_event_log(store.uri), open_event_log(store.uri)
    await first.renew_lease("b", "here", 60)
    one = await begin(first, "b", "p", "q")
    one.emit_job_scheduled("b.1.1", 1, "//:j")
    await one.emit_job_running("b.1.1", 1, "//:j")
    await first.claim([ClaimRequest("b", "b.1.1", ("p",), (Need("r", 1, 1),))])
    state = BuildState("b")
    with contextlib.closing(second.reader()) as reader:
        state.advance(reader.events("b"))
        before = [use.amount for use in reader.resource_use()]

        await BuildOrchestrator(second, "b", ["p", "q"], state=state).emit_job_completed("b.1.1", 1, "//:j")

        assert (before, [use.amount for use in reader.resource_use() if use.amount]) == ([1], [])
    await first.close()
    await second.close()


async def test_a_process_may_take_back_a_build_that_another_has_continued(store: Store) -> None:
    here, there = open_event_log(store.uri), open_event_log(store.uri)
    one = await begin(here, "b1", "p", "q")
    await here.renew_lease("b1", "here", 60, LeaseOwner(""))
    for log, holder, former, task, ref in ((there, "there", "here", 1, "p"), (here, "again", "there", 2, "q")):
        state = BuildState("b1")
        state.advance(log.reader().events("b1"))
        await log.renew_lease("b1", holder, 60, LeaseOwner("", former))
        await produce(BuildOrchestrator(log, "b1", ("p", "q"), state=state), task, ref)
        with pytest.raises(CoordinationError):
            await here.renew_lease("b1", "here", 60, LeaseOwner(""))

    with pytest.raises(InvalidStateTransitionError):
        await produce(one, 1, "p")
    assert {ref: record.status for ref, record in here.reader().partition_records(["p", "q"]).items()} == {
        "p": "AVAILABLE",
        "q": "AVAILABLE",
    }
    await here.close()
    await there.close()


async def test_a_process_that_was_refused_takes_a_build_back(store: Store) -> None:
    here, there = open_event_log(store.uri), open_event_log(store.uri)
    reader = open_reader(store.uri)

    def take_over(log: EventLog) -> BuildOrchestrator:
        state = BuildState("b")
        state.advance(reader.events("b"))
        return BuildOrchestrator(log, "b", ["p"], clock=lambda: 100.0, state=state)

    await begin(here, "b", "p")
    second = take_over(there)
    await second.emit_job_scheduled("b.1.1", 1, "//:j")
    late = reader.events("b")[-1]
    for _ in range(2):  # the second refusal comes from the events of the other process
        with pytest.raises(InvalidStateTransitionError):
            await here.append([late])
    await second.emit_job_running("b.1.1", 1, "//:j")
    third = take_over(here)
    await third.emit_partition_building("p", 1, "b.1.1")

    assert [event.sequence for event in reader.events("b")] == list(range(1, third.state.last_sequence + 1))
    assert verify(reader).reported == ()
    reader.close()
    await here.close()
    await there.close()
