"""Builds of every kind are streams that keep the rules of the Build Event Protocol."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from databuild.errors import InvalidRequestError, StorageError
from databuild.exporters.bes import build_event_stream_pb2 as bep
from databuild.exporters.bes.build_stream import BuildStream
from databuild.exporters.bes.run_results import RunLogs
from databuild.model.records import JobRunRecord
from databuild.v1 import events_pb2 as ev
from databuild.v1 import job_pb2, plan_pb2
from databuild.v1 import partition_pb2 as pt
from tests.support.bes_rules import BrokenRuleError, StreamRules

RAW, CLEAN = "//:raw", "//:clean"
ENDED = ev.BuildEvent(build_request=ev.BuildRequestEvent(status=ev.BUILD_STATUS_COMPLETED))


def received(*refs: str, options: ev.BuildOptions | None = None) -> ev.BuildEvent:
    requested = [pt.PartitionRef(str=ref) for ref in refs or ("clean/1",)]
    request = ev.BuildRequestEvent(status=ev.BUILD_STATUS_RECEIVED, requested=requested, graph_label="//:g")
    request.options.CopyFrom(options or ev.BuildOptions())
    return ev.BuildEvent(build_request=request)


def reached(status: ev.BuildStatus) -> ev.BuildEvent:
    return ev.BuildEvent(build_request=ev.BuildRequestEvent(status=status))


def graph(*tasks: tuple[int, str, Sequence[str]]) -> ev.BuildEvent:
    """Returns the event with tasks: their numbers, jobs and outputs."""
    messages = [
        plan_pb2.Task(
            task_id=number,
            job_label=label,
            config=job_pb2.JobConfig(outputs=[pt.PartitionRef(str=ref) for ref in outputs]),
        )
        for number, label, outputs in tasks
    ]
    return ev.BuildEvent(job_graph=ev.JobGraphEvent(tasks=messages, total_tasks=len(messages)))


def job(
    task: int,
    label: str,
    status: ev.JobStatus = ev.JOB_STATUS_COMPLETED,
    *,
    attempt: int = 1,
    category: pt.FailureCategory = pt.FAILURE_CATEGORY_UNSPECIFIED,
    seconds: float = 1.0,
    log_bytes: int | None = None,
) -> ev.BuildEvent:
    message = ev.JobEvent(
        job_run_id=f"b.{task}.{attempt}",
        task_id=task,
        job_label=label,
        status=status,
        attempt=attempt,
        duration_seconds=seconds,
        cpu_seconds=0.5,
        stdout_bytes=log_bytes,
        stderr_bytes=log_bytes,
    )
    if category:
        message.failure.CopyFrom(pt.Failure(category=category, message="it went wrong"))
    return ev.BuildEvent(job=message)


def available(task: int, *refs: str) -> list[ev.BuildEvent]:
    return [
        ev.BuildEvent(
            partition=ev.PartitionEvent(
                ref=ref,
                status=pt.PARTITION_STATUS_AVAILABLE,
                task_id=task,
                job_run_id=f"b.{task}.1",
                location=pt.Location(uri=f"s3://data/{ref}", size_bytes=10),
            )
        )
        for ref in refs
    ]


def check(
    task: int, *, passed: bool, severity: pt.CheckResult.Severity = pt.CheckResult.SEVERITY_ERROR
) -> ev.BuildEvent:
    result = pt.CheckResult(name="rows", passed=passed, severity=severity, ref="raw/1", message="no rows")
    return ev.BuildEvent(check=ev.CheckEvent(job_run_id=f"b.{task}.1", result=result))


def failed(message: str = "1 task failed", *, jobs_failed: int = 1, code: str = "") -> ev.BuildEvent:
    end = ev.BuildRequestEvent(
        status=ev.BUILD_STATUS_FAILED,
        jobs_failed=jobs_failed,
        failure=pt.Failure(category=pt.FAILURE_CATEGORY_INFRASTRUCTURE, message=message),
    )
    if code:
        end.error.CopyFrom(ev.BuildError(code=code, message=message))
    return ev.BuildEvent(build_request=end)


def cancelled() -> ev.BuildEvent:
    failure = pt.Failure(category=pt.FAILURE_CATEGORY_CANCELLED, message="the build was cancelled by ann")
    return ev.BuildEvent(build_request=ev.BuildRequestEvent(status=ev.BUILD_STATUS_CANCELLED, failure=failure))


def planned(*tasks: tuple[int, str, Sequence[str]], options: ev.BuildOptions | None = None) -> list[ev.BuildEvent]:
    return [
        received(options=options),
        reached(ev.BUILD_STATUS_PLANNING),
        graph(*tasks),
        reached(ev.BUILD_STATUS_ANALYSIS_COMPLETED),
        reached(ev.BUILD_STATUS_EXECUTING),
    ]


def unreadable(_job_run: JobRunRecord, _stream: str, _max_bytes: int) -> bytes:
    raise StorageError("s3://logs", "it is away")


def place(job_run: JobRunRecord, stream: str) -> str:
    return f"{job_run.log_store}/{job_run.job_run_id}/{stream}"


def exit_code_of(error: BaseException) -> int:
    return 2 if isinstance(error, InvalidRequestError) else 3


def stream_of(events: Sequence[ev.BuildEvent]) -> StreamRules:
    """Returns the stream of a build, which has to keep the rules."""
    stream, rules = BuildStream(RunLogs(place, unreadable), exit_code_of), StreamRules()
    for number, event in enumerate(events, 1):
        numbered = ev.BuildEvent(build_request_id="b", sequence=number, time=Timestamp(seconds=1000 + number))
        numbered.MergeFrom(event)
        for message in stream.of(numbered):
            rules.add(message)
    assert rules.ended
    assert stream.sequence == len(events)
    return rules


def summaries(rules: StreamRules) -> dict[str, bep.TestSummary]:
    return {event.id.test_summary.label: event.test_summary for event in rules.of("test_summary")}


def exit_code(rules: StreamRules) -> tuple[str, int]:
    (finished,) = rules.of("finished")
    return finished.finished.exit_code.name, finished.finished.exit_code.code


FULL = [
    *planned((1, RAW, ["raw/1"]), (2, CLEAN, ["clean/1"])),
    job(1, RAW, ev.JOB_STATUS_SCHEDULED),
    job(2, CLEAN, ev.JOB_STATUS_SCHEDULED),
    job(1, RAW, ev.JOB_STATUS_RUNNING),
    check(1, passed=False),
    *available(1, "raw/1"),
    job(1, RAW),
    check(1, passed=True),
    job(2, CLEAN, ev.JOB_STATUS_FAILED, category=pt.FAILURE_CATEGORY_USER),
    ev.BuildEvent(partition=ev.PartitionEvent(ref="raw/1", status=pt.PARTITION_STATUS_MISSING)),
    graph((3, RAW, ["raw/1"]), (4, "//:late", ["late/1"])),
    job(3, RAW),
    *available(3, "raw/1"),
    job(2, CLEAN, attempt=2),
    *available(2, "clean/1"),
    job(4, "//:late", ev.JOB_STATUS_SKIPPED, attempt=0, seconds=0.0),
]


@pytest.mark.parametrize("end", [ENDED, failed(), cancelled()], ids=["completed", "failed", "cancelled"])
@pytest.mark.parametrize("length", range(1, len(FULL) + 1))
def test_a_build_that_ends_at_any_event_keeps_the_rules(end: ev.BuildEvent, length: int) -> None:
    stream_of([*FULL[:length], end])


def test_the_stream_of_the_same_events_is_the_same() -> None:
    events = [*FULL, ENDED]

    assert stream_of(events).events == stream_of(events).events


def announcements(rules: StreamRules) -> list[int]:
    """Returns the number of results that each progress event announces, of those that announce any."""
    counts = [sum(child.HasField("test_result") for child in event.children) for event in rules.of("progress")]
    return [count for count in counts if count]


def test_one_event_announces_the_results_of_all_scheduled_job_runs() -> None:
    tasks = [(number, RAW, [f"raw/{number}"]) for number in range(1, 702)]
    scheduled = [job(number, RAW, ev.JOB_STATUS_SCHEDULED) for number, _, _ in tasks]
    ended = [job(number, RAW) for number, _, _ in tasks]
    early, late = stream_of([*planned(*tasks), *scheduled, *ended, ENDED]), stream_of([*planned(*tasks), *ended, ENDED])

    assert announcements(early) == [500, 201]
    assert announcements(late) == [1] * 701


def test_lines_of_one_second_share_an_event_unless_a_job_run_fails() -> None:
    tasks = [(number, RAW, [f"raw/{number}"]) for number in range(1, 6)]
    scheduled = [job(number, RAW, ev.JOB_STATUS_SCHEDULED) for number, _, _ in tasks]
    failure = job(4, RAW, ev.JOB_STATUS_FAILED, category=pt.FAILURE_CATEGORY_USER)
    ended = [job(1, RAW), job(2, RAW), job(3, RAW), failure, job(5, RAW)]
    # In one second; the lines of the last job run come with the end of the build.
    for event in (*scheduled, *ended):
        event.time.CopyFrom(Timestamp(seconds=1020))
    said = [event.progress.stderr for event in stream_of([*planned(*tasks), *scheduled, *ended, ENDED]).of("progress")]

    assert [text.splitlines() for text in said if text] == [
        ["PASSED //:raw (run 1) in 1.0s"],
        [
            "PASSED //:raw (run 2) in 1.0s",
            "PASSED //:raw (run 3) in 1.0s",
            "FAILED //:raw (run 4) in 1.0s",
            "it went wrong",
        ],
        ["PASSED //:raw (run 5) in 1.0s", "build b COMPLETED"],
    ]


def test_a_retried_job_run_that_passes_is_flaky() -> None:
    summary = summaries(stream_of([*FULL, ENDED]))[CLEAN]

    assert (summary.overall_status, summary.total_run_count, summary.attempt_count) == (bep.FLAKY, 2, 2)


@pytest.mark.parametrize(
    ("executor", "status", "category", "expected"),
    [
        ("", ev.JOB_STATUS_FAILED, pt.FAILURE_CATEGORY_USER, bep.FAILED),
        ("", ev.JOB_STATUS_FAILED, pt.FAILURE_CATEGORY_TIMEOUT, bep.TIMEOUT),
        ("", ev.JOB_STATUS_FAILED, pt.FAILURE_CATEGORY_INFRASTRUCTURE, bep.FAILED),
        ("dask://h:1", ev.JOB_STATUS_FAILED, pt.FAILURE_CATEGORY_INFRASTRUCTURE, bep.REMOTE_FAILURE),
        ("dask://h:1", ev.JOB_STATUS_FAILED, pt.FAILURE_CATEGORY_LOST, bep.REMOTE_FAILURE),
        ("", ev.JOB_STATUS_CANCELLED, pt.FAILURE_CATEGORY_CANCELLED, bep.INCOMPLETE),
    ],
)
def test_the_status_of_a_job_run_tells_why_it_failed(
    executor: str, status: ev.JobStatus, category: pt.FailureCategory, expected: bep.TestStatus
) -> None:
    events = planned((1, RAW, ["raw/1"]), options=ev.BuildOptions(executor=executor))
    rules = stream_of([*events, job(1, RAW, status, category=category), failed()])

    (result,) = rules.of("test_result")
    assert (result.test_result.status, result.test_result.status_details) == (expected, "it went wrong")
    assert summaries(rules)[RAW].overall_status == expected


@pytest.mark.parametrize(
    ("status", "category", "reason"),
    [
        (ev.JOB_STATUS_SKIPPED, pt.FAILURE_CATEGORY_MISSING_DATA, bep.Aborted.SKIPPED),
        (ev.JOB_STATUS_CANCELLED, pt.FAILURE_CATEGORY_CANCELLED, bep.Aborted.USER_INTERRUPTED),
        (ev.JOB_STATUS_CANCELLED, pt.FAILURE_CATEGORY_USER, bep.Aborted.INCOMPLETE),
    ],
)
def test_a_job_run_that_never_ran_is_aborted(
    status: ev.JobStatus, category: pt.FailureCategory, reason: bep.Aborted.AbortReason
) -> None:
    never = job(1, RAW, status, attempt=0, category=category, seconds=0.0)
    rules = stream_of([*planned((1, RAW, ["raw/1"])), never, failed()])

    (aborted,) = rules.of("aborted")
    assert (aborted.id.test_result.run, aborted.aborted.reason) == (1, reason)
    assert summaries(rules)[RAW].overall_status == bep.NO_STATUS


def test_many_partitions_are_in_several_sets() -> None:
    refs = [f"raw/{number}" for number in range(1200)]
    rules = stream_of([*planned((1, RAW, refs)), *available(1, *refs), job(1, RAW), ENDED])

    sets = [event.named_set_of_files for event in rules.of("named_set_of_files")]
    assert [len(files.files) for files in sets] == [500, 500, 200]
    assert (sets[0].files[3].name, sets[0].files[3].uri, sets[0].files[3].length) == ("raw/3", "s3://data/raw/3", 10)
    (completed,) = rules.of("completed")
    assert len(completed.completed.output_group[0].file_sets) == 3


def test_a_check_is_a_target_with_a_run_for_each_result() -> None:
    checks = [check(1, passed=True), check(1, passed=False, severity=pt.CheckResult.SEVERITY_WARNING)]
    rules = stream_of([*planned((1, RAW, ["raw/1"])), *checks, job(1, RAW), *available(1, "raw/1"), ENDED])

    results = [event for event in rules.of("test_result") if event.id.test_result.label == "//:raw.rows"]
    assert [event.test_result.status for event in results] == [bep.PASSED, bep.FAILED]
    assert results[1].test_result.status_details == "WARNING: raw/1: no rows"
    assert summaries(rules)["//:raw.rows"].overall_status == bep.FAILED
    assert exit_code(rules) == ("SUCCESS", 0)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (ENDED, ("SUCCESS", 0)),
        (failed(), ("BUILD_FAILURE", 1)),
        (failed(jobs_failed=0), ("LOCAL_ENVIRONMENTAL_ERROR", 3)),
        (failed(jobs_failed=0, code="UNKNOWN_PARTITION"), ("COMMAND_LINE_ERROR", 2)),
        (cancelled(), ("INTERRUPTED", 130)),
    ],
)
def test_the_exit_code_is_that_of_the_command_line(end: ev.BuildEvent, expected: tuple[str, int]) -> None:
    assert exit_code(stream_of([received(), end])) == expected


def test_the_command_line_has_the_options_that_are_no_defaults() -> None:
    options = ev.BuildOptions(
        jobs=4, keep_going=True, plan=plan_pb2.PlanOptions(stale=plan_pb2.STALE_POLICY_REUSE), executor="dask://h:1"
    )
    (event,) = stream_of([received("raw/1", options=options), ENDED]).of("unstructured_command_line")

    words = ["databuild", "build", "--stale=reuse", "--keep_going", "--jobs=4", "--executor=dask://h:1", "raw/1"]
    assert list(event.unstructured_command_line.args) == words


def test_a_long_request_is_cut() -> None:
    refs = [f"raw/{number}" for number in range(1102)]
    (started, *_) = stream_of([received(*refs), ENDED]).events

    (pattern,) = (child.pattern for child in started.children if child.HasField("pattern"))
    assert list(pattern.pattern) == [*refs[:100], "and 1,002 more"]


def test_partitions_of_an_ended_build_are_complete_at_once_and_those_of_a_running_one_in_the_end() -> None:
    delegations = [
        ev.BuildEvent(
            delegation=ev.DelegationEvent(
                delegated_to_build_request_id="other",
                job_label=label,
                partitions=[pt.PartitionRef(str=ref)],
                running=running,
            )
        )
        for label, ref, running in ((RAW, "raw/1", False), (CLEAN, "clean/1", True))
    ]
    analysed = reached(ev.BUILD_STATUS_ANALYSIS_COMPLETED)
    rules = stream_of([received(), reached(ev.BUILD_STATUS_PLANNING), *delegations, analysed, failed()])

    completed = {event.id.target_completed.label: event.completed.success for event in rules.of("completed")}
    assert completed == {RAW: True, CLEAN: False}
    assert not rules.of("test_summary")


def test_logs_in_a_store_have_uris_unless_they_are_empty() -> None:
    events = planned(
        (1, RAW, ["raw/1"]), (2, RAW, ["raw/2"]), (3, RAW, ["raw/3"]), options=ev.BuildOptions(log_store="s3://logs")
    )
    runs = [job(1, RAW, log_bytes=7), job(2, RAW, log_bytes=0), job(3, RAW)]
    rules = stream_of([*events, *runs, ENDED])

    outputs = [event.test_result.test_action_output for event in rules.of("test_result")]
    assert [[file.uri for file in files] for files in outputs] == [
        ["s3://logs/b.1.1/stdout", "s3://logs/b.1.1/stderr"],
        [],
        ["s3://logs/b.3.1/stdout", "s3://logs/b.3.1/stderr"],
    ]


def test_metrics_count_job_runs_and_their_times() -> None:
    (event,) = stream_of([*FULL, ENDED]).of("build_metrics")

    summary = event.build_metrics.action_summary
    assert (summary.actions_created, summary.actions_executed) == (4, 4)
    assert event.build_metrics.timing_metrics.cpu_time_in_ms == 2000
    assert event.build_metrics.timing_metrics.wall_time_in_ms == 1000 * len(FULL)


@pytest.mark.parametrize(
    "event",
    [
        bep.BuildEvent(id=bep.BuildEventId(progress=bep.BuildEventId.ProgressId(opaque_count=9)), progress={}),
        bep.BuildEvent(id=bep.BuildEventId(started=bep.BuildEventId.BuildStartedId()), started={}),
        bep.BuildEvent(progress={}),
    ],
    ids=["not announced", "twice", "no id"],
)
def test_the_rules_of_the_tests_find_faults(event: bep.BuildEvent) -> None:
    rules = StreamRules()
    rules.add(bep.BuildEvent(id=bep.BuildEventId(started=bep.BuildEventId.BuildStartedId()), started={}))

    with pytest.raises(BrokenRuleError):
        rules.add(event)
