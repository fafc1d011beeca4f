"""Planning over jobs that are functions, with a record keeper that remembers."""

import asyncio
import dataclasses

import pytest

from databuild.errors import (
    AmbiguousPartitionError,
    DataBuildError,
    DependencyCycleError,
    InvalidRequestError,
    JobConfigurationError,
    TooManyPartitionsError,
    UnknownPartitionError,
)
from databuild.graph.analysis import analyze
from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.plan_changes import changes_since
from databuild.graph.planning_monitor import WARNING_LEVELS
from databuild.graph.reasons import absent_inputs_warning
from databuild.graph.render import render_dot, render_mermaid, render_svg
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import JobConfig
from databuild.model.plan_messages import plan_from_message, plan_to_message
from databuild.model.planning import PlanningProgress
from databuild.model.records import AdoptionRecord, FailureRecord, InputVersion, Manifest, PartitionRecord
from databuild.v1 import partition_pb2 as pt

RAW, CLEAN, REPORT = "//:raw", "//:clean", "//:report"


def catalog(**digests):
    patterns = {RAW: "raw/{d:int}", CLEAN: "clean/{d:int}", REPORT: "report/{d:int}"}
    return JobCatalog(
        graph_label="//:g",
        jobs={
            label: Job(label=label, executable=label, code_digest=digests.get(label[3:], "1"), outputs=(pattern,))
            for label, pattern in patterns.items()
        },
    )


class Configure:
    """Answers as the jobs would, and remembers what it was asked."""

    def __init__(self, **answers):
        self.calls = []
        self.answers = {
            RAW: lambda ref: JobConfig((ref,)),
            CLEAN: lambda ref: JobConfig((ref,), (ref.replace("clean", "raw"),)),
            REPORT: lambda ref: JobConfig((ref,), ("clean/1", "clean/2"), ("outside",)),
            **{f"//:{name}": answer for name, answer in answers.items()},
        }

    async def __call__(self, job, refs):
        self.calls.append((job.label, tuple(refs)))
        await asyncio.sleep(0)
        return list(dict.fromkeys(self.answers[job.label](ref) for ref in refs))


class Records(dict):
    """Knows partitions; `build` makes everything a plan would have made."""

    def partition_records(self, refs):
        return {ref: self[ref] for ref in refs if ref in self}

    def build(self, plan, run="run1", versions=None):
        for task in plan.tasks:
            inputs = tuple(InputVersion(ref, self[ref].version) for ref in task.config.materialize)
            manifest = Manifest(task.job_label, plan.code_digests[task.job_label], task.configuration_digest, inputs)
            for ref in task.config.outputs:
                version = (versions or {}).get(ref, f"{run}.{ref}")
                self[ref] = PartitionRecord(ref, "AVAILABLE", "b", 0, True, version, run, "b", manifest)
        return self


async def plan(refs, records=None, configure=None, graph=None, options=PlanOptions(), **more):
    return await analyze(
        refs, graph or catalog(), configure or Configure(), records or Records(), options=options, **more
    )


def reasons(made):
    return {partition.ref: pt.Reason.Name(partition.reason)[7:] for partition in made.partitions}


def outputs(made):
    return [task.config.outputs[0] for task in made.tasks]


@pytest.fixture
async def built():
    return Records().build(await plan(["report/1"]))


async def test_everything_missing_is_planned_upstream_first():
    made = await plan(["report/1"])

    assert sorted(outputs(made)) == ["clean/1", "clean/2", "raw/1", "raw/2", "report/1"]
    assert all(upstream < task.task_id for task in made.tasks for upstream in task.upstream)
    assert set(reasons(made).values()) == {"MISSING"}
    assert [p.ref for p in made.partitions if p.requested] == ["report/1"]


async def test_a_job_is_asked_once_for_all_of_a_level():
    configure = Configure()

    await plan(["report/1", "report/2"], configure=configure)

    assert configure.calls == [
        (REPORT, ("report/1", "report/2")),
        (CLEAN, ("clean/1", "clean/2")),
        (RAW, ("raw/1", "raw/2")),
    ]


async def test_what_is_fresh_is_not_built_and_its_build_is_named(built):
    made = await plan(["report/1"], built)

    assert made.tasks == ()
    assert set(reasons(made).values()) == {"UP_TO_DATE"}
    assert {partition.delegated_to for partition in made.partitions} == {"b"}


