"""Another run of a recorded job run, in a scratch folder, and the comparison of both. Nothing is recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from databuild.executors.executor import Executor, ProcessResult, ProcessSpec
from databuild.graph.catalog import Job, JobCatalog
from databuild.job.files import content_digest
from databuild.job.locations import file_path, size_and_version
from databuild.model import statuses
from databuild.model.records import Location, StoredData
from databuild.model.reproduction import Reproduction, ReproductionOutput
from databuild.orchestration.jobs.job_runner import run_environment
from databuild.orchestration.jobs.process_faults import process_fault
from databuild.orchestration.jobs.reports import ReportFaultError, add_location, parse_report
from databuild.orchestration.jobs.task_descriptions import TaskDescriptions
from databuild.orchestration.reproduction.recorded_run import RecordedRun, RunReads
from databuild.orchestration.reproduction.scratch import Scratch
from databuild.orchestration.stores.look import Look
from databuild.storage.storages import Storages
from databuild.tuples import NamedTuple
from databuild.v1 import job_pb2


class ComparedOutput(NamedTuple):
    """One output, compared with that of the recorded job run.

    Attributes:
        ref: The ref.
        same: True if the contents are equal, False if they are not, None if they cannot be compared.
        detail: The digests, or the reason why they cannot be compared.
        path: The file or folder in the scratch folder; empty if it is unknown.
    """

    ref: str
    same: bool | None
    detail: str
    path: str = ""


class AnotherRun(NamedTuple):
    """The result of running a job run again.

    Attributes:
        exit_code: The exit code, or minus the number of the signal that ended the process.
        recorded_exit_code: The exit code of the recorded job run.
        fault: The failure of the process, as the predicate of a sentence; empty if it succeeded.
        outputs: The outputs of the recorded job run, compared.
        stdout: The file with its standard output, which exists if there was any.
        stderr: The file with its standard error, which exists if there was any.
    """

    exit_code: int
    recorded_exit_code: int
    fault: str
    outputs: tuple[ComparedOutput, ...]
    stdout: str
    stderr: str

    @property
    def same(self) -> bool:
        """True if the exit codes are equal, and no output is known to differ."""
        return self.exit_code == self.recorded_exit_code and all(one.same is not False for one in self.outputs)


def refusals(reproduction: Reproduction, catalog: JobCatalog) -> Iterator[str]:
    """Yields the reasons why a job run cannot be repeated on this machine now, one sentence each."""
    run = reproduction.job_run
    if run.status not in statuses.JOB.ended or run.exit_code is None:
        yield f"the job run is {run.status} and has no exit code that could be compared"
    job = catalog.jobs.get(run.job_label)
    if job is None:
        yield f"the graph has no job {run.job_label} any more{_check_out(reproduction)}"
    elif job.code_digest != reproduction.code_digest:
        yield (
            f"the program of {run.job_label} has changed: its code digest was {reproduction.code_digest or 'unknown'} "
            f"and is {job.code_digest or 'unknown'} now{_check_out(reproduction)}"
        )
    stored = []
    for used in reproduction.inputs:
        if used.change:
            yield f"the input {used.ref!r} {used.change}"
        elif used.location is not None:
            stored.append(StoredData(used.ref, used.version, used.location))
    for finding in Look(stored, storages=lambda: Storages(catalog.extensions)).findings:
        detail = f": {finding.detail}" if finding.detail else ""
        yield f"the data of the input {finding.ref!r} at {finding.uri} is {finding.kind}{detail}"


def unplaced_inputs(reproduction: Reproduction) -> list[str]:
    """Returns the inputs whose place is unknown, so that the scratch folder does not have them."""
    return [used.ref for used in reproduction.inputs if used.version and used.location is None]


async def run_again(
    recorded: RecordedRun,
    reproduction: Reproduction,
    *,
    catalog: JobCatalog,
    reader: RunReads,
    executor: Executor,
    scratch: Scratch,
    working_directory: str,
) -> AnotherRun:
    """Runs a job run again as a process of this machine, and compares the result.

    Args:
        recorded: The job run; `refusals` has found no reason against another one.
        reproduction: Its description.
        catalog: The jobs.
        reader: Reads the event log.
        executor: Runs the process; its base environment is that of `Scratch.environment`.
        scratch: The scratch folder.
        working_directory: The working directory of the job on this machine, which the scratch folder has too.
    """
    job = catalog.jobs[recorded.task.job_label]
    job_run_id = recorded.job_run.job_run_id
    for used in reproduction.inputs:
        if used.location is not None:
            scratch.link(used.location)
    description = scratch.folder / "task.json"
    description.write_bytes(await _description(recorded, catalog, reader))
    report = str(scratch.folder / "report")
    cwd = scratch.make_folder(working_directory)
    reports = _Reports(recorded, cwd)
    spec = ProcessSpec(
        argv=job.command(recorded.task.config.args),
        env=run_environment(
            job,
            recorded.task,
            job_run_id,
            environment=reader.events(recorded.job_run.build_request_id, limit=1)[0].build_request.environment,
            token=0,
            report=report,
            address=str(description),
        ),
        cwd=cwd,
        stdout=str(scratch.folder / "stdout"),
        stderr=str(scratch.folder / "stderr"),
        report=report,
        timeout_seconds=job.timeout_seconds,
    )
    result = await executor.run(spec, reports.add)
    return AnotherRun(
        result.exit_code,
        recorded.job_run.exit_code or 0,
        _fault(result, job, reports),
        tuple(_compare(output, job_run_id, reports.partitions.get(output.ref), scratch) for output in recorded.outputs),
        spec.stdout,
        spec.stderr,
    )


class _Reports:
    """The partitions that a run reports.

    Attributes:
        partitions: The reports, by ref.
        fault: The first report that was invalid, in words; empty for none.
    """

    def __init__(self, recorded: RecordedRun, working_directory: str) -> None:
        self.partitions: dict[str, job_pb2.PartitionReport] = {}
        self.fault = ""
        self._outputs = frozenset(recorded.task.config.outputs)
        self._inputs = frozenset(used.ref for used in recorded.manifest.inputs)
        self._working_directory = working_directory

    def add(self, line: bytes) -> None:
        try:
            report = parse_report(line, self._outputs, self._inputs)
        except ReportFaultError as fault:
            self.fault = self.fault or str(fault)
            return
        if report is not None and report.HasField("partition"):
            add_location(report.partition, self._working_directory)
            self.partitions[report.partition.ref] = report.partition


async def _description(recorded: RecordedRun, catalog: JobCatalog, reader: RunReads) -> bytes:
    async def settled() -> None:
        """Returns at once: the events are those of a build that is in the log."""

    running = {recorded.job_run.job_run_id: (recorded.task, recorded.manifest)}
    parts = TaskDescriptions(catalog, reader, running, lambda _: None, settled).describe(recorded.job_run.job_run_id)
    return b"".join([part async for part in parts]) if parts is not None else b""


def _fault(result: ProcessResult, job: Job, reports: _Reports) -> str:
    fault = process_fault(result, job.timeout_seconds)
    return fault.message if fault is not None else reports.fault


def _compare(
    output: ReproductionOutput, job_run_id: str, report: job_pb2.PartitionReport | None, scratch: Scratch
) -> ComparedOutput:
    path = _new_path(output, report, scratch)
    if output.version != job_run_id:  # a content digest
        digest = report.content_digest if report is not None else ""
        if not digest:
            return ComparedOutput(output.ref, False, f"{output.version} before, and now no digest was reported", path)
        same = digest == output.version
        return ComparedOutput(output.ref, same, digest if same else f"{output.version} before, {digest} now", path)
    original = _unchanged_path(output.location)
    if not original:
        return ComparedOutput(output.ref, None, "its job reports no digest, and its data is not there any more", path)
    if not path:
        return ComparedOutput(output.ref, False, f"it is not in the scratch folder, as {original} would be", path)
    before, now = content_digest(original), content_digest(path)
    return ComparedOutput(output.ref, before == now, now if before == now else f"{before} before, {now} now", path)


def _new_path(output: ReproductionOutput, report: job_pb2.PartitionReport | None, scratch: Scratch) -> str:
    """Returns the path of an output in the scratch folder; empty if it is not there."""
    reported = _path(report.location.uri) if report is not None and report.HasField("location") else ""
    recorded = _path(output.location.uri) if output.location is not None else ""
    expected = str(scratch.path(recorded)) if recorded else ""
    for path in (reported, expected):
        if path.startswith(f"{scratch.root}/") and Path(path).exists():
            return path
    return ""


def _unchanged_path(location: Location | None) -> str:
    """Returns the path of recorded data; empty if it is unknown, or if the data has changed since."""
    path = _path(location.uri) if location is not None else ""
    if not path or location is None:
        return ""
    try:
        size, version = size_and_version(path)
    except OSError:
        return ""
    return path if (location.size or size, location.version or version) == (size, version) else ""


def _path(uri: str) -> str:
    try:
        return file_path(uri)
    except ValueError:
        return ""


def _check_out(reproduction: Reproduction) -> str:
    commit: str = reproduction.origin.commit
    return f"; check out the commit {commit} and run this command again" if commit else ""


def as_document(run: AnotherRun) -> Mapping[str, Any]:
    """Returns the result as JSON."""
    return {**run._asdict(), "outputs": [output._asdict() for output in run.outputs], "same": run.same}
