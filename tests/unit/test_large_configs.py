"""The work on large configs is proportional to their size, and planning yields as often; in lines, not in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import cast

import pytest

from databuild.event_log.reads import PartitionReads
from databuild.graph.analysis import analyze
from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.ports import Attempt, Configure, Ended, PartitionRecords, RunOutcome
from databuild.graph.ready_queue import ReadyQueue
from databuild.model.job_graph import JobConfig, Plan, Task
from databuild.model.pacing import SLICE, Pace, run_through, slices, sort
from databuild.model.plan_messages import tasks_to_messages
from databuild.model.records import AdoptionRecord, InputVersion, Manifest, PartitionRecord
from databuild.orchestration.build.recording import BuildRecorder
from databuild.orchestration.coordination.versions import Versions
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.events.payloads import REFS_PER_EVENT, job_graph_events, partition_scheduled
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.support.counting import CountedText, Lines, lines_of_ours, run_counted
from tests.support.present import present

SMALL, LARGE = 1250, 5000
LEAF, FAN = "//:leaf", "//:fan"
CATALOG = JobCatalog(
    graph_label="//:g",
    jobs={
        LEAF: Job(label=LEAF, executable="leaf", outputs=("leaf/{n:int}",)),
        FAN: Job(label=FAN, executable="fan", outputs=("fan/{n:int}",)),
    },
)


class Nothing:
    def partition_records(self, _refs: Collection[str]) -> dict[str, PartitionRecord]:
        return {}


class Built:
    """Has a record of every partition; each job has one job run."""

    def __init__(self, plan: Plan) -> None:
        self.known: dict[str, PartitionRecord] = {}
        for task in plan.tasks:
            inputs = tuple(InputVersion(ref, f"run.{ref}") for ref in task.config.materialize)
            manifest = Manifest(task.job_label, "", task.configuration_digest, inputs)
            for ref in task.config.outputs:
                self.known[ref] = PartitionRecord(ref, "AVAILABLE", "b", 0, True, f"run.{ref}", "run", "b", manifest)

    def partition_records(self, refs: Collection[str]) -> dict[str, PartitionRecord]:
        return {ref: self.known[ref] for ref in refs if ref in self.known}


def leaves(count: int) -> tuple[CountedText, ...]:
    return tuple(CountedText(f"leaf/{number}") for number in range(count))


def one_config(count: int, calls: list[str] | None = None) -> Configure:
    """One config with many outputs, answered to every batch, and one with as many inputs and outputs."""

    async def configure(job: Job, refs: Sequence[str]) -> list[JobConfig]:
        (calls if calls is not None else []).append(job.label)
        await asyncio.sleep(0)
        if job.label == LEAF:
            return [JobConfig(leaves(count))]
        return [JobConfig(tuple(f"fan/{number}" for number in range(count)), leaves(count))]

    return configure


def many_configs(count: int) -> Configure:
    """As many configs with one output."""

    async def configure(job: Job, refs: Sequence[str]) -> list[JobConfig]:
        await asyncio.sleep(0)
        return [JobConfig((ref,), leaves(count) if job.label == FAN else ()) for ref in refs]

    return configure


def planned(
    configure: Configure,
    requested: Sequence[str] = ("fan/1",),
    records: PartitionRecords | None = None,
) -> tuple[Plan, Lines]:
    return run_counted(analyze(requested, CATALOG, configure, records or Nothing(), pace=Pace(budget_seconds=0)))


@pytest.mark.parametrize("answers", [one_config, many_configs])
def test_a_config_four_times_as_large_takes_about_four_times_the_work(answers: Callable[[int], Configure]) -> None:
    work, comparisons = [], []
    for count in (SMALL, LARGE):
        CountedText.comparisons = 0
        _, lines = planned(answers(count))
        comparisons.append(CountedText.comparisons)
        work.append(lines.total)

    assert work[1] < 5 * work[0]
    assert comparisons[1] <= 6 * comparisons[0]  # its refs do not fit into one call, so it is answered twice


def test_looking_whether_a_large_config_is_fresh_takes_work_in_proportion() -> None:
    work = []
    for count in (SMALL, LARGE):
        everything = [f"fan/{number}" for number in range(count)]
        built, _ = planned(one_config(count), everything)
        again, lines = planned(one_config(count), everything, Built(built))
        work.append(lines.total)

        assert again.tasks == ()
        assert len(again.partitions) == 2 * count
    assert work[1] < 5 * work[0]


@pytest.mark.parametrize("answers", [one_config, many_configs])
def test_no_stretch_of_planning_grows_with_the_size_of_the_plan(answers: Callable[[int], Configure]) -> None:
    stretches = [planned(answers(count))[1].longest for count in (SMALL, LARGE)]

    assert stretches[1] < 1.5 * stretches[0]
    assert stretches[1] < 60 * SLICE


def test_refs_that_an_earlier_answer_had_are_not_asked_for() -> None:
    calls: list[str] = []

    asyncio.run(analyze(["fan/1"], CATALOG, one_config(20_000, calls), Nothing(), concurrency=2))

    assert calls == [FAN, LEAF, LEAF]  # two calls run before the first answer arrives


def test_outputs_that_are_reused_do_not_keep_others_of_their_config_from_being_looked_at() -> None:
    async def configure(job: Job, refs: Sequence[str]) -> list[JobConfig]:
        if job.label == FAN:
            return [JobConfig(("fan/1", "fan/2"), ("leaf/1",))]
        return [JobConfig((ref,)) for ref in refs]

    class Adopted:
        def partition_records(self, refs: Collection[str]) -> dict[str, PartitionRecord]:
            record = PartitionRecord(
                "fan/1", "AVAILABLE", "op", 0, True, "v", adoption=AdoptionRecord("op", "a", "r", 0)
            )
            return {"fan/1": record} if "fan/1" in refs else {}

    plan = asyncio.run(analyze(["fan/1", "fan/2"], CATALOG, configure, Adopted()))

    assert [task.config.outputs[0] for task in plan.tasks] == ["leaf/1", "fan/1"]


def test_a_plan_that_is_cancelled_ends_where_it_rests() -> None:
    async def main() -> bool:
        planning = asyncio.ensure_future(
            analyze(["fan/1"], CATALOG, many_configs(LARGE), Nothing(), pace=Pace(budget_seconds=0))
        )
        for _ in range(20):
            await asyncio.sleep(0)
        planning.cancel()
        for _ in range(20):
            await asyncio.sleep(0)
        return planning.cancelled()

    assert asyncio.run(main())


def test_tasks_that_wait_for_a_resource_are_not_all_looked_at_whenever_it_is_free() -> None:
    work = []
    for count in (SMALL, LARGE):
        tasks = [Task(number, LEAF, JobConfig((f"leaf/{number}",)), (), "") for number in range(1, count + 1)]
        queue = ReadyQueue(tasks, limits={"gpu": 2}, needs={LEAF: {"gpu": 1}})
        order = []
        with lines_of_ours() as lines:
            running = [queue.pop(), queue.pop()]
            while running:
                assert queue.pop() is None
                order.append(present(running[0]).task_id)
                queue.done(present(running.pop(0)))
                if (following := queue.pop()) is not None:
                    running.append(following)
        work.append(lines.total)

        assert order == list(range(1, count + 1))
    assert work[1] < 5 * work[0]


def test_recording_a_task_compares_its_outputs_no_more_than_a_few_times_each() -> None:
    comparisons = []
    for count in (SMALL, LARGE):
        CountedText.comparisons = 0
        asyncio.run(recorded(Task(1, LEAF, JobConfig(leaves(count)), (), "")))
        comparisons.append(CountedText.comparisons)

    assert comparisons[1] <= 6 * comparisons[0]  # its refs do not fit into one call, so it is answered twice


async def recorded(task: Task) -> None:
    orchestrator = BuildOrchestrator.with_mock_event_log("b", ["leaf/0"])
    orchestrator.start_build()
    orchestrator.start_planning()
    refs = task.config.outputs
    orchestrator.emit(*(partition_scheduled(ref, task.task_id, pt.REASON_MISSING) for ref in refs))
    orchestrator.complete_planning()
    orchestrator.start_execution()

    async def released(_refs: Sequence[str]) -> None:
        raise AssertionError

    recorder = BuildRecorder(orchestrator, Versions(cast("PartitionReads", Nothing())), released, {}, on_engine=False)
    orchestrator.emit_job_scheduled("b.1.1", 1, LEAF)
    attempt = Attempt(task, 1)
    recorder.record(started=attempt)
    recorder.record(Ended(attempt, RunOutcome(status=ev.JOB_STATUS_COMPLETED)))
    assert not orchestrator.state.open_partitions()


def test_no_event_of_a_job_graph_holds_more_refs_than_is_said_unless_one_task_does() -> None:
    small = [Task(number, LEAF, JobConfig((f"leaf/{number}",)), (), "") for number in range(1, 2502)]
    large = [Task(number, FAN, JobConfig((f"fan/{number}",), leaves(4000)), (), "") for number in range(2502, 2508)]
    huge = [Task(2508, FAN, JobConfig(("fan/0",), leaves(REFS_PER_EVENT)), (), "")]
    tasks = [*small, *large, *huge]

    parts = list(job_graph_events(tasks_to_messages(tasks), {LEAF: "1", FAN: "2"}))

    assert [len(part.tasks) for part in parts] == [1000, 1000, 503, 2, 2, 1]
    assert [task.task_id for part in parts for task in part.tasks] == list(range(1, 2509))
    assert {part.total_tasks for part in parts} == {len(tasks)}
    assert [dict(part.code_digests) for part in parts[:2]] == [{LEAF: "1"}] * 2
    assert [part.total_tasks for part in job_graph_events([], {})] == [0]


def test_a_pace_rests_only_where_its_budget_is_used_up() -> None:
    async def main() -> list[float]:
        now, turns = [0.0], []
        pace = Pace(clock=lambda: now[0], budget_seconds=1.0)

        async def other() -> None:
            while True:
                turns.append(now[0])
                await asyncio.sleep(0)

        running = asyncio.ensure_future(other())
        for now[0] in (0.5, 0.9, 1.0, 1.5, 2.0):
            await pace.rest()
        running.cancel()
        return turns

    assert asyncio.run(main()) == [1.0, 2.0]


@pytest.mark.parametrize("count", [0, 1, SLICE, SLICE + 1, 250_001])
def test_sorting_in_parts_sorts(count: int) -> None:
    items = [f"{number * 7919 % 1_000_003}" for number in range(count)]

    assert run_through(sort(items)) == sorted(items)
    assert [item for some in slices(tuple(items)) for item in some] == items
