"""Task descriptions of the running job runs of one build: TaskDescription messages (job.proto) as protobuf JSON.

They are made when they are read, so that a run that does not read its description costs nothing. They are written by
hand and in parts, since a message with tens of thousands of inputs would stop the event loop for seconds.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from databuild.event_log.reads import MetadataReads, ReportReads, StoredDataReads
from databuild.graph.catalog import JobCatalog
from databuild.model.job_graph import Task
from databuild.model.pacing import Pace, slices
from databuild.model.records import Location
from databuild.v1 import partition_pb2 as pt

if TYPE_CHECKING:
    from databuild.graph.series import Series
    from databuild.orchestration.comparisons.measurements import Measurement


class _Reads(MetadataReads, StoredDataReads, ReportReads, Protocol):
    """The reads of this module."""


class TaskDescriptions:
    """The descriptions of the job runs that are running."""

    def __init__(
        self,
        catalog: JobCatalog,
        reader: _Reads,
        running: Mapping[str, tuple[Task, pt.Manifest]],
        starting: Callable[[str], Awaitable[None] | None],
        settled: Callable[[], Awaitable[None]],
    ) -> None:
        """Describes nothing yet.

        Args:
            catalog: The jobs, whose patterns give partitions their fields.
            reader: Reads the metadata and the locations of inputs.
            running: The task and the manifest of each job run that is running, by its id.
            starting: Waits until a job run is among these; returns None for one that never is.
            settled: Waits until every event that the build has emitted can be read.
        """
        self._catalog = catalog
        self._reader = reader
        self._running = running
        self._starting = starting
        self._settled = settled

    def describe(self, job_run_id: str) -> AsyncGenerator[bytes] | None:
        """Returns the parts of a description, in order; None if there is no such run or if it has ended.

        Awaiting a part raises EventLogError if the event log cannot be read.
        """
        starting = None if job_run_id in self._running else self._starting(job_run_id)
        if starting is None and job_run_id not in self._running:
            return None
        return self._parts(job_run_id, starting)

    async def _parts(self, job_run_id: str, starting: Awaitable[None] | None) -> AsyncGenerator[bytes]:
        if starting is not None:
            await starting
        task, manifest = self._running[job_run_id]
        pace = Pace()
        heading = {"job_label": task.job_label, "job_run_id": job_run_id}
        yield (json.dumps(heading)[:-1] + ', "outputs": [').encode()
        separator = "\n"
        for refs in slices(task.config.outputs):
            earlier = await self._earlier(refs, task.job_label, pace)
            yield _joined([self._output(ref, task.job_label, earlier) for ref in refs], separator)
            separator = ",\n"
            await pace.rest()
        yield b'], "inputs": ['
        if manifest.inputs:
            # The reports of an input that this build has produced must be readable, too.
            await self._settled()
        separator = "\n"
        for inputs in slices(manifest.inputs):
            refs = [used.ref for used in inputs]
            available = self._reader.metadata_of(refs)
            located = {data.ref: data.location for data in self._reader.stored_data_of(refs)}
            yield _joined(
                [self._input(used, available.get(used.ref), located.get(used.ref)) for used in inputs], separator
            )
            separator = ",\n"
            await pace.rest()
        yield b"]}\n"

    def _output(self, ref: str, job_label: str, earlier: Mapping[str, Sequence[Measurement]] | None) -> dict[str, Any]:
        described: dict[str, Any] = {"ref": ref, **self._fields(ref, job_label)}
        if earlier is not None:
            described["history"] = [
                {"ref": one.ref, "numbers": {name: value for name, (value, _) in one.numbers.items()}}
                for one in earlier.get(ref, ())
            ]
        return described

    async def _earlier(
        self, refs: Sequence[str], job_label: str, pace: Pace
    ) -> Mapping[str, Sequence[Measurement]] | None:
        """Returns the numbers of the partitions before outputs; None for a job that does not ask for them."""
        job = self._catalog.jobs.get(job_label)
        if job is None or not job.history:
            return None
        from databuild.orchestration.comparisons.measurements import earlier_measurements

        await self._settled()
        by_series: dict[Series, list[str]] = {}
        for ref in refs:
            if (series := self._catalog.series_of(ref)) is not None:
                by_series.setdefault(series, []).append(ref)
        earlier: dict[str, Sequence[Measurement]] = {}
        for series, outputs in by_series.items():
            earlier |= earlier_measurements(self._reader, series, outputs, job.history)
            await pace.rest()
        return earlier

    def _input(
        self, used: pt.InputVersion, metadata: Mapping[str, Any] | None, location: Location | None
    ) -> dict[str, Any]:
        described: dict[str, Any] = {
            "ref": used.ref,
            **self._fields(used.ref),
            "kind": "QUERY" if used.query else "MATERIALIZE",
            "version": used.version,
            "available": metadata is not None,
        }
        if metadata:
            described["metadata"] = metadata
        if location is not None:
            described["location"] = _location(location)
        return described

    def _fields(self, ref: str, job_label: str = "") -> dict[str, dict[str, str]]:
        fields = self._catalog.fields_of(ref, job_label)
        return {
            "fields": {name: text for name, (_, text) in fields.items()},
            "field_types": {name: kind for name, (kind, _) in fields.items()},
        }


def _location(location: Location) -> dict[str, Any]:
    """Returns a Location (partition.proto) as protobuf JSON, in which 64-bit numbers are texts."""
    described = {"uri": location.uri, "version": location.version}
    if location.size is not None:
        described["size_bytes"] = str(location.size)
    return described


def _joined(partitions: Sequence[Mapping[str, Any]], separator: str) -> bytes:
    return (separator + ",\n".join(map(json.dumps, partitions))).encode()