async def test_a_repeat_asks_each_job_once_however_deep_the_graph_is():
    def link(ref):
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
async def test_changed_code_makes_what_depends_on_it_stale_and_nothing_else(built, changed, expected):
    made = await plan(["report/1"], built, graph=catalog(**{changed: "2"}))

    assert {ref: reason for ref, reason in reasons(made).items() if ref in expected} == expected


async def test_a_changed_configuration_is_seen_although_the_code_is_the_same(built):
    configure = Configure(raw=lambda ref: JobConfig((ref,), args=("new",)))

    assert reasons(await plan(["raw/1"], built, configure)) == {"raw/1": "CONFIGURATION_CHANGED"}


async def test_an_input_built_since_is_named_as_the_cause(built):
    built["raw/2"] = built["raw/2"]._replace(version="other")

    made = await plan(["report/1"], built)

    causes = {p.ref: p.cause for p in made.partitions if p.reason == pt.REASON_INPUT_CHANGED}
    assert causes == {"clean/2": "raw/2", "report/1": "clean/2"}


async def test_taint_failure_and_force_each_have_their_reason(built):
    built["clean/1"] = built["clean/1"]._replace(tainted=True, taint_reason="ann: wrong")
    built["clean/2"] = built["clean/2"]._replace(available=False, failure=FailureRecord("USER", "no"))

    made = reasons(await plan(["report/1"], built))
    assert (made["clean/1"], made["clean/2"]) == ("TAINTED", "FAILED_BEFORE")
    assert reasons(await plan(["raw/1"], built, options=PlanOptions(force=True))) == {"raw/1": "FORCED"}


def adopted(ref):
    who = AdoptionRecord("a", "ann", "moved here", 100.0)
    return PartitionRecord(ref, "AVAILABLE", "a", 0, True, "a/1", "", "a", adoption=who)


async def test_what_was_adopted_is_up_to_date_and_not_looked_behind():
    records = Records({ref: adopted(ref) for ref in ("clean/1", "clean/2")})

    made = await plan(["report/1"], records, graph=catalog(clean="other"))

    assert reasons(made) == {"clean/1": "UP_TO_DATE", "clean/2": "UP_TO_DATE", "report/1": "MISSING"}
    assert [task.job_label for task in made.tasks] == [REPORT]
    assert made.versions == {"clean/1": "a/1", "clean/2": "a/1"}
    assert {partition.delegated_to for partition in made.partitions if not partition.task_id} == {"a"}


async def test_what_was_adopted_is_built_when_it_is_forced_or_tainted():
    records = Records({"clean/1": adopted("clean/1"), "raw/1": adopted("raw/1")})
    assert reasons(await plan(["clean/1"], records, options=PlanOptions(force=True))) == {
        "clean/1": "FORCED",
        "raw/1": "UP_TO_DATE",
    }
    records["clean/1"] = records["clean/1"]._replace(tainted=True, taint_reason="ann: wrong")

    assert reasons(await plan(["clean/1"], records)) == {"clean/1": "TAINTED", "raw/1": "UP_TO_DATE"}


async def test_a_build_of_what_was_adopted_makes_its_downstream_stale(built):
    before = adopted("raw/1")
    records = Records(built | {"raw/1": before})
    clean = records["clean/1"]
    manifest = clean.manifest._replace(inputs=(InputVersion("raw/1", before.version),))
    records["clean/1"] = clean._replace(manifest=manifest)
    assert reasons(await plan(["clean/1"], records)) == {"clean/1": "UP_TO_DATE", "raw/1": "UP_TO_DATE"}
    records["raw/1"] = built["raw/1"]

    assert reasons(await plan(["clean/1"], records)) == {"clean/1": "INPUT_CHANGED", "raw/1": "UP_TO_DATE"}


async def test_stale_partitions_can_be_reused_and_are_not_looked_behind(built):
    configure = Configure()

    made = await plan(["report/1"], built, configure, catalog(report="2", raw="2"), PlanOptions(reuse_stale=True))

    assert reasons(made) == {"report/1": "STALE_REUSED"}
    assert made.tasks == ()


