"""Tasks are counted by state, and the remaining time is estimated from the durations of runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from databuild.cli.display.task_states import StateCounts, TaskStates
from databuild.model.records import JobRunRecord
from databuild.model.statuses import JobStatus
from databuild.v1 import events_pb2 as ev
from databuild.v1.plan_pb2 import Task

BUILD = "20261123T095142Z-7k3f9q"


def job_event(task: int, status: str, *, job: str = "//:a", attempt: int = 1, seconds: float = 0.0) -> ev.BuildEvent:
    """Returns the event of a job run."""
    run = f"{BUILD}.{task}.{attempt}"
    job_event = ev.JobEvent(
        job_run_id=run, task_id=task, job_label=job, status=f"JOB_STATUS_{status}", duration_seconds=seconds
    )
    return ev.BuildEvent(job=job_event)


def planned(
    tasks: Sequence[tuple[str, Sequence[int]]], *, slots: int = 2, clock: Callable[[], float] | None = None
) -> TaskStates:
    """Returns the states of planned tasks: (job, upstream tasks) each."""
    states = TaskStates(clock or (lambda: 0.0))
    received = ev.BuildRequestEvent(status=ev.BUILD_STATUS_RECEIVED, options=ev.BuildOptions(jobs=slots))
    states.add(ev.BuildEvent(build_request=received))
    messages = [
        Task(task_id=number, job_label=job, upstream_task_ids=upstream)
        for number, (job, upstream) in enumerate(tasks, 1)
    ]
    for message in messages:
        graph = ev.JobGraphEvent(tasks=[message], total_tasks=len(messages))
        states.add(ev.BuildEvent(job_graph=graph))
    return states


def earlier(*seconds: float, job: str = "//:a", status: JobStatus = "COMPLETED") -> list[JobRunRecord]:
    """Returns earlier runs of a job, newest first."""
    return [
        JobRunRecord(f"{BUILD}.1.1", BUILD, 1, 1, job, 1, status, duration_seconds=duration) for duration in seconds
    ]


def test_tasks_are_counted_by_state() -> None:
    states = planned([("//:a", ())] * 7)
    for task, status in enumerate(["COMPLETED", "FAILED", "RUNNING", "SCHEDULED", "SKIPPED", "CANCELLED"], 1):
        states.add(job_event(task, status))

    assert states.planned
    assert states.counts() == StateCounts(completed=1, failed=1, running=1, waiting=2, skipped=1, cancelled=1)
    assert states.counts().total == 7


def test_a_task_that_is_tried_again_is_not_counted_as_failed() -> None:
    states = planned([("//:a", ())])
    for attempt, status in ((1, "RUNNING"), (1, "FAILED"), (2, "SCHEDULED"), (2, "RUNNING")):
        states.add(job_event(1, status, attempt=attempt))

    assert states.counts() == StateCounts(completed=0, failed=0, running=1, waiting=0, skipped=0, cancelled=0)


def test_a_job_graph_is_planned_once_all_of_its_parts_are_there() -> None:
    states = TaskStates()
    seen = [states.planned]
    for number, job in enumerate(["//:a", "//:b"], 1):
        task = Task(task_id=number, job_label=job)
        states.add(ev.BuildEvent(job_graph=ev.JobGraphEvent(tasks=[task], total_tasks=2)))
        seen.append(states.planned)

    assert seen == [False, False, True]
    assert states.jobs == ["//:a", "//:b"]


def test_nothing_is_estimated_without_a_duration() -> None:
    states = planned([("//:a", ())])
    states.add_earlier_runs("//:a", earlier(5.0, status="FAILED"))

    assert states.remaining_seconds() is None


@pytest.mark.parametrize(
    ("tasks", "slots", "seconds"),
    [
        ([("//:a", ())] * 6, 2, 30.0),  # three rounds of two
        ([("//:a", ())] * 6, 64, 10.0),  # all at once
        ([("//:a", ()), ("//:a", [1]), ("//:a", [2])], 8, 30.0),  # a chain
        ([("//:a", ()), ("//:unknown", ())], 1, 20.0),  # the mean of the jobs that are known
    ],
)
def test_the_estimate_is_the_larger_of_work_over_slots_and_the_longest_chain(
    tasks: list[tuple[str, Sequence[int]]], slots: int, seconds: float
) -> None:
    states = planned(tasks, slots=slots)
    states.add_earlier_runs("//:a", earlier(10.0, 9.0, 90.0))

    assert states.remaining_seconds() == pytest.approx(seconds)


def test_ended_tasks_take_no_more_time_and_running_ones_take_the_rest() -> None:
    now = [0.0]
    states = planned([("//:a", ()), ("//:a", [1]), ("//:a", [2])], clock=lambda: now[0])
    states.add_earlier_runs("//:a", earlier(10.0))
    states.add(job_event(1, "RUNNING"))
    states.add(job_event(1, "COMPLETED", seconds=10.0))
    states.add(job_event(2, "RUNNING"))
    now[0] += 4

    assert states.remaining_seconds() == pytest.approx(16.0)
    now[0] += 60
    assert states.remaining_seconds() == pytest.approx(10.0)


def test_runs_of_this_build_count_more_than_earlier_ones_as_they_come() -> None:
    states = planned([("//:a", ())] * 50, slots=1)
    states.add_earlier_runs("//:a", earlier(*[100.0] * 20))
    for task in range(1, 31):
        states.add(job_event(task, "COMPLETED", seconds=1.0))

    assert states.remaining_seconds() == pytest.approx(20.0)


def test_without_a_number_of_slots_the_runs_seen_at_once_count() -> None:
    states = planned([("//:a", ())] * 4, slots=0)
    states.add_earlier_runs("//:a", earlier(10.0))
    states.add(job_event(1, "RUNNING"))
    states.add(job_event(2, "RUNNING"))

    assert states.remaining_seconds() == pytest.approx(20.0)
