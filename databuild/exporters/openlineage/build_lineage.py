"""The run events of one build, computed from its events one after the other.

Each run event follows from the events up to one of them. After a crash, another process reads the events of the build
again, and sends the same run events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from databuild.exporters.openlineage.datasets import SEVERITIES, Datasets
from databuild.exporters.openlineage.facets import (
    CODE_DIGEST,
    EVENT_SCHEMA,
    PRODUCER,
    RUN,
    Json,
    encoded,
    encoded_object,
    encoded_text,
    encoded_values,
    facet,
    readable,
)
from databuild.exporters.openlineage.run_ids import run_id
from databuild.model.lifecycle import BUILD_ENDS, JOB_ENDS
from databuild.tuples import EMPTY, NamedTuple
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

_INTEGRATION: Final = "DATABUILD"

START: Final = "START"
COMPLETE: Final = "COMPLETE"
FAIL: Final = "FAIL"
ABORT: Final = "ABORT"

RunEvent = Json
"""An event of OpenLineage."""

_NONE: Final = "[]"
_END: Final = f'"producer":"{PRODUCER}","schemaURL":"{EVENT_SCHEMA}"}}'

_ON_THE_WAY: Final = frozenset(
    {pt.PARTITION_STATUS_REQUESTED, pt.PARTITION_STATUS_SCHEDULED, pt.PARTITION_STATUS_BUILDING}
)

_STATES: Final[Mapping[int, str]] = {
    ev.JOB_STATUS_COMPLETED: COMPLETE,
    ev.JOB_STATUS_FAILED: FAIL,
    ev.JOB_STATUS_CANCELLED: ABORT,
}

_BUILD_STATES: Final[Mapping[int, str]] = {
    ev.BUILD_STATUS_COMPLETED: COMPLETE,
    ev.BUILD_STATUS_FAILED: FAIL,
    ev.BUILD_STATUS_CANCELLED: ABORT,
}


class Surroundings(NamedTuple):
    """The part of an event log around the events of a build.

    Attributes:
        outputs_of: Returns the partitions that a job run is about to make: the run, and the sequence number of the
            event that it has started.
        environments_of: Returns the environment that has made each input of a build in an environment, by ref; inputs
            of the base are absent.
    """

    outputs_of: Callable[[str, int], Sequence[str]]
    environments_of: Callable[[Sequence[pt.InputVersion]], Mapping[str, str]]


class _Run:
    """A job run that has started.

    Attributes:
        job_run_id: The job run.
        job_label: Its job.
        code_digest: The digest of its code.
        run_id: Its id.
        job: Its job and its inputs, as members of a JSON object.
        names: The facet with its names, as a member of a JSON object.
        made: The event of each partition that it has made, by ref.
        checks: The results of its checks.
        end: Its end; None before.
        ended: The time of its end.
    """

    __slots__ = (
        *("job_run_id", "job_label", "code_digest", "run_id", "job", "names"),
        *("made", "checks", "end", "ended"),
    )

    def __init__(self, job_run_id: str, job_label: str, code_digest: str, run_id: str, job: Json, names: Json) -> None:
        self.job_run_id = job_run_id
        self.job_label = job_label
        self.code_digest = code_digest
        self.run_id = run_id
        self.job = job
        self.names = names
        self.made: dict[str, ev.PartitionEvent] = {}
        self.checks: list[pt.CheckResult] = []
        self.end: ev.JobEvent | None = None
        self.ended: Timestamp | None = None


class BuildLineage:
    """The run events of a build.

    Attributes:
        last_sequence: The sequence number of the last event.
        is_build: False before the first event, and if the events are no build.
        has_ended: True after its last event.
    """

    def __init__(self, build_request_id: str, datasets: Datasets, surroundings: Surroundings) -> None:
        self.last_sequence = 0
        self.is_build = False
        self.has_ended = False
        self._build = build_request_id
        self._datasets = datasets
        self._surroundings = surroundings
        self._graph = ""
        self._environment = ""
        self._origin = ev.BuildOrigin()
        self._run_id = ""
        self._names: Json = ""
        self._parent_of_jobs: Json = ""
        self._jobs: dict[tuple[str, str], Json] = {}
        self._runs: dict[str, _Run] = {}
        self._closing: _Run | None = None

    def pass_by(self, events: Sequence[ev.BuildEvent], first: int) -> int:
        """Advances by events without run events, as half of the events of builds with short job runs are.

        Args:
            events: Events of any builds.
            first: The index of the first one.

        Returns:
            The index of the next one, which may have run events or belong to another build.
        """
        if self._closing is not None:
            return first
        index, sequence = first, self.last_sequence
        while index < len(events):
            event = events[index]
            if event.sequence != sequence + 1 or event.build_request_id != self._build:
                break
            if event.partition.status not in _ON_THE_WAY and event.job.status != ev.JOB_STATUS_SCHEDULED:
                break
            index += 1
            sequence += 1
        self.last_sequence = sequence
        return index

    def advance(self, event: ev.BuildEvent) -> list[RunEvent]:
        """Advances by the next event, and returns the run events that follow from it."""
        self.last_sequence = sequence = event.sequence
        kind = event.WhichOneof("event")
        if kind == "partition":
            return self._on_partition(event.partition)
        run_events: list[RunEvent] = []
        if sequence == 1 and kind == "build_request":
            run_events.append(self._receive(event))
        if not self.is_build:
            return run_events
        if self._closing is not None:
            run_events += self._close_run(self._closing)
        if kind == "check":
            if run := self._runs.get(event.check.job_run_id):
                run.checks.append(event.check.result)
        elif kind == "job":
            run_events += self._on_job(event)
        elif kind == "build_request" and event.build_request.status in BUILD_ENDS:
            run_events += self._end(event)
        return run_events

    def _on_partition(self, event: ev.PartitionEvent) -> list[RunEvent]:
        # The events about the outputs of a job run follow its end.
        closing, job_run_id = self._closing, event.job_run_id
        run_events = self._close_run(closing) if closing is not None and job_run_id != closing.job_run_id else []
        if event.status == pt.PARTITION_STATUS_AVAILABLE and (run := self._runs.get(job_run_id)):
            run.made[event.ref] = event
        return run_events

    def _receive(self, event: ev.BuildEvent) -> RunEvent:
        received = event.build_request
        self.is_build = True
        self._graph = received.graph_label
        self._environment = received.environment
        self._origin.CopyFrom(received.origin)
        self._run_id = run_id(self._build, event.time)
        environment = f',"environment":{encoded_text(self._environment)}' if self._environment else ""
        names = f'{{"buildRequestId":{encoded_text(self._build)}{environment}}}'
        self._names = f'"{RUN}":{facet("DatabuildRunFacet", names)}'
        self._parent_of_jobs = self._parent_of(self._run_id, self._graph)
        return self._build_event(START, event.time)

    def _end(self, event: ev.BuildEvent) -> list[RunEvent]:
        end = event.build_request
        self.has_ended = True
        # A job run without an end, whose process was lost with its orchestrator, has ended by now.
        run_events = [self._run_event(ABORT, event.time, run, self._outputs(run, ())) for run in self._runs.values()]
        message = (end.error.message or end.failure.message) if end.status == ev.BUILD_STATUS_FAILED else ""
        run_events.append(self._build_event(_BUILD_STATES[end.status], event.time, message))
        return run_events

    def _on_job(self, event: ev.BuildEvent) -> list[RunEvent]:
        job = event.job
        if job.status == ev.JOB_STATUS_RUNNING:
            return [self._start(event, job, job.manifest)]
        if job.status not in JOB_ENDS:
            return []
        run_events: list[RunEvent] = []
        ended = self._runs.get(job.job_run_id)
        if ended is None and job.status == ev.JOB_STATUS_FAILED:  # its process could not be started
            run_events.append(self._start(event, job, pt.Manifest()))
            ended = self._runs[job.job_run_id]
        if ended is not None:
            ended.end, ended.ended = job, event.time
            self._closing = ended
        return run_events

    def _start(self, event: ev.BuildEvent, job: ev.JobEvent, manifest: pt.Manifest) -> RunEvent:
        job_run_id, job_label, code_digest = job.job_run_id, job.job_label, manifest.code_digest
        text = self._jobs.get((job_label, code_digest))
        if text is None:
            text = self._jobs[job_label, code_digest] = self._job(job_label, "JOB", code_digest)
        inputs = _NONE
        if used := manifest.inputs:
            environments = self._surroundings.environments_of(used) if self._environment else EMPTY
            inputs = self._datasets.inputs([(one.ref, environments.get(one.ref, "")) for one in used])
        # The facet of the build ends with the brace of its object.
        names = f'{self._names[:-1]},"jobRunId":{encoded_text(job_run_id)},"attempt":{job.attempt}}}'
        run_of_job = run_id(job_run_id, event.time)
        run = _Run(job_run_id, job_label, code_digest, run_of_job, f'{text},"inputs":{inputs}', names)
        self._runs[job_run_id] = run
        outputs = self._datasets.planned(self._environment, self._surroundings.outputs_of(job_run_id, event.sequence))
        return self._run_event(START, event.time, run, outputs)

    def _close_run(self, run: _Run) -> list[RunEvent]:
        self._closing = None
        del self._runs[run.job_run_id]
        end, time = run.end, run.ended
        assert end is not None
        assert time is not None
        message = end.failure.message if end.status == ev.JOB_STATUS_FAILED else ""
        run_events = [self._run_event(_STATES[end.status], time, run, self._outputs(run, end.metrics), message)]
        if checked := [result for result in run.checks if result.ref]:
            run_events += self._check_events(run, checked, time)
        return run_events

    def _outputs(self, run: _Run, metrics: Sequence[pt.Metric]) -> Json:
        return self._datasets.made(self._environment, run.made, metrics)

    def _build_event(self, state: str, time: Timestamp, message: str = "") -> RunEvent:
        job = f'{self._job(self._graph, "BUILD")},"inputs":{_NONE}'
        return _run_event(state, time, self._run_id, f"{self._names}{_error(message)}", job)

    def _run_event(self, state: str, time: Timestamp, run: _Run, outputs: Json, message: str = "") -> RunEvent:
        facets = f'{run.names},"parent":{self._parent_of_jobs}'
        if message:
            facets += _error(message)
        if run.checks:
            results = ",".join([_test(result) for result in run.checks])
            facets += f',"test":{facet("TestRunFacet", f"""{{"tests":[{results}]}}""")}'
        return _run_event(state, time, run.run_id, facets, run.job, outputs)

    def _check_events(self, run: _Run, results: Sequence[pt.CheckResult], time: Timestamp) -> list[RunEvent]:
        """Returns a run of its own for checks: assertions are facets of inputs, and a job does not read its outputs."""
        failed = any(not result.passed and result.severity == pt.CheckResult.SEVERITY_ERROR for result in results)
        facets = f'{run.names},"parent":{self._parent_of(run.run_id, run.job_label)}'
        checks = run_id(f"{run.job_run_id}/checks", time)
        job = self._job(f"{run.job_label}.checks", "CHECK", run.code_digest)
        inputs = self._datasets.checked(self._environment, results)
        return [
            _run_event(START, time, checks, facets, f'{job},"inputs":{_NONE}'),
            _run_event(FAIL if failed else COMPLETE, time, checks, facets, f'{job},"inputs":{inputs}'),
        ]

    def _parent_of(self, parent_run_id: str, job: str) -> Json:
        namespace = self._datasets.namespace(self._environment)
        root = {"run": {"runId": self._run_id}, "job": {"namespace": namespace, "name": self._graph}}
        parent = {"run": {"runId": parent_run_id}, "job": {"namespace": namespace, "name": job}, "root": root}
        return facet("ParentRunFacet", encoded(parent))

    def _job(self, name: str, kind: str, code_digest: str = "") -> Json:
        types = {"processingType": "BATCH", "integration": _INTEGRATION, "jobType": kind}
        facets = {"jobType": facet("JobTypeJobFacet", encoded(types))}
        repository, _, rest = name.partition("//")
        # Labels of another repository than that of the graph begin with its name.
        if self._origin.repository and not repository:
            location = {
                "type": "git",
                "url": self._origin.repository,
                "repoUrl": self._origin.repository,
                "path": rest.partition(":")[0] or None,
                "version": self._origin.commit or None,
            }
            facets["sourceCodeLocation"] = facet("SourceCodeLocationJobFacet", encoded_values(location))
        if code_digest:
            facets[CODE_DIGEST] = facet("DatabuildCodeDigestJobFacet", encoded({"codeDigest": code_digest}))
        namespace = encoded_text(self._datasets.namespace(self._environment))
        return f'{{"namespace":{namespace},"name":{encoded_text(name)},"facets":{encoded_object(facets)}}}'


def _run_event(state: str, time: Timestamp, run: str, facets: Json, job: Json, outputs: Json = _NONE) -> RunEvent:
    """Returns a run event.

    Args:
        state: Its type.
        time: Its time.
        run: The id of the run.
        facets: The facets of the run, as members of an object.
        job: The job and its inputs, as members of an object: the value of the first, and the whole second.
        outputs: The outputs.
    """
    return (
        f'{{"eventType":"{state}","eventTime":"{_second(time.seconds)}.{time.nanos // 1000:06}Z",'
        f'"run":{{"runId":"{run}","facets":{{{facets}}}}},"job":{job},"outputs":{outputs},{_END}'
    )


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    """Returns a time in whole seconds since the epoch; events follow each other fast."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _error(message: str) -> Json:
    """Returns the facet of a message, as a further member of an object; empty if there is none."""
    if not message:
        return ""
    members = {"message": readable(message), "programmingLanguage": "PYTHON"}
    return f',"errorMessage":{facet("ErrorMessageRunFacet", encoded(members))}'


def _test(result: pt.CheckResult) -> Json:
    return encoded_values(
        {
            "name": result.name,
            "status": "pass" if result.passed else "fail",
            "severity": SEVERITIES.get(result.severity),
            "description": readable(result.message) or None,
            "params": {"partition": result.ref} if result.ref else None,
        }
    )
