"""Planning with deleted and forgotten data: what was made from deleted data stays fresh until something needs it."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from databuild.graph.catalog import Job, JobCatalog
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import JobConfig, Plan
from databuild.model.records import AdoptionRecord, RemovalRecord
from databuild.model.statuses import PartitionStatus
from tests.support.planning import Configure, Records, catalog, outputs, plan, reasons


def remove(records: Records, *refs: str, kind: PartitionStatus = "DELETED") -> None:
    for ref in refs:
        removal = RemovalRecord("m", "ann", "old", 1.0, kind)
        records[ref] = records[ref]._replace(status=kind, available=False, removal=removal)


@pytest.fixture
async def built() -> Records:
    return Records().build(await plan(["report/1"]))


async def test_what_was_made_from_deleted_data_stays_fresh(built: Records) -> None:
    remove(built, "clean/1", "clean/2", "raw/1", "raw/2")
    made = await plan(["report/1"], built)

    assert made.tasks == ()
    assert reasons(made) == {
        "report/1": "UP_TO_DATE",
        **dict.fromkeys(("clean/1", "clean/2", "raw/1", "raw/2"), "DELETED_UNNEEDED"),
    }


async def test_requested_data_is_made_again(built: Records) -> None:
    remove(built, "clean/1")
    made = await plan(["clean/1"], built)

    assert (outputs(made), reasons(made)["clean/1"]) == (["clean/1"], "DELETED")
    assert made.versions == {"raw/1": "run1.raw/1"}


async def test_deleted_data_that_a_task_needs_is_made_again_with_its_own_inputs(built: Records) -> None:
    remove(built, "clean/1", "raw/1")
    made = await plan(["report/1"], built, graph=catalog(report="2"))

    assert sorted(outputs(made)) == ["clean/1", "raw/1", "report/1"]
    assert reasons(made) == {
        "report/1": "CODE_CHANGED",
        "clean/1": "DELETED",
        "raw/1": "DELETED",
        "clean/2": "UP_TO_DATE",
        "raw/2": "UP_TO_DATE",
    }


async def test_a_deleted_input_of_an_available_one_is_not_made_again(built: Records) -> None:
    remove(built, "raw/1")
    made = await plan(["report/1"], built, graph=catalog(report="2"))

    assert outputs(made) == ["report/1"]
    assert reasons(made)["raw/1"] == "DELETED_UNNEEDED"


async def test_other_partitions_become_stale_if_an_input_is_made_again(built: Records) -> None:
    built.build(await plan(["report/2"], built), "run2")
    remove(built, "clean/1")
    built["report/2"] = built["report/2"]._replace(tainted=True)
    made = await plan(["report/1", "report/2"], built)

    assert sorted(outputs(made)) == ["clean/1", "report/1", "report/2"]
    assert reasons(made)["report/1"] == "INPUT_CHANGED"


async def test_a_change_upstream_of_deleted_data_makes_it_and_what_follows_stale(built: Records) -> None:
    remove(built, "clean/1", "clean/2")
    made = await plan(["report/1"], built, graph=catalog(raw="2"))

    assert sorted(outputs(made)) == ["clean/1", "clean/2", "raw/1", "raw/2", "report/1"]
    assert reasons(made)["clean/1"] == "INPUT_CHANGED"


async def test_stale_data_is_reused_without_its_deleted_inputs(built: Records) -> None:
    remove(built, "clean/1", "raw/1")
    reuse = PlanOptions(reuse_stale=True)

    assert (await plan(["report/1"], built, graph=catalog(clean="2"), options=reuse)).tasks == ()
    made = await plan(["clean/1"], built, graph=catalog(clean="2"), options=reuse)
    assert sorted(outputs(made)) == ["clean/1", "raw/1"]


async def test_tainted_data_is_made_again_although_it_was_deleted(built: Records) -> None:
    remove(built, "clean/1")
    built["clean/1"] = built["clean/1"]._replace(tainted=True)

    assert sorted(outputs(await plan(["report/1"], built))) == ["clean/1", "report/1"]


async def test_forgotten_data_is_made_again_and_makes_what_follows_stale(built: Records) -> None:
    remove(built, "clean/1", kind="FORGOTTEN")
    made = await plan(["report/1"], built)

    assert sorted(outputs(made)) == ["clean/1", "report/1"]
    assert (reasons(made)["clean/1"], reasons(made)["report/1"]) == ("FORGOTTEN", "INPUT_CHANGED")


async def test_data_that_another_build_makes_again_is_left_to_it(built: Records) -> None:
    remove(built, "clean/1")
    built["clean/1"] = built["clean/1"]._replace(claimed_by_build_request_id="c")

    assert reasons(await plan(["report/1"], built))["clean/1"] == "BUILDING_ELSEWHERE"


async def test_inputs_of_adopted_data_that_was_deleted_are_made_only_if_it_is_needed() -> None:
    records = Records().build(await plan(["clean/1", "clean/2"]))
    adopted = AdoptionRecord("a", "ann", "moved", 1.0)
    records["clean/1"] = records["clean/1"]._replace(job_run_id="", manifest=None, adoption=adopted, version="a/1")
    records.build(await plan(["report/1"], records), "run2")
    del records["raw/1"]
    remove(records, "clean/1")

    assert (await plan(["report/1"], records)).tasks == ()
    changed = await plan(["report/1"], records, graph=catalog(report="2"))
    assert sorted(outputs(changed)) == ["clean/1", "raw/1", "report/1"]
    assert sorted(outputs(await plan(["clean/1"], records))) == ["clean/1", "raw/1"]


class Chain(Configure):
    """Configurations of partitions that need up to two partitions with lower numbers."""

    def __init__(self, chance: random.Random) -> None:
        inputs = {
            number: sorted(chance.sample(range(number), min(number, chance.randrange(3)))) for number in range(1, 20)
        }
        super().__init__(raw=lambda ref: self._config(ref, inputs))

    @staticmethod
    def _config(ref: str, inputs: dict[int, list[int]]) -> JobConfig:
        return JobConfig((ref,), tuple(f"raw/{other}" for other in inputs.get(int(ref[4:]), ())))


def chains() -> Iterator[tuple[random.Random, Chain]]:
    for seed in range(60):
        chance = random.Random(seed)
        yield chance, Chain(chance)


def upstream(made: Plan) -> dict[str, tuple[str, ...]]:
    return {task.config.outputs[0]: task.config.materialize for task in made.tasks}


async def test_a_plan_has_just_the_deleted_data_that_its_tasks_need() -> None:
    everything = [f"raw/{number}" for number in range(20)]
    one_job = JobCatalog(
        graph_label="//:g", jobs={"//:raw": Job(label="//:raw", executable="r", outputs=("raw/{d:int}",))}
    )
    kept = made_again = 0
    for chance, configure in chains():
        records = Records().build(await plan(everything, configure=configure, graph=one_job))
        deleted = {ref for ref in everything if chance.random() < 0.4}
        tainted = {ref for ref in everything if chance.random() < 0.1} - deleted
        requested = sorted(set(everything) - deleted)
        remove(records, *deleted)
        records.update((ref, records[ref]._replace(tainted=True)) for ref in tainted)
        made = await plan(requested, records, configure, one_job)
        needed = upstream(made)

        # Each input of a task exists, or is made by a task before it.
        for ref, inputs in needed.items():
            assert all(used in needed or records[used].available for used in inputs), ref
        # Deleted data is rebuilt only for a task, or because its own input is.
        for ref in deleted & needed.keys():
            assert any(ref in inputs for inputs in needed.values()) or any(used in needed for used in needed[ref])
        # A partition that is not rebuilt has inputs that are not rebuilt.
        for ref in set(requested) - needed.keys():
            assert needed.keys().isdisjoint(configure.answers["//:raw"](ref).materialize)
        kept += len(deleted - needed.keys())
        made_again += len(deleted & needed.keys())

    assert kept > 50
    assert made_again > 20