async def test_a_task_with_several_outputs_runs_whole():
    pair = JobConfig(("raw/1", "raw/2"))
    records = Records().build(await plan(["raw/1"], configure=Configure(raw=lambda _: pair)))
    del records["raw/1"]

    made = await plan(["raw/1"], records, Configure(raw=lambda _: pair))

    assert reasons(made) == {"raw/1": "MISSING", "raw/2": "NEEDED"}
    assert len(made.tasks) == 1


async def test_the_versions_of_what_is_read_and_not_built_are_known(built):
    built["outside"] = PartitionRecord("outside", "AVAILABLE", "x", 0, True, "v9")
    del built["report/1"]

    made = await plan(["report/1"], built)

    assert made.versions == {"clean/1": "run1.clean/1", "clean/2": "run1.clean/2", "outside": "v9"}


async def test_a_cycle_is_named():
    answers = Configure(
        raw=lambda ref: JobConfig((ref,), (ref.replace("raw", "clean"),)),
    )

    with pytest.raises(DependencyCycleError) as error:
        await plan(["clean/1"], configure=answers)
    assert set(error.value.refs) == {"raw/1", "clean/1"}


async def test_a_cycle_between_tasks_through_different_outputs_is_named():
    answers = Configure(
        raw=lambda _: JobConfig(("raw/1", "raw/2"), ("clean/1",)),
        clean=lambda ref: JobConfig((ref,), ("raw/2",) if ref == "clean/1" else ()),
    )

    with pytest.raises(DependencyCycleError):
        await plan(["raw/1"], configure=answers)


async def test_an_input_that_nobody_produces_names_who_needs_it():
    answers = Configure(clean=lambda ref: JobConfig((ref,), ("rav/1",)))

    with pytest.raises(UnknownPartitionError, match=r"rav/1.*'clean/1' needs.*raw/\{d:int\}"):
        await plan(["clean/1"], configure=answers)


async def test_an_input_on_a_date_that_does_not_exist_names_it():
    jobs = {
        RAW: Job(label=RAW, executable="raw", outputs=("raw/{d:date}",)),
        CLEAN: Job(label=CLEAN, executable="clean", outputs=("clean/{d:int}",)),
    }
    answers = Configure(clean=lambda ref: JobConfig((ref,), ("raw/2013-02-30",)))

    with pytest.raises(UnknownPartitionError, match="'clean/1' needs; the date 2013-02-30 does not exist"):
        await analyze(["clean/1"], JobCatalog(graph_label="//:g", jobs=jobs), answers, Records())


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda _: JobConfig(("raw/9",)), "no config that it answered"),
        (lambda ref: JobConfig((ref, "elsewhere")), "none of its patterns"),
        (lambda ref: JobConfig((ref, "clean/1")), "which //:clean produces"),
    ],
)
async def test_an_answer_that_does_not_fit_names_the_job(answer, said):
    with pytest.raises(JobConfigurationError, match=said):
        await plan(["raw/1"], configure=Configure(raw=answer))


async def test_one_ref_from_two_tasks_is_refused():
    answers = Configure(raw=lambda ref: JobConfig((ref, "raw/9"), args=(ref,)))

    with pytest.raises(AmbiguousPartitionError, match="raw/9"):
        await plan(["raw/1", "raw/2"], configure=answers)


async def test_an_error_of_one_job_ends_planning():
    def broken(_):
        raise JobConfigurationError(RAW, "broken")

    with pytest.raises(JobConfigurationError, match="broken"):
        await plan(["raw/1", "clean/2"], configure=Configure(raw=broken))


async def test_large_requests_are_asked_in_batches():
    configure = Configure()

    await plan([f"raw/{number}" for number in range(10_000)], configure=configure)

    assert [len(refs) for _, refs in configure.calls] == [4096, 4096, 1808]


async def test_a_plan_survives_its_file():
    made = await plan(["report/1"])

    assert plan_from_message(plan_to_message(made)) == made


async def test_what_changed_since_a_plan_was_made_is_listed(built):
    stale = await plan(["report/1"], built, graph=catalog(clean="2"))

    assert changes_since(stale, stale) == []
    now = await plan(["report/1"], built, graph=catalog(clean="3"))
    assert changes_since(stale, now) == ["the code of //:clean has changed"]
    rebuilt = Records(built).build(stale, run="run2")
    now = await plan(["report/1"], rebuilt, graph=catalog(clean="2"))
    assert "clean/1 need not be built any more (up to date)" in changes_since(stale, now)
    other = await plan(["raw/7"], built)
    assert any("is new in the plan" in line for line in changes_since(stale, other))


