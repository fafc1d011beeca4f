"""The events of a build as a stream of the Build Event Protocol (https://bazel.build/remote/bep).

A job is a target, its partitions are the outputs of the target, and its job runs are test runs of the target, so that
user interfaces show their status, attempts, times and logs. A check of a job is a target of its own, with one test run
for each result.

The stream depends on the events of the build alone, so it is the same whenever and by whichever process it is made. It
keeps the rules of the protocol: an id occurs once, each event but the first is announced by an earlier one, and each
announced event comes. Events that nothing else announces are announced by progress events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from databuild.exporters.bes import build_event_stream_pb2 as bep
from databuild.exporters.bes import stream_ids
from databuild.exporters.bes.ending import Progression, exit_code_of, finished, metrics
from databuild.exporters.bes.opening import opening, requested_pattern
from databuild.exporters.bes.run_results import (
    NANOSECONDS,
    RunLogs,
    RunResults,
    abortion_of,
    has_run,
    result_of_check,
    run_of,
    status_of,
)
from databuild.exporters.bes.targets import Target, Targets
from databuild.model.job_run_id import parse_job_run_id
from databuild.model.lifecycle import BUILD_ENDS, JOB_ENDS
from databuild.model.statuses import BUILD
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

if TYPE_CHECKING:
    from databuild.exporters.bes.build_event_stream_pb2 import BuildEventId

_JOB: Final = "databuild_job rule"
_CHECK: Final = "databuild_check rule"

_TOLD_PARTITIONS: Final = frozenset(
    {pt.PARTITION_STATUS_MISSING, pt.PARTITION_STATUS_FAILED, pt.PARTITION_STATUS_AVAILABLE}
)
"""The statuses of partitions that add something to a stream."""

_MAX_FILES: Final = 500
"""The maximum number of partitions in one set."""

_MAX_ANNOUNCED: Final = 500
"""The maximum number of results that one event announces."""

_OUTPUTS: Final = "default"
"""The group of outputs that user interfaces show."""


class BuildStream:
    """Turns the events of one build, in their order, into those of its stream.

    Attributes:
        exit_code: The exit code of the build after its end; None before.
        sequence: The sequence number of the last event of the build.
    """

    def __init__(self, logs: RunLogs, exit_code_of_error: Callable[[BaseException], int]) -> None:
        """Begins an empty stream.

        Args:
            logs: The logs of job runs.
            exit_code_of_error: Returns the exit code with which the command line ends after an error.
        """
        self.exit_code: int | None = None
        self.sequence = 0
        self._logs = logs
        self._exit_code_of_error = exit_code_of_error
        self._targets = Targets()
        self._checks = Targets()
        self._results = RunResults()
        self._placements: dict[str, ev.PlacementEvent] = {}
        self._unannounced: dict[str, BuildEventId] = {}
        self._announced: dict[str, BuildEventId] = {}
        self._lines: list[str] = []
        self._now = 0
        self._announced_time = 0
        self._progress = 0
        self._sets = 0
        self._log_store = ""
        self._remote = False
        self._pattern: BuildEventId | None = None
        self._progression: Progression

    def of(self, event: ev.BuildEvent) -> Sequence[bep.BuildEvent]:
        """Returns the events of the stream that an event of the build adds. Most events add none."""
        self.sequence = event.sequence
        time = event.time
        self._now = time.seconds * NANOSECONDS + time.nanos
        added = [*self._of(event)]
        if self._lines and self._now >= self._announced_time + NANOSECONDS:
            added.append(self._announce(()))
        return added

    def _of(self, event: ev.BuildEvent) -> Iterable[bep.BuildEvent]:
        kind = event.WhichOneof("event")
        added: Iterable[bep.BuildEvent] = ()
        if kind == "partition":
            partition = event.partition
            if partition.status in _TOLD_PARTITIONS:
                added = self._of_partition(partition)
        elif kind == "job":
            job = event.job
            if job.status in JOB_ENDS:
                added = self._of_job(event, job)
            elif job.status == ev.JOB_STATUS_SCHEDULED:
                self._add_scheduled(job)
        elif kind == "build_request":
            added = self._of_build(event)
        elif kind == "job_graph":
            added = self._of_tasks(event.job_graph)
        elif kind == "delegation":
            added = self._of_delegation(event.delegation)
        elif kind == "check":
            added = self._of_check(event)
        elif kind == "placement" and event.placement.started:
            self._placements[event.placement.job_run_id] = event.placement
        return added

    def _of_build(self, event: ev.BuildEvent) -> Iterator[bep.BuildEvent]:
        build = event.build_request
        if build.status == ev.BUILD_STATUS_RECEIVED:
            self._progression = Progression(received=event.time)
            self._pattern = requested_pattern(build)
            self._log_store = build.options.log_store
            self._remote = bool(build.options.executor)
            yield from opening(event, stream_ids.progress(0))
            yield from self._say([f"WARNING: {warning}" for warning in build.warnings])
        elif build.status == ev.BUILD_STATUS_PLANNING:
            self._progression.planning = event.time
        elif build.status == ev.BUILD_STATUS_ANALYSIS_COMPLETED:
            self._progression.planned = event.time
            yield from self._say([f"WARNING: {warning}" for warning in build.warnings])
            yield from self._expand()
        elif build.status == ev.BUILD_STATUS_EXECUTING:
            self._progression.executing = event.time
        elif build.status in BUILD_ENDS:
            yield from self._of_end(event)

    def _expand(self) -> Iterator[bep.BuildEvent]:
        """Yields the targets that planning has found."""
        targets = list(self._targets.by_label.values())
        children = [stream_ids.target_configured(target.label) for target in targets]
        yield bep.BuildEvent(id=self._pattern, children=children, expanded=bep.PatternExpanded())
        self._pattern = None
        for target in targets:
            yield _configured(target)
            if not target.runs and target.made:  # left to builds that have ended
                yield from self._complete(target, success=True)

    def _of_tasks(self, graph: ev.JobGraphEvent) -> Iterator[bep.BuildEvent]:
        known = dict(self._targets.by_label)
        summarized = {label for label, target in known.items() if target.runs}
        changed = dict.fromkeys(task.job_label for task in graph.tasks)
        for task in graph.tasks:
            self._targets.add_task(task, _JOB)
        if self._pattern is not None:
            return
        # The build runs tasks that planning did not find, because data was lost meanwhile.
        for label in changed:
            target = self._targets.by_label[label]
            if label not in known:
                yield self._announce((stream_ids.target_configured(label),))
                yield _configured(target)
            elif label not in summarized:
                target.summarized = True
                yield self._announce((stream_ids.test_summary(label),))

    def _of_delegation(self, delegation: ev.DelegationEvent) -> Iterator[bep.BuildEvent]:
        known = delegation.job_label in self._targets.by_label
        target = self._targets.get(delegation.job_label, _JOB)
        if not target.runs and delegation.running:
            target.outputs += len(delegation.partitions)
        if self._pattern is None and not known:
            yield self._announce((stream_ids.target_configured(target.label),))
            yield _configured(target)
        verb = "waits for" if delegation.running else "uses"
        other = delegation.delegated_to_build_request_id
        yield from self._say([f"{target.label}: {verb} {len(delegation.partitions):,} partitions of build {other}"])

    def _of_partition(self, partition: ev.PartitionEvent) -> Iterator[bep.BuildEvent]:
        if partition.status == pt.PARTITION_STATUS_MISSING:
            yield from self._say([f"MISSING {partition.ref}"])
            return
        run = self._targets.run_of(partition.task_id)
        if run is None:
            return
        target, _ = run
        if partition.status == pt.PARTITION_STATUS_FAILED:
            target.failed = True
            target.fault = partition.failure.message
        elif partition.status == pt.PARTITION_STATUS_AVAILABLE:
            target.available += 1
            self._progression.partitions += 1
            self._progression.bytes += partition.location.size_bytes
            if target.completed:  # the data was lost and made again
                return
            location = partition.location
            target.files.append(bep.File(name=partition.ref, uri=location.uri, length=location.size_bytes))
            if len(target.files) >= _MAX_FILES:
                yield from self._send_files(target)
            if target.made:
                yield from self._complete(target, success=True)

    def _add_scheduled(self, job: ev.JobEvent) -> None:
        if run := self._targets.run_of(job.task_id):
            target, number = run
            self._unannounced[job.job_run_id] = stream_ids.test_result(target.label, number, max(job.attempt, 1))

    def _announce_result(self, job: ev.JobEvent, result_id: BuildEventId) -> Iterator[bep.BuildEvent]:
        """Yields the announcement of the result of a job run, unless an earlier one had it.

        It announces all job runs that are scheduled by then, since each of them has an end. So short job runs, many of
        which are scheduled at once, cost one event each.
        """
        if self._announced.pop(job.job_run_id, None) is not None:
            return
        announced = {**self._unannounced, job.job_run_id: result_id}
        self._unannounced = {}
        ids = list(announced.values())
        del announced[job.job_run_id]
        self._announced |= announced
        for begin in range(0, len(ids), _MAX_ANNOUNCED):
            yield self._announce(ids[begin : begin + _MAX_ANNOUNCED])

    def _of_job(self, event: ev.BuildEvent, job: ev.JobEvent) -> Iterator[bep.BuildEvent]:
        placement = self._placements.pop(job.job_run_id, None)
        run = self._targets.run_of(job.task_id)
        if run is None:
            return
        target, number = run
        result_id = self._announced.get(job.job_run_id) or self._unannounced.get(job.job_run_id)
        if result_id is None:
            result_id = stream_ids.test_result(target.label, number, max(job.attempt, 1))
        if not has_run(job):
            yield from self._announce_result(job, result_id)
            yield bep.BuildEvent(id=result_id, aborted=abortion_of(job))
            return
        status = status_of(job, remote=self._remote)
        seconds = job.duration_seconds
        started = self._now - int(seconds * NANOSECONDS)
        files = self._logs.files(event, self._log_store)
        target.add_result(number, job.attempt, status, started, self._now, seconds)
        target.cpu_seconds += job.cpu_seconds
        self._lines.append(f"{bep.TestStatus.Name(status)} {target.label} (run {number}) in {seconds:.1f}s")
        yield from self._announce_result(job, result_id)
        if status != bep.PASSED:
            target.fault = job.failure.message
            target.add_failed_logs(files)
            yield from self._say([job.failure.message, *self._logs.end(run_of(event, self._log_store))])
        yield self._results.event(result_id, job, status, started, placement, files)

    def _of_check(self, event: ev.BuildEvent) -> Iterator[bep.BuildEvent]:
        check = event.check.result
        run = self._targets.run_of(parse_job_run_id(event.check.job_run_id).task_id)
        if run is None:
            return
        label = f"{run[0].label}.{check.name}"
        known = label in self._checks.by_label
        target = self._checks.get(label, _CHECK)
        target.runs += 1
        result_id = stream_ids.test_result(label, target.runs, 1)
        result = result_of_check(event)
        target.add_result(target.runs, 1, result.status, self._now, self._now)
        lines = [] if check.passed else [f"FAILED {label}: {result.status_details}"]
        if known:
            yield self._announce((result_id,), lines)
        else:
            yield self._announce((stream_ids.target_configured(label), result_id), lines)
            yield _configured(target)
        yield bep.BuildEvent(id=result_id, test_result=result)

    def _of_end(self, event: ev.BuildEvent) -> Iterator[bep.BuildEvent]:
        end = event.build_request
        succeeded = end.status == ev.BUILD_STATUS_COMPLETED
        if self._pattern is not None:
            # The tasks that planning had found so far were not announced, so they need not come.
            reason = bep.Aborted.USER_INTERRUPTED
            if end.status == ev.BUILD_STATUS_FAILED:
                reason = bep.Aborted.ANALYSIS_FAILURE
            aborted = bep.Aborted(reason=reason, description=end.error.message or end.failure.message)
            yield bep.BuildEvent(id=self._pattern, aborted=aborted)
            self._targets = Targets()
        for result_id in self._announced.values():
            yield bep.BuildEvent(id=result_id, aborted=bep.Aborted(reason=bep.Aborted.INCOMPLETE))
        targets = (*self._targets.by_label.values(), *self._checks.by_label.values())
        for target in targets:
            if not target.completed:
                yield from self._complete(target, success=succeeded or (target.made and not target.failed))
            if target.summarized:
                yield bep.BuildEvent(id=stream_ids.test_summary(target.label), test_summary=target.summary())
        self.exit_code = exit_code_of(end, self._exit_code_of_error)
        text = end.error.message or end.failure.message
        lines = [f"build {event.build_request_id} {BUILD.name(end.status)}{f': {text}' if text else ''}"]
        yield _progress(self._progress, (), [*self._lines, *lines])
        children = (stream_ids.BUILD_METRICS,)
        yield bep.BuildEvent(id=stream_ids.BUILD_FINISHED, children=children, finished=finished(event, self.exit_code))
        measured = metrics(self._progression, self._targets.by_label.values(), self._targets.tasks(), event.time)
        yield bep.BuildEvent(id=stream_ids.BUILD_METRICS, build_metrics=measured, last_message=True)

    def _complete(self, target: Target, *, success: bool) -> Iterator[bep.BuildEvent]:
        yield from self._send_files(target)
        target.completed = True
        sets = [stream_ids.named_set(name).named_set for name in target.file_sets]
        complete = bep.TargetComplete(success=success)
        if sets:
            complete.output_group.add(name=_OUTPUTS, file_sets=sets, incomplete=not target.made)
        if not success:
            complete.failure_detail.message = target.fault
        yield bep.BuildEvent(id=stream_ids.target_completed(target.label), completed=complete)

    def _send_files(self, target: Target) -> Iterator[bep.BuildEvent]:
        if not target.files:
            return
        name = str(self._sets)
        self._sets += 1
        yield self._announce((stream_ids.named_set(name),))
        files = bep.NamedSetOfFiles(files=target.files)
        yield bep.BuildEvent(id=stream_ids.named_set(name), named_set_of_files=files)
        target.file_sets.append(name)
        target.files = []

    def _say(self, lines: Sequence[str]) -> Iterator[bep.BuildEvent]:
        if lines:
            yield self._announce((), lines)

    def _announce(self, ids: Iterable[BuildEventId], lines: Sequence[str] = ()) -> bep.BuildEvent:
        """Returns a progress event that announces others, the next progress event among them.

        It has the lines that were kept back: many short job runs share one progress event.
        """
        number = self._progress
        self._progress += 1
        said, self._lines = [*self._lines, *lines], []
        self._announced_time = self._now
        return _progress(number, (stream_ids.progress(self._progress), *ids), said)


def _progress(number: int, children: Iterable[BuildEventId], lines: Sequence[str]) -> bep.BuildEvent:
    text = "".join(f"{line}\n" for line in lines)
    return bep.BuildEvent(id=stream_ids.progress(number), children=children, progress=bep.Progress(stderr=text))


def _configured(target: Target) -> bep.BuildEvent:
    children = [stream_ids.target_completed(target.label)]
    if target.runs:
        target.summarized = True
        children.append(stream_ids.test_summary(target.label))
    configured = bep.TargetConfigured(target_kind=target.kind, test_size=bep.MEDIUM if target.runs else bep.UNKNOWN)
    return bep.BuildEvent(id=stream_ids.target_configured(target.label), children=children, configured=configured)
