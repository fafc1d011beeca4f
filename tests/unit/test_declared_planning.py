"""Planning of declared jobs: no process is started, and records are read in bulk."""

import datetime as dt
from collections.abc import Collection
from typing import Any

import pytest

from databuild.errors import DependencyCycleError, JobConfigurationError, UnknownPartitionError
from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.declared.declaration import Declaration
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import JobConfig
from databuild.model.records import Manifest, PartitionRecord
from tests.support.planning import Configure, Records, outputs, plan, reasons

FIRST_DAY = dt.date(2013, 1, 1)


def job(name: str, output: str, **declaration: Any) -> Job:
    label = f"//:{name}"
    declared = Declaration(**declaration) if declaration != {"config": True} else None
    return Job(label=label, executable="x", code_digest="1", outputs=(output,), declaration=declared)


def graph(*jobs: Job) -> JobCatalog:
    return JobCatalog(graph_label="//:g", jobs={job.label: job for job in jobs})


def balances() -> JobCatalog:
    return graph(
        job("transactions", "transactions/date={date:date}"),
        job(
            "balance",
            "balance/date={date:date}",
            inputs=("transactions/date={date}",),
            optional_inputs=("balance/date={date-1}",),
            bounds={"date": "2013-01-01.."},
        ),
    )


def balance(days: int) -> str:
    return f"balance/date={FIRST_DAY + dt.timedelta(days=days)}"


class CountedRecords(Records):
    """Counts its queries and the refs that they ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.queries = 0
        self.asked = 0

    def partition_records(self, refs: Collection[str]) -> dict[str, PartitionRecord]:
        self.queries += 1
        self.asked += len(refs)
        return super().partition_records(refs)


async def test_no_job_is_asked() -> None:
    configure = Configure()

    made = await plan([balance(2)], configure=configure, graph=balances())

    assert configure.calls == []
    assert len(made.tasks) == 6
    first = next(task for task in made.tasks if task.config.outputs == (balance(0),))
    assert first.config.materialize == ("transactions/date=2013-01-01",)


async def test_a_long_running_balance_is_planned_and_found_fresh() -> None:
    made = await plan([balance(2_999)], records := Records(), graph=balances())
    again = await plan([balance(2_999)], records.build(made), graph=balances())

    assert len(made.tasks) == 2 * 3_000
    assert again.tasks == ()
    assert set(reasons(again).values()) == {"UP_TO_DATE"}


async def test_records_of_a_chain_are_read_in_bulk_and_without_recursion() -> None:
    records = CountedRecords()

    made = await plan([balance(29_999)], records, graph=balances())

    assert len(made.tasks) == 2 * 30_000
    assert made.warnings == ()
    assert records.queries < 100


async def test_records_far_upstream_of_a_reused_partition_are_not_read() -> None:
    records = CountedRecords()
    made = await plan([balance(5_000)], records, graph=balances())
    records.build(made)
    records.asked = 0

    await plan([balance(5_001)], records, graph=balances(), options=PlanOptions(reuse_stale=True))

    assert records.asked < 500


async def test_an_input_that_nothing_produces_names_both_refs() -> None:
    catalog = graph(job("report", "report/{n:int}", inputs=("raw/{n}",)))

    with pytest.raises(UnknownPartitionError, match="'raw/3', which 'report/3' needs"):
        await plan(["report/3"], graph=catalog)


async def test_an_input_out_of_bounds_names_both_refs_and_the_bounds() -> None:
    catalog = graph(
        job("raw", "raw/{n:int}", bounds={"n": "1.."}), job("report", "report/{n:int}", inputs=("raw/{n-3}",))
    )

    with pytest.raises(UnknownPartitionError) as caught:
        await plan(["report/3"], graph=catalog)

    assert "'raw/0', which 'report/3' needs; n = 0 is outside the bounds '1..'" in str(caught.value)


async def test_an_invalid_value_is_an_error_only_where_it_is_needed() -> None:
    catalog = graph(job("chain", "chain/date={date:date}", inputs=("chain/date={date-1}",)))

    with pytest.raises(JobConfigurationError, match="before the year 1"):
        await plan(["chain/date=0001-01-20"], graph=catalog)

    record = PartitionRecord(
        "chain/date=0001-01-19", "AVAILABLE", "b", 0, True, "v", "r", "b", Manifest("//:chain", "1", "")
    )
    made = await plan(
        ["chain/date=0001-01-20"],
        Records({record.ref: record}),
        graph=catalog,
        options=PlanOptions(reuse_stale=True),
    )
    assert outputs(made) == ["chain/date=0001-01-20"]


async def test_a_cycle_is_found() -> None:
    catalog = graph(job("a", "a/{n:int}", inputs=("b/{n}",)), job("b", "b/{n:int}", inputs=("a/{n}",)))

    with pytest.raises(DependencyCycleError):
        await plan(["a/1"], graph=catalog)


async def test_declared_and_configured_jobs_share_a_graph() -> None:
    catalog = graph(
        job("raw", "raw/{n:int}", config=True),
        job("clean", "clean/{n:int}", inputs=("raw/{n}",)),
        job("report", "report/{n:int}", config=True),
    )
    configure = Configure()

    made = await plan(["report/1"], configure=configure, graph=catalog)

    assert sorted(outputs(made)) == ["clean/1", "clean/2", "raw/1", "raw/2", "report/1"]
    assert configure.calls == [("//:report", ("report/1",)), ("//:raw", ("raw/1", "raw/2"))]


async def test_equal_configurations_have_equal_digests_however_they_are_found() -> None:
    answer = JobConfig(("report/1",), ("raw/0", "raw/1"), ("votes/1",), ("--n=1",), (("N", "1"),))
    declared = graph(
        job("raw", "raw/{n:int}"),
        job(
            "report",
            "report/{n:int}",
            inputs=("raw/{n-1..n}",),
            query_inputs=("votes/{n}",),
            args=("--n={n}",),
            env=(("N", "{n}"),),
        ),
    )
    configured = graph(job("raw", "raw/{n:int}", config=True), job("report", "report/{n:int}", config=True))

    by_declaration = await plan(["report/1"], graph=declared)
    by_config = await plan(["report/1"], configure=Configure(report=lambda _: answer), graph=configured)

    assert by_declaration == by_config


async def test_a_changed_template_with_the_same_values_changes_nothing() -> None:
    def report(argument: str) -> JobCatalog:
        return graph(job("report", "report/{date:date}", args=(argument,)))

    made = await plan(["report/2013-01-31"], graph=report("{date}"))
    records = Records().build(made)

    same = await plan(["report/2013-01-31"], records, graph=report("{date:%Y-%m-%d}"))
    other = await plan(["report/2013-01-31"], records, graph=report("{date:%d.%m.%Y}"))

    assert reasons(same) == {"report/2013-01-31": "UP_TO_DATE"}
    assert reasons(other) == {"report/2013-01-31": "CONFIGURATION_CHANGED"}