async def test_the_job_graph_is_drawn_by_task_and_a_large_one_by_job():
    small = await plan(["report/1"])
    large = await plan([f"clean/{number}" for number in range(300)])

    assert 't1["//:raw<br/>raw/1"]' in render_mermaid(small)
    assert "t1 -> t" in render_dot(small)
    assert "300 tasks" in render_mermaid(large)
    assert "j2 -> j1" in render_dot(large)
    assert "//:raw: raw/1 (planned)" in render_svg(small)
    assert "//:raw: 300 tasks" in render_svg(large)


async def test_a_lookup_decides_in_place_of_patterns_and_is_asked_once_a_level():
    asked = []

    async def lookup(refs):
        asked.append(tuple(sorted(refs)))
        return {ref: REPORT if ref == "all" else CLEAN if ref.startswith("clean") else RAW for ref in refs}

    plan = await analyze(["all"], catalog(), Configure(), Records(), lookup=lookup)

    assert asked == [("all",), ("clean/1", "clean/2"), ("raw/1", "raw/2")]
    assert sorted(task.job_label for task in plan.tasks) == sorted([RAW, RAW, CLEAN, CLEAN, REPORT])


async def test_a_ref_that_the_lookup_leaves_out_is_produced_by_nobody():
    async def lookup(refs):
        return {ref: REPORT for ref in refs if ref == "all"}

    with pytest.raises(UnknownPartitionError, match="'clean/1', which 'all' needs"):
        await analyze(["all"], catalog(), Configure(), Records(), lookup=lookup)


async def test_lineage_that_nobody_produces_any_more_is_left_out_of_the_first_question():
    configure = Configure(report=lambda ref: JobConfig((ref,), ("clean/1",)))
    records = Records()
    old = InputVersion("gone/1", "1")
    records["report/1"] = PartitionRecord(
        "report/1", "AVAILABLE", "b", 0.0, True, "1", "b.1.1", "b", Manifest(REPORT, "0", "", (old,))
    )

    plan = await analyze(["report/1"], catalog(), configure, records)

    assert configure.calls[0] == (REPORT, ("report/1",))
    assert len(plan.tasks) == 3


async def test_tasks_that_need_each_other_through_different_outputs_are_a_cycle():
    configure = Configure(
        raw=lambda _: JobConfig(("raw/1", "raw/2"), ("clean/1",)), clean=lambda ref: JobConfig((ref,), ("raw/2",))
    )
    records = Records()
    records["raw/2"] = PartitionRecord("raw/2", "AVAILABLE", "b", 0.0, True, "1", "b.1.1", "b", Manifest(RAW, "1", ""))

    with pytest.raises(DependencyCycleError) as raised:
        await analyze(["raw/1"], catalog(), configure, records, options=PlanOptions(reuse_stale=True))

    assert set(raised.value.refs) == {"clean/1", "raw/1"}


class Told:
    """Remembers what planning tells."""

    def __init__(self):
        self.progress = []
        self.warnings = []

    def planning(self, progress):
        self.progress.append(progress)

    def warned(self, warning):
        self.warnings.append(warning)


def any_catalog(**options):
    jobs = {"//:any": Job(label="//:any", executable="any", outputs=("any/{k:/.+/}",))}
    return JobCatalog(graph_label="//:g", jobs=jobs, **options)


@pytest.mark.parametrize(
    "config",
    [
        JobConfig(("any/a", "any/../b")),
        JobConfig(("any/a",), ("any/b/../../c",)),
        JobConfig(("any/a",), (), ("outside//b",)),
    ],
)
async def test_a_config_may_name_no_segment_that_leads_elsewhere(config):
    async def configure(_job, _refs):
        return [config]

    with pytest.raises(DataBuildError, match=r"is not a partition ref: it has .* segment") as refused:
        await plan(["any/a"], configure=configure, graph=any_catalog())
    assert "//:any" in str(refused.value) or "'any/a' needs it" in str(refused.value)


