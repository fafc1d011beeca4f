"""Batching of declared jobs: the outputs that share a task, and the changes that make one of them stale."""

from collections.abc import Mapping
from typing import Any, Self

from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.declared.declaration import Declaration
from databuild.model.job_graph import Plan
from databuild.model.records import InputVersion, Manifest, PartitionRecord
from tests.support.planning import Records, plan, reasons


def job(name: str, output: str, **declaration: Any) -> Job:
    label = f"//:{name}"
    return Job(label=label, executable="x", code_digest="1", outputs=(output,), declaration=Declaration(**declaration))


def graph(*jobs: Job) -> JobCatalog:
    return JobCatalog(graph_label="//:g", jobs={job.label: job for job in jobs})


def days(first: int, last: int) -> list[str]:
    return [
        f"daily/date=2013-{day}"
        for day in (f"01-{n:02}" if n <= 31 else f"02-{n - 31:02}" for n in range(first, last + 1))
    ]


def daily(**batch: Any) -> JobCatalog:
    return graph(
        job("raw", "raw/date={date:date}"),
        job("daily", "daily/date={date:date}", inputs=("raw/date={date-1..date}",), **batch),
    )


def batches(made: Plan, label: str = "//:daily") -> list[tuple[str, ...]]:
    return [task.config.outputs for task in made.tasks if task.job_label == label]


class BatchRecords(Records):
    """Records of tasks with the digest of each output, as runs leave them."""

    def build(self, made: Plan, run: str = "run1", versions: Mapping[str, str] | None = None) -> Self:
        super().build(made, run, versions)
        for task in made.tasks:
            if task.output_digests:
                inputs = tuple(InputVersion(ref, self[ref].version) for ref in task.config.materialize)
                digests = dict(zip(task.config.outputs, task.output_digests, strict=True))
                manifest = Manifest(task.job_label, "1", task.configuration_digest, inputs, digests)
                for ref in task.config.outputs:
                    self[ref] = PartitionRecord(ref, "AVAILABLE", "b", 0, True, f"{run}.{ref}", run, "b", manifest)
        return self


async def test_a_batch_has_at_most_so_many_outputs() -> None:
    made = await plan(days(1, 5), graph=daily(batch_size=2))

    assert batches(made) == [tuple(days(1, 2)), tuple(days(3, 4)), tuple(days(5, 5))]


async def test_a_batch_has_outputs_with_an_equal_value() -> None:
    made = await plan(days(30, 33), graph=daily(batch_by="{date.month}"))

    assert batches(made) == [tuple(days(30, 31)), tuple(days(32, 33))]


async def test_both_limits_apply_together() -> None:
    made = await plan(days(29, 33), graph=daily(batch_by="{date.month}", batch_size=2))

    assert batches(made) == [tuple(days(29, 30)), tuple(days(31, 31)), tuple(days(32, 33))]


async def test_a_batch_has_the_inputs_of_all_of_its_outputs_once() -> None:
    made = await plan(days(2, 4), graph=daily(batch_size=31))

    (task,) = [task for task in made.tasks if task.job_label == "//:daily"]
    assert task.config.materialize == tuple(f"raw/date=2013-01-{n:02}" for n in range(1, 5))
    assert len(task.upstream) == 4
    assert len(set(task.output_digests)) == 3


async def test_only_outputs_that_must_be_built_are_in_a_batch() -> None:
    records = BatchRecords().build(await plan(days(2, 3), graph=daily(batch_size=31)))

    made = await plan(days(1, 4), records, graph=daily(batch_size=31))

    assert batches(made) == [(*days(1, 1), *days(4, 4))]
    assert {ref: reason for ref, reason in reasons(made).items() if ref in days(2, 3)} == dict.fromkeys(
        days(2, 3), "UP_TO_DATE"
    )


async def test_another_batch_size_makes_nothing_stale() -> None:
    records = BatchRecords().build(await plan(days(1, 6), graph=daily(batch_size=3)))

    for batch in ({"batch_size": 2}, {"batch_by": "{date.month}"}, {}):
        made = await plan(days(1, 6), records, graph=daily(**batch))
        assert set(reasons(made).values()) == {"UP_TO_DATE"}


async def test_a_changed_input_makes_only_its_readers_stale() -> None:
    catalog = daily(batch_size=31)
    records = BatchRecords().build(await plan(days(1, 5), graph=catalog))
    records["raw/date=2013-01-03"] = records["raw/date=2013-01-03"]._replace(version="other")

    made = await plan(days(1, 5), records, graph=catalog)

    assert batches(made) == [tuple(days(3, 4))]
    assert reasons(made)[days(3, 3)[0]] == "INPUT_CHANGED"


async def test_a_running_balance_gets_no_task_that_needs_itself() -> None:
    catalog = graph(
        job(
            "balance",
            "balance/{account}/{n:int}",
            optional_inputs=("balance/{account}/{n-1}",),
            bounds={"n": "0.."},
            batch_size=10,
        )
    )

    made = await plan([f"balance/{account}/2" for account in "ab"], graph=catalog)

    assert batches(made, "//:balance") == [tuple(f"balance/{account}/{n}" for account in "ab") for n in range(3)]


async def test_batches_of_two_jobs_that_lead_to_each_other_make_no_cycle() -> None:
    catalog = graph(
        job("a", "a/{n:int}", inputs=("b/{n}",), bounds={"n": "0.."}, batch_size=10),
        job("b", "b/{n:int}", optional_inputs=("a/{n-1}",), bounds={"n": "0.."}, batch_size=10),
    )

    made = await plan(["a/3", "a/2"], graph=catalog)

    assert len(made.tasks) == 8


async def test_a_batch_waits_for_inputs_of_other_batches() -> None:
    catalog = graph(
        job("raw", "raw/{n:int}", batch_size=2),
        job("sum", "sum/{n:int}", inputs=("raw/{n}",), batch_size=3),
    )

    made = await plan([f"sum/{n}" for n in range(6)], graph=catalog)

    by_id = {task.task_id: task.config.outputs for task in made.tasks}
    upstream = {task.config.outputs: [by_id[number] for number in task.upstream] for task in made.tasks}
    assert upstream["sum/0", "sum/1", "sum/2"] == [("raw/0", "raw/1"), ("raw/2", "raw/3")]
