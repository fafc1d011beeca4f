"""Planning refuses requests without an end or a producer, and invalid configurations; it warns of suspicious ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NoReturn

import pytest

from databuild.errors import (
    AmbiguousPartitionError,
    DataBuildError,
    DependencyCycleError,
    EventLogError,
    JobConfigurationError,
    TooManyPartitionsError,
    UnknownPartitionError,
)
from databuild.graph.analysis import analyze
from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.planning_monitor import WARNING_LEVELS
from databuild.graph.ports import Configure as AnyConfigure
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import JobConfig
from databuild.model.plan_messages import plan_from_message, plan_to_message
from databuild.model.records import Manifest, PartitionRecord
from tests.support.planning import CLEAN, RAW, REPORT, Configure, Records, Told, any_catalog, catalog, plan


async def test_a_cycle_is_named() -> None:
    answers = Configure(
        raw=lambda ref: JobConfig((ref,), (ref.replace("raw", "clean"),)),
    )

    with pytest.raises(DependencyCycleError) as error:
        await plan(["clean/1"], configure=answers)
    assert set(error.value.refs) == {"raw/1", "clean/1"}


async def test_a_cycle_between_tasks_through_different_outputs_is_named() -> None:
    answers = Configure(
        raw=lambda _: JobConfig(("raw/1", "raw/2"), ("clean/1",)),
        clean=lambda ref: JobConfig((ref,), ("raw/2",) if ref == "clean/1" else ()),
    )

    with pytest.raises(DependencyCycleError):
        await plan(["raw/1"], configure=answers)


async def test_a_log_that_cannot_be_read_ends_planning_when_the_jobs_have_answered() -> None:
    class Unreadable(Records):
        def partition_records(self, refs: Collection[str]) -> dict[str, PartitionRecord]:
            if "clean/1" in refs:
                raise EventLogError("it is gone")
            return {}

    configure = Configure()
    with pytest.raises(EventLogError, match="it is gone"):
        await plan(["report/1"], Unreadable(), configure)
    assert [label for label, _ in configure.calls] == [REPORT, CLEAN]


async def test_records_are_not_read_after_the_failure_of_a_job() -> None:
    read: list[str] = []

    class ToldRecords(Records):
        def partition_records(self, refs: Collection[str]) -> dict[str, PartitionRecord]:
            read.extend(refs)
            return {}

    def fail(job: Job, refs: Sequence[str]) -> NoReturn:
        raise JobConfigurationError(job.label, "it failed", refs=refs)

    async def configure(job: Job, refs: Sequence[str]) -> Sequence[JobConfig]:
        return [JobConfig((ref,), ("clean/1",)) for ref in refs] if job.label == REPORT else fail(job, refs)

    with pytest.raises(JobConfigurationError):
        await plan(["report/1"], ToldRecords(), configure)
    assert read == ["report/1"]


async def test_an_input_that_nobody_produces_names_who_needs_it() -> None:
    answers = Configure(clean=lambda ref: JobConfig((ref,), ("rav/1",)))

    with pytest.raises(UnknownPartitionError, match=r"rav/1.*'clean/1' needs.*raw/\{d:int\}"):
        await plan(["clean/1"], configure=answers)


async def test_an_input_on_a_date_that_does_not_exist_names_it() -> None:
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
async def test_an_answer_that_does_not_fit_names_the_job(answer: Callable[[str], JobConfig], said: str) -> None:
    with pytest.raises(JobConfigurationError, match=said):
        await plan(["raw/1"], configure=Configure(raw=answer))


async def test_one_ref_from_two_tasks_is_refused() -> None:
    answers = Configure(raw=lambda ref: JobConfig((ref, "raw/9"), args=(ref,)))

    with pytest.raises(AmbiguousPartitionError, match="raw/9"):
        await plan(["raw/1", "raw/2"], configure=answers)


async def test_an_error_of_one_job_ends_planning() -> None:
    def broken(_: str) -> NoReturn:
        raise JobConfigurationError(RAW, "broken")

    with pytest.raises(JobConfigurationError, match="broken"):
        await plan(["raw/1", "clean/2"], configure=Configure(raw=broken))


async def test_a_ref_that_the_lookup_leaves_out_is_produced_by_nobody() -> None:
    async def lookup(refs: Sequence[str]) -> dict[str, str]:
        return {ref: REPORT for ref in refs if ref == "all"}

    with pytest.raises(UnknownPartitionError, match="'clean/1', which 'all' needs"):
        await analyze(["all"], catalog(), Configure(), Records(), lookup=lookup)


async def test_tasks_that_need_each_other_through_different_outputs_are_a_cycle() -> None:
    configure = Configure(
        raw=lambda _: JobConfig(("raw/1", "raw/2"), ("clean/1",)), clean=lambda ref: JobConfig((ref,), ("raw/2",))
    )
    records = Records()
    records["raw/2"] = PartitionRecord("raw/2", "AVAILABLE", "b", 0.0, True, "1", "b.1.1", "b", Manifest(RAW, "1", ""))

    with pytest.raises(DependencyCycleError) as raised:
        await analyze(["raw/1"], catalog(), configure, records, options=PlanOptions(reuse_stale=True))

    assert set(raised.value.refs) == {"clean/1", "raw/1"}


@pytest.mark.parametrize(
    "config",
    [
        JobConfig(("any/a", "any/../b")),
        JobConfig(("any/a",), ("any/b/../../c",)),
        JobConfig(("any/a",), (), ("outside//b",)),
    ],
)
async def test_a_config_may_name_no_segment_that_leads_elsewhere(config: JobConfig) -> None:
    async def configure(job: Job, refs: Sequence[str]) -> list[JobConfig]:
        return [config]

    with pytest.raises(DataBuildError, match=r"is not a partition ref: it has .* segment") as refused:
        await plan(["any/a"], configure=configure, graph=any_catalog())
    assert "//:any" in str(refused.value) or "'any/a' needs it" in str(refused.value)


async def test_refs_that_look_like_ranges_and_are_none_are_warned_of_once_wherever_they_come_from() -> None:
    async def configure(job: Job, refs: Sequence[str]) -> list[JobConfig]:
        return [JobConfig((ref,), ("any/2013-01-01..2013-01-03",) if ref == "any/a" else ()) for ref in refs]

    told = Told()
    made = await plan(["any/1..3", "any/a"], configure=configure, graph=any_catalog(), observer=told)

    assert list(made.warnings) == told.warnings
    assert [warning.split(" is one")[0] for warning in told.warnings] == ["'any/1..3'", "'any/2013-01-01..2013-01-03'"]
    assert "{k:int} it would make '1..3' a range" in told.warnings[0]
    assert "{k:date}" in told.warnings[1]
    assert plan_from_message(plan_to_message(made)) == made


def endless(label: str) -> tuple[dict[str, Job], AnyConfigure]:
    """A job whose partition always needs the next one."""

    async def configure(job: Job, refs: Sequence[str]) -> list[JobConfig]:
        return [JobConfig((ref,), (f"raw/{int(ref[4:]) + 1}",)) for ref in refs]

    jobs = {label: Job(label=label, executable="raw", outputs=("raw/{n:int}",))}
    return jobs, configure


async def test_a_plan_without_an_end_is_warned_of_and_ends_at_the_most_partitions_of_its_graph() -> None:
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


async def test_two_jobs_that_need_each_other_without_an_end_are_named_with_refs_of_the_same_job() -> None:
    async def configure(job: Job, refs: Sequence[str]) -> list[JobConfig]:
        other = "clean" if job.label == RAW else "raw"
        return [JobConfig((ref,), (f"{other}/{int(ref.split('/')[1]) + 1}",)) for ref in refs]

    told = Told()
    graph = catalog()._replace(max_partitions=2 * WARNING_LEVELS + 2)
    with pytest.raises(TooManyPartitionsError):
        await plan(["raw/1"], configure=configure, graph=graph, observer=told)

    assert [warning.split(" ")[0] for warning in told.warnings] == [RAW, CLEAN]
    assert f"'raw/{2 * WARNING_LEVELS - 3}' needs 'raw/{2 * WARNING_LEVELS - 1}'" in told.warnings[0]


async def test_as_many_partitions_as_the_graph_allows_are_planned() -> None:
    graph = catalog()._replace(max_partitions=5)

    assert len((await plan(["report/1"], graph=graph)).partitions) == 5
    with pytest.raises(TooManyPartitionsError, match="more than 4 partitions"):
        await plan(["report/1"], graph=graph._replace(max_partitions=4))