async def test_refs_that_look_like_ranges_and_are_none_are_warned_of_once_wherever_they_come_from():
    async def configure(_job, refs):
        return [JobConfig((ref,), ("any/2013-01-01..2013-01-03",) if ref == "any/a" else ()) for ref in refs]

    told = Told()
    made = await plan(["any/1..3", "any/a"], configure=configure, graph=any_catalog(), observer=told)

    assert list(made.warnings) == told.warnings
    assert [warning.split(" is one")[0] for warning in told.warnings] == ["'any/1..3'", "'any/2013-01-01..2013-01-03'"]
    assert "{k:int} it would make '1..3' a range" in told.warnings[0]
    assert "{k:date}" in told.warnings[1]
    assert plan_from_message(plan_to_message(made)) == made


async def test_a_lookup_is_not_asked_about_what_is_no_ref():
    async def lookup(refs):
        raise AssertionError(refs)

    with pytest.raises(InvalidRequestError, match="not a partition ref"):
        await plan(["any/../b"], graph=any_catalog(), lookup=lookup)


def endless(label):
    """A job whose partition always needs the next one."""

    async def configure(_job, refs):
        return [JobConfig((ref,), (f"raw/{int(ref[4:]) + 1}",)) for ref in refs]

    jobs = {label: Job(label=label, executable="raw", outputs=("raw/{n:int}",))}
    return jobs, configure


async def test_a_plan_without_an_end_is_warned_of_and_ends_at_the_most_partitions_of_its_graph():
    jobs, configure = endless(RAW)
    told = Told()

    graph = JobCatalog(graph_label="//:g", jobs=jobs, max_partitions=WARNING_LEVELS + 10)
    with pytest.raises(TooManyPartitionsError) as refused:
        await plan(["raw/1"], configure=configure, graph=graph, observer=told)

    assert f"more than {WARNING_LEVELS + 10:,} partitions, which is `max_partitions` of //:g" in str(refused.value)
    assert f"the last one is 'raw/{WARNING_LEVELS + 11}'" in str(refused.value)
    (warning,) = told.warnings
    assert warning.startswith(f"{RAW} occurs in {WARNING_LEVELS:,} levels of this plan: ")
    assert f"'raw/{WARNING_LEVELS - 1}' needs 'raw/{WARNING_LEVELS}'" in warning


async def test_two_jobs_that_need_each_other_without_an_end_are_named_with_refs_of_the_same_job():
    async def configure(job, refs):
        other = "clean" if job.label == RAW else "raw"
        return [JobConfig((ref,), (f"{other}/{int(ref.split('/')[1]) + 1}",)) for ref in refs]

    told = Told()
    graph = dataclasses.replace(catalog(), max_partitions=2 * WARNING_LEVELS + 2)
    with pytest.raises(TooManyPartitionsError):
        await plan(["raw/1"], configure=configure, graph=graph, observer=told)

    assert [warning.split(" ")[0] for warning in told.warnings] == [RAW, CLEAN]
    assert f"'raw/{2 * WARNING_LEVELS - 3}' needs 'raw/{2 * WARNING_LEVELS - 1}'" in told.warnings[0]


async def test_as_many_partitions_as_the_graph_allows_are_planned():
    graph = dataclasses.replace(catalog(), max_partitions=5)

    assert len((await plan(["report/1"], graph=graph)).partitions) == 5
    with pytest.raises(TooManyPartitionsError, match="more than 4 partitions"):
        await plan(["report/1"], graph=dataclasses.replace(graph, max_partitions=4))


async def test_planning_tells_levels_partitions_calls_and_who_is_asked():
    told = Told()

    await plan(["report/1"], observer=told)

    assert told.progress[-1] == (3, 5, 3, ())
    assert [one.configuring_jobs for one in told.progress if one.configuring_jobs] == [(REPORT,), (CLEAN,), (RAW,)]
    assert told.progress == sorted(told.progress, key=lambda one: one[:3])
    assert told.progress[-1].text() == "3 levels, 5 partitions considered, 3 config calls"
    assert PlanningProgress(1, 1, 1, (RAW, CLEAN)).text().endswith("1 config call, configuring //:raw and 1 more")


async def test_query_inputs_that_are_not_there_are_in_the_plan_with_who_could_make_them():
    def report(ref):
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
