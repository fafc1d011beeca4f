"""Plans that are run exactly, forced and reused, and the reasons in them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from google.protobuf.json_format import MessageToDict

from databuild.errors import PlanChangedError
from databuild.executors.executor import ProcessResult
from databuild.graph.catalog import RetryPolicy
from databuild.model.job_graph import Plan
from databuild.model.results import Success
from databuild.orchestration.events.payloads import TASKS_PER_EVENT
from databuild.v1 import partition_pb2 as pt
from tests.support.build_world import CLEAN, DONE, RAW, Report, World, config, jobs
from tests.support.present import present


async def test_a_plan_is_run_exactly_or_not_at_all(world: World) -> None:
    plan = await world.plan("clean/1")
    await world.build("b1", "raw/1")

    with pytest.raises(PlanChangedError) as raised:
        await world.build("b2", "clean/1", plan=plan)

    assert "raw/1 need not be built any more" in str(raised.value)
    assert present(world.log.reader().build("b2")).status == "FAILED"
    end = world.log.reader().events("b2")[-1].build_request
    assert (end.error.code, end.error.message) == ("PLAN_CHANGED", str(raised.value))
    assert MessageToDict(end.error.facts)["differences"] == list(raised.value.differences)
    assert await world.build("b3", "clean/1", plan=await world.plan("clean/1")) == Success(jobs_completed=1)


async def test_a_forced_build_builds_what_was_asked_for_only(world: World) -> None:
    await world.build("b1", "clean/1")

    assert await world.build("b2", "clean/1", force=True) == Success(jobs_completed=1)
    assert world.executor.ran[-1] == (CLEAN, "1")


async def test_stale_data_is_used_when_asked_to(world: World) -> None:
    await world.build("b1", "clean/1")
    world.catalog = jobs(code_digests={CLEAN: "new"})

    assert await world.build("b2", "clean/1", reuse_stale=True) == Success(jobs_completed=0)


def causes(plan: Plan) -> dict[str, tuple[str, str]]:
    return {one.ref: (pt.Reason.Name(one.reason).removeprefix("REASON_"), one.cause) for one in plan.partitions}


async def test_a_changed_configuration_is_told_with_its_old_and_new_values_from_the_events_of_the_past_build(
    world: World,
) -> None:
    failures = iter([1, 0, 1, 0])

    def raw(env: Mapping[str, str], _report: Report) -> ProcessResult:
        failing = env["DATABUILD_ATTEMPT"] == "1" and next(failures, 0)
        return ProcessResult(exit_code=1) if failing else DONE

    world.catalog = jobs(retry=RetryPolicy(retries=1))
    world.executor.runs[RAW] = raw
    refs = [f"raw/{number}" for number in range(TASKS_PER_EVENT + 200)]
    world.executor.configs = {ref: config(ref, args=["day", ref]) for ref in refs}
    await world.build("b", *refs)
    changed = (refs[0], refs[7], refs[TASKS_PER_EVENT + 150])
    for ref in changed:
        world.executor.configs[ref] = config(ref, args=["day", f"{ref}/new"])

    made = await world.plan(*refs, past=world.log.reader())
    assert {ref: why for ref, why in causes(made).items() if why[0] != "UP_TO_DATE"} == {
        ref: ("CONFIGURATION_CHANGED", f"argument 2 was '{ref}' and is '{ref}/new'") for ref in changed
    }
    unread = await world.plan(changed[0])
    assert causes(unread)[changed[0]][1].startswith("an argument or a variable; the earlier ones are no")

    await world.build("c", *changed)
    events = world.log.reader().events("c")
    scheduled = [one.partition for one in events if one.partition.status == pt.PARTITION_STATUS_SCHEDULED]
    assert {one.ref: one.cause for one in scheduled} == {ref: causes(made)[ref][1] for ref in changed}


async def test_a_changed_plan_names_the_changed_part_of_the_configuration(world: World) -> None:
    world.executor.configs["raw/1"] = config("raw/1", args=["old"])
    plan = await world.plan("raw/1")
    world.executor.configs["raw/1"] = config("raw/1", args=["new"])

    with pytest.raises(
        PlanChangedError, match=r"configuration of raw/1 has changed: argument 1 was 'old' and is 'new'"
    ):
        await world.build("b", "raw/1", plan=plan)
