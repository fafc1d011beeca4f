"""Everything that the event log knows of one job run, from the events of its build."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, Protocol

from databuild.errors import BuildPrunedError, InvalidRequestError, JobRunNotFoundError
from databuild.event_log.reads import MetadataReads, ReportReads, StoredDataReads
from databuild.graph.catalog import Job
from databuild.model.job_graph import Task
from databuild.model.lifecycle import JOB_ENDS
from databuild.model.metadata import metadata_json
from databuild.model.pacing import slices
from databuild.model.paging import read_rows
from databuild.model.plan_messages import tasks_from_messages
from databuild.model.record_messages import location_from_message
from databuild.model.records import BuildRecord, JobRunRecord, PartitionState
from databuild.model.reproduction import Origin, Reproduction, ReproductionInput, ReproductionOutput
from databuild.model.reproduction_messages import origin_from_message
from databuild.orchestration.jobs.past_configs import LoggedConfigs
from databuild.tuples import NamedTuple
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

_PAGE: Final = 1000


class RunReads(MetadataReads, ReportReads, StoredDataReads, Protocol):
    """The reads of this module. `event_log.reads.Reader` fits."""

    def build(self, build_request_id: str) -> BuildRecord | None: ...

    def job_run(self, job_run_id: str) -> JobRunRecord | None: ...

    def events(
        self, build_request_id: str, *, after_sequence: int = 0, limit: int = 1000
    ) -> Sequence[ev.BuildEvent]: ...

    def partition_states(self, refs: Collection[str]) -> Mapping[str, PartitionState]: ...


class RecordedRun(NamedTuple):
    """One job run that has started, as its events describe it.

    Attributes:
        job_run: Its record.
        graph_label: The label of the graph.
        origin: The source and the machine of its build.
        task: The task that it executed.
        manifest: The code and the inputs with which it started.
        outputs: The outputs that became available, by ref.
    """

    job_run: JobRunRecord
    graph_label: str
    origin: Origin
    task: Task
    manifest: pt.Manifest
    outputs: tuple[ReproductionOutput, ...]


def read_run(reader: RunReads, job_run_id: str) -> RecordedRun:
    """Reads a job run.

    Raises:
        JobRunNotFoundError: There is no such job run.
        BuildPrunedError: The events of its build were pruned.
        InvalidRequestError: It has never started.
    """
    job_run = reader.job_run(job_run_id)
    build = reader.build(job_run.build_request_id) if job_run is not None else None
    if job_run is None or build is None:
        raise JobRunNotFoundError(job_run_id)
    if build.pruned_time:
        raise BuildPrunedError(build.build_request_id, "the configurations of its job runs are gone")
    manifest, outputs = _events_of_run(reader, job_run)
    if manifest is None:
        message = f"the job run {job_run_id} has never started (it is {job_run.status}), so there is nothing to repeat"
        raise InvalidRequestError(message)
    received = reader.events(build.build_request_id, limit=1)[0].build_request
    return RecordedRun(
        job_run,
        build.graph_label,
        origin_from_message(received.origin),
        _task_of(reader, job_run),
        manifest,
        outputs,
    )


def describe(run: RecordedRun, reader: RunReads, job: Job | None) -> Reproduction:
    """Returns what is needed to run a job run again.

    Args:
        run: The job run.
        reader: Reads the present state of its inputs.
        job: Its job as it is now, for the names of the variables that its target sets; None if there is none.
    """
    names = {name for name, _ in run.task.config.env} | set(job.environment if job is not None else ())
    return Reproduction(
        run.job_run,
        run.graph_label,
        run.origin,
        run.manifest.code_digest,
        run.task.config.args,
        tuple(sorted(names)),
        tuple(_inputs(reader, run.manifest.inputs)),
        run.outputs,
    )


def _inputs(reader: RunReads, inputs: Sequence[pt.InputVersion]) -> Iterator[ReproductionInput]:
    for part in slices(inputs, _PAGE):
        refs = [used.ref for used in part]
        states = reader.partition_states(refs)
        places = {data.ref: data.location for data in reader.stored_data_of(refs)}
        metadata = reader.metadata_of(refs)
        for used in part:
            state = states.get(used.ref)
            current = state.version if state is not None and state.available else ""
            same = current == used.version
            yield ReproductionInput(
                used.ref,
                used.version,
                used.query,
                current,
                places.get(used.ref) if same else None,
                metadata.get(used.ref, {}) if same else {},
            )


def _events_of_run(
    reader: RunReads, job_run: JobRunRecord
) -> tuple[pt.Manifest | None, tuple[ReproductionOutput, ...]]:
    """Returns the manifest of a job run, None if it has not started, and its available outputs."""
    manifest = None
    outputs = {}
    has_ended = False
    for event in _events(reader, job_run.build_request_id, after=job_run.number - 1):
        is_output = (
            event.partition.status == pt.PARTITION_STATUS_AVAILABLE and event.partition.job_run_id == job_run.job_run_id
        )
        if is_output:
            outputs[event.partition.ref] = _output(event.partition)
        elif has_ended:  # the end of a run and its outputs are consecutive
            break
        elif event.job.job_run_id == job_run.job_run_id:
            if event.job.status == ev.JOB_STATUS_RUNNING:
                manifest = event.job.manifest
            has_ended = event.job.status in JOB_ENDS
    return manifest, tuple(output for _, output in sorted(outputs.items()))


def _output(event: ev.PartitionEvent) -> ReproductionOutput:
    location = location_from_message(event.location) if event.HasField("location") else None
    return ReproductionOutput(event.ref, event.version, location, json.loads(metadata_json(event.metadata)))


def _task_of(reader: RunReads, job_run: JobRunRecord) -> Task:
    task = LoggedConfigs(reader).task(job_run.job_run_id)
    if task is not None:
        return task
    # A task that was added during the execution, to rebuild lost data.
    for event in _events(reader, job_run.build_request_id):
        for added in event.job_graph.tasks:
            if added.task_id == job_run.task_id:
                return tasks_from_messages([added])[0]
    raise JobRunNotFoundError(job_run.job_run_id)


def _events(reader: RunReads, build: str, after: int = 0) -> Iterator[ev.BuildEvent]:
    return read_rows(
        lambda last, limit: reader.events(build, after_sequence=last, limit=limit),
        key=lambda event: event.sequence,
        start=after,
    )
