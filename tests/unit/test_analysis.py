"""Planning finds the job graph, and the reason for each task."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import pytest

from databuild.errors import (
    InvalidRequestError,
)
from databuild.graph.analysis import analyze
from databuild.graph.catalog import Job
from databuild.graph.plan_changes import changes_since
from databuild.graph.reasons import absent_inputs_warning
from databuild.graph.render import render_dot, render_mermaid, render_svg
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import JobConfig
from databuild.model.plan_messages import plan_from_message, plan_to_message
from databuild.model.planning import PlanningProgress
from databuild.model.records import AdoptionRecord, FailureRecord, InputVersion, Manifest, PartitionRecord
from databuild.v1 import partition_pb2 as pt
from tests.support.planning import (
    CLEAN,
    RAW,
    REPORT,
    Configure,
    Records,
    Told,
    any_catalog,
    catalog,
    outputs,
    plan,
    reasons,
)
from tests.support.present import present


@pytest.fixture
async def built() -> Records:
    return Records().build(await plan(["report/1"]))


async def test_everything_missing_is_planned_upstream_first() -> None:
    made = await plan(["report/1"])

    assert sorted(outputs(made)) == ["clean/1", "clean/2", "raw/1", "raw/2", "report/1"]
    assert all(upstream < task.task_id for task in made.tasks for upstream in task.upstream)
    assert set(reasons(made).values()) == {"MISSING"}
    assert [p.ref for p in made.partitions if p.requested] == ["report/1"]


async def test_a_job_is_asked_once_for_all_of_a_level() -> None:
    configure = Configure()

    await plan(["report/1", "report/2"], configure=configure)

    assert configure.calls == [
        (REPORT, ("report/1", "report/2")),
        (CLEAN, ("clean/1", "clean/2")),
        (RAW, ("raw/1", "raw/2")),
    ]


async def test_records_are_read_while_jobs_answer() -> None:
    told: list[str] = []

    class Read(Records):
        def partition_records(self, refs: Collection[str]) -> dict[str, PartitionRecord]:
            told.extend(refs)
            return {}

    class Asked(Configure):
        async def __call__(self, job: Job, refs: Sequence[str]) -> list[JobConfig]:
            told.append(f"asked {job.label}")
            answer = await super().__call__(job, refs)
            told.append(f"answered by {job.label}")
            return answer

    await plan(["clean/1"], Read(), Asked())

    # The record of the requested partition is read first, to predict which jobs will be asked.
    assert told == [
        "clean/1",
        f"asked {CLEAN}",
        f"answered by {CLEAN}",
        f"asked {RAW}",
        "raw/1",
        f"answered by {RAW}",
    ]


async def test_fresh_partitions_are_not_built_and_their_build_is_named(built: Records) -> None:
    made = await plan(["report/1"], built)

    assert made.tasks == ()
    assert set(reasons(made).values()) == {"UP_TO_DATE"}
    assert {partition.delegated_to for partition in made.partitions} == {"b"}


async def test_a_repeat_asks_each_job_once_however_deep_the_graph_is() -> None:
    def link(ref: str) -> JobConfig:
        number = int(ref.removeprefix("raw/"))
        return JobConfig((ref,), (f"raw/{number - 1}",) if number else ())

    records = Records().build(await plan(["raw/50"], configure=Configure(raw=link)))
    configure = Configure(raw=link)
    made = await plan(["raw/50"], records, configure)

    assert made.tasks == ()
    assert len(configure.calls) == 1


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("raw", {"raw/1": "CODE_CHANGED", "clean/1": "INPUT_CHANGED", "report/1": "INPUT_CHANGED"}),
        ("clean", {"raw/1": "UP_TO_DATE", "clean/1": "CODE_CHANGED", "report/1": "INPUT_CHANGED"}),
        ("report", {"raw/1": "UP_TO_DATE", "clean/1": "UP_TO_DATE", "report/1": "CODE_CHANGED"}),
    ],
)
async def test_changed_code_makes_what_depends_on_it_stale_and_nothing_else(
    built: Records, changed: str, expected: dict[str, str]
) -> None:
    made = await plan(["report/1"], built, graph=catalog(**{changed: "2"}))

    assert {ref: reason for ref, reason in reasons(made).items() if ref in expected} == expected


async def test_a_changed_configuration_is_seen_although_the_code_is_the_same(built: Records) -> None:
    configure = Configure(raw=lambda ref: JobConfig((ref,), args=("new",)))

    assert reasons(await plan(["raw/1"], built, configure)) == {"raw/1": "CONFIGURATION_CHANGED"}


async def test_an_input_built_since_is_named_as_the_cause(built: Records) -> None:
    built["raw/2"] = built["raw/2"]._replace(version="other")

    made = await plan(["report/1"], built)

    causes = {p.ref: p.cause for p in made.partitions if p.reason == pt.REASON_INPUT_CHANGED}
    assert causes == {"clean/2": "raw/2", "report/1": "clean/2"}


async def test_taint_failure_and_force_each_have_their_reason(built: Records) -> None:
    built["clean/1"] = built["clean/1"]._replace(tainted=True, taint_reason="ann: wrong")
    built["clean/2"] = built["clean/2"]._replace(available=False, failure=FailureRecord("USER", "no"))

    made = reasons(await plan(["report/1"], built))
    assert (made["clean/1"], made["clean/2"]) == ("TAINTED", "FAILED_BEFORE")
    assert reasons(await plan(["raw/1"], built, options=PlanOptions(force=True))) == {"raw/1": "FORCED"}


def adopted(ref: str) -> PartitionRecord:
    who = AdoptionRecord("a", "ann", "moved here", 100.0)
    return PartitionRecord(ref, "AVAILABLE", "a", 0, True, "a/1", "", "a", adoption=who)


async def test_adopted_partitions_are_up_to_date_and_their_inputs_are_not_read() -> None:
    records = Records({ref: adopted(ref) for ref in ("clean/1", "clean/2")})

    made = await plan(["report/1"], records, graph=catalog(clean="other"))

    assert reasons(made) == {"clean/1": "UP_TO_DATE", "clean/2": "UP_TO_DATE", "report/1": "MISSING"}
    assert [task.job_label for task in made.tasks] == [REPORT]
    assert made.versions == {"clean/1": "a/1", "clean/2": "a/1"}
    assert {partition.delegated_to for partition in made.partitions if not partition.task_id} == {"a"}


async def test_adopted_partitions_are_built_when_forced_or_tainted() -> None:
    records = Records({"clean/1": adopted("clean/1"), "raw/1": adopted("raw/1")})
    assert reasons(await plan(["clean/1"], records, options=PlanOptions(force=True))) == {
        "clean/1": "FORCED",
        "raw/1": "UP_TO_DATE",
    }
    records["clean/1"] = records["clean/1"]._replace(tainted=True, taint_reason="ann: wrong")

    assert reasons(await plan(["clean/1"], records)) == {"clean/1": "TAINTED", "raw/1": "UP_TO_DATE"}


async def test_a_build_of_what_was_adopted_makes_its_downstream_stale(built: Records) -> None:
    before = adopted("raw/1")
    records = Records(built | {"raw/1": before})
    clean = records["clean/1"]
    manifest = present(clean.manifest)._replace(inputs=(InputVersion("raw/1", before.version),))
    records["clean/1"] = clean._replace(manifest=manifest)
    assert reasons(await plan(["clean/1"], records)) == {"clean/1": "UP_TO_DATE", "raw/1": "UP_TO_DATE"}
    records["raw/1"] = built["raw/1"]

    assert reasons(await plan(["clean/1"], records)) == {"clean/1": "INPUT_CHANGED", "raw/1": "UP_TO_DATE"}


async def test_stale_partitions_can_be_reused_and_are_not_looked_behind(built: Records) -> None:
    configure = Configure()

    made = await plan(["report/1"], built, configure, catalog(report="2", raw="2"), PlanOptions(reuse_stale=True))

    assert reasons(made) == {"report/1": "STALE_REUSED"}
    assert made.tasks == ()


async def test_a_task_with_several_outputs_runs_whole() -> None:
    pair = JobConfig(("raw/1", "raw/2"))
    records = Records().build(await plan(["raw/1"], configure=Configure(raw=lambda _: pair)))
    del records["raw/1"]

    made = await plan(["raw/1"], records, Configure(raw=lambda _: pair))

    assert reasons(made) == {"raw/1": "MISSING", "raw/2": "NEEDED"}
    assert len(made.tasks) == 1


async def test_the_versions_of_what_is_read_and_not_built_are_known(built: Records) -> None:
    built["outside"] = PartitionRecord("outside", "AVAILABLE", "x", 0, True, "v9")
    del built["report/1"]

    made = await plan(["report/1"], built)

    assert made.versions == {"clean/1": "run1.clean/1", "clean/2": "run1.clean/2", "outside": "v9"}


async def test_large_requests_are_asked_in_batches() -> None:
    configure = Configure()

    await plan([f"raw/{number}" for number in range(10_000)], configure=configure)

    assert [len(refs) for _, refs in configure.calls] == [4096, 4096, 1808]


async def test_a_plan_survives_its_file() -> None:
    made = await plan(["report/1"])

    assert plan_from_message(plan_to_message(made)) == made


async def test_changes_since_a_plan_was_made_are_listed(built: Records) -> None:
    stale = await plan(["report/1"], built, graph=catalog(clean="2"))

    assert changes_since(stale, stale) == []
    now = await plan(["report/1"], built, graph=catalog(clean="3"))
    assert changes_since(stale, now) == ["the code of //:clean has changed"]
    rebuilt = Records(built).build(stale, run="run2")
    now = await plan(["report/1"], rebuilt, graph=catalog(clean="2"))
    assert "clean/1 need not be built any more (up to date)" in changes_since(stale, now)
    other = await plan(["raw/7"], built)
    assert any("is new in the plan" in line for line in changes_since(stale, other))


async def test_the_job_graph_is_drawn_by_task_and_a_large_one_by_job() -> None:
    small = await plan(["report/1"])
    large = await plan([f"clean/{number}" for number in range(300)])

    assert 't1["//:raw<br/>raw/1"]' in render_mermaid(small)
    assert "t1 -> t" in render_dot(small)
    assert "300 tasks" in render_mermaid(large)
    assert "j2 -> j1" in render_dot(large)
    assert "//:raw: raw/1 (planned)" in render_svg(small)
    assert "//:raw: 300 tasks" in render_svg(large)


async def test_a_lookup_decides_in_place_of_patterns_and_is_asked_once_a_level() -> None:
    asked = []

    async def lookup(refs: Sequence[str]) -> dict[str, str]:
        asked.append(tuple(sorted(refs)))
        return {ref: REPORT if ref == "all" else CLEAN if ref.startswith("clean") else RAW for ref in refs}

    plan = await analyze(["all"], catalog(), Configure(), Records(), lookup=lookup)

    assert asked == [("all",), ("clean/1", "clean/2"), ("raw/1", "raw/2")]
    assert sorted(task.job_label for task in plan.tasks) == sorted([RAW, RAW, CLEAN, CLEAN, REPORT])


async def test_lineage_that_nobody_produces_any_more_is_left_out_of_the_first_question() -> None:
    configure = Configure(report=lambda ref: JobConfig((ref,), ("clean/1",)))
    records = Records()
    old = InputVersion("gone/1", "1")
    records["report/1"] = PartitionRecord(
        "report/1", "AVAILABLE", "b", 0.0, True, "1", "b.1.1", "b", Manifest(REPORT, "0", "", (old,))
    )

    plan = await analyze(["report/1"], catalog(), configure, records)

    assert configure.calls[0] == (REPORT, ("report/1",))
    assert len(plan.tasks) == 3


async def test_a_lookup_is_not_asked_about_what_is_no_ref() -> None:
    async def lookup(refs: Sequence[str]) -> dict[str, str]:
        raise AssertionError(refs)

    with pytest.raises(InvalidRequestError, match="not a partition ref"):
        await plan(["any/../b"], graph=any_catalog(), lookup=lookup)


async def test_the_links_of_a_chain_are_configured_in_the_task_of_the_caller() -> None:
    running: set[asyncio.Task[object] | None] = set()

    async def configure(job: Job, refs: Sequence[str]) -> Sequence[JobConfig]:
        assert job.label == "//:any"
        running.add(asyncio.current_task())
        (ref,) = refs
        number = int(ref.removeprefix("any/"))
        return [JobConfig((ref,), (f"any/{number - 1}",) if number else ())]

    made = await plan(["any/3"], graph=any_catalog(), configure=configure)

    assert outputs(made) == ["any/0", "any/1", "any/2", "any/3"]
    assert running == {asyncio.current_task()}


async def test_planning_tells_levels_partitions_calls_and_who_is_asked() -> None:
    told = Told()

    await plan(["report/1"], observer=told)

    assert told.progress[-1] == PlanningProgress(3, 5, 3)
    assert [one.configuring_jobs for one in told.progress if one.configuring_jobs] == [(REPORT,), (CLEAN,), (RAW,)]
    assert told.progress == sorted(told.progress, key=lambda one: one[:3])
    assert told.progress[-1].text() == "3 levels, 5 partitions considered, 3 config calls"
    assert PlanningProgress(1, 1, 1, (RAW, CLEAN)).text().endswith("1 config call, configuring //:raw and 1 more")


async def test_query_inputs_that_are_not_there_are_in_the_plan_with_who_could_make_them() -> None:
    def report(ref: str) -> JobConfig:
        return JobConfig((ref,), ("clean/1",), ("outside", "raw/9", "raw/1"))

    made = await plan(["report/1"], configure=Configure(report=report))

    assert made.absent_inputs == (("outside", "", "report/1"), ("raw/9", RAW, "report/1"))
    assert plan_from_message(plan_to_message(made)) == made
    (warning,) = absent_inputs_warning(made.absent_inputs)
    assert warning.startswith("2 QUERY inputs do not exist: 'outside', which 'report/1' reads (no job is known to")
    assert "'raw/9', which 'report/1' reads (//:raw produces it); build" in warning
    assert absent_inputs_warning(()) == []
    (long,) = absent_inputs_warning(made.absent_inputs[:1] * 7)
    assert long.endswith("and 2 more")

    records = Records({"raw/9": PartitionRecord("raw/9", "AVAILABLE", "b", 0, True, "v")})
    again = await plan(["report/1"], records=records, configure=Configure(report=report))
    assert [one.ref for one in again.absent_inputs] == ["outside"]
