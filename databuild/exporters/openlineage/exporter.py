"""Sends events as run events of OpenLineage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from databuild.exporters.exporter import Batch, Delivery, ReceiverError
from databuild.exporters.openlineage.build_lineage import BuildLineage, RunEvent, Surroundings
from databuild.exporters.openlineage.datasets import Datasets
from databuild.exporters.openlineage.senders import Sender
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

if TYPE_CHECKING:
    from databuild.event_log.reads import ExportReads

_SEND_SECONDS: Final = 8.0
"""The time after which no further request is begun, although run events are left."""

_MAX_ENVIRONMENTS: Final = 10_000
_PAGE: Final = 1000
_MIN_PAGE: Final = 10
"""The number of events that are read first: most job runs have few outputs."""


class _Prepared(NamedTuple):
    """The run events of a batch that have not been answered yet.

    Attributes:
        first: The id of the first event that has not been handled.
        run_events: The run events that follow from it and from the events after it.
        causes: The index of the event from which each of them follows, counted from the first one.
        refusals: The reasons for run events of the first event that were refused.
    """

    first: str = ""
    run_events: Sequence[RunEvent] = ()
    causes: Sequence[int] = ()
    refusals: Sequence[str] = ()


class OpenLineageExporter:
    """An `Exporter` for OpenLineage."""

    def __init__(self, name: str, datasets: Datasets, sender: Sender) -> None:
        """Sends nothing yet.

        Args:
            name: The name of the cursor.
            datasets: Makes the datasets.
            sender: Sends run events.
        """
        self.name = name
        self._datasets = datasets
        self._sender = sender
        self._prepared = _Prepared()
        self._builds: dict[str, BuildLineage] = {}
        self._environments: dict[str, str] = {}
        self._page: Sequence[ev.BuildEvent] = ()
        self._index = 0

    def send(self, batch: Batch, reads: ExportReads) -> Delivery:
        events = [event for _, event in batch.events]
        prepared, self._prepared = self._prepared, _Prepared()
        # After a fault, the same events come again. Run events that were answered are done.
        if prepared.first != events[0].event_id:
            prepared = self._prepare(events, reads)
        _, run_events, causes, refused = prepared
        answered, refusals, fault = self._sender.send(run_events, _SEND_SECONDS)
        refusals = (*refused, *refusals)
        if answered == len(run_events):
            return Delivery(len(events), refusals)
        handled = causes[answered]
        self._prepared = _Prepared(
            events[handled].event_id,
            run_events[answered:],
            [cause - handled for cause in causes[answered:]],
            () if handled else refusals,
        )
        if not handled:
            raise ReceiverError(fault)
        return Delivery(handled, refusals)

    def close(self) -> None:
        self._sender.close()

    def _prepare(self, events: Sequence[ev.BuildEvent], reads: ExportReads) -> _Prepared:
        run_events: list[RunEvent] = []
        causes: list[int] = []
        index = 0
        while index < len(events):
            build = self._builds.get(events[index].build_request_id)
            if build is not None and (passed := build.pass_by(events, index)) > index:
                index = passed
                continue
            for run_event in self._advance(build, events, index, reads):
                run_events.append(run_event)
                causes.append(index)
            index += 1
        return _Prepared(events[0].event_id, run_events, causes)

    def _advance(
        self, build: BuildLineage | None, events: Sequence[ev.BuildEvent], index: int, reads: ExportReads
    ) -> Sequence[RunEvent]:
        event = events[index]
        build_id = event.build_request_id
        if build is None or build.last_sequence != event.sequence - 1:
            build = self._builds[build_id] = self._replay(event, reads)
        self._page, self._index = events, index
        run_events = build.advance(event)
        if build.has_ended or not build.is_build:  # an operation such as a taint is no build
            del self._builds[build_id]
        return run_events

    def _replay(self, event: ev.BuildEvent, reads: ExportReads) -> BuildLineage:
        """Returns the lineage of a build before an event: earlier events are read again, as after a crash."""
        build_id = event.build_request_id
        surroundings = Surroundings(
            outputs_of=lambda job_run_id, sequence: self._outputs_of(build_id, job_run_id, sequence, reads),
            environments_of=lambda inputs: self._environments_of(inputs, reads),
        )
        build = BuildLineage(build_id, self._datasets, surroundings)
        while build.last_sequence < event.sequence - 1:
            limit = min(event.sequence - 1 - build.last_sequence, _PAGE)
            page = reads.events(build_id, after_sequence=build.last_sequence, limit=limit)
            if not page:  # pruned meanwhile
                break
            for index, earlier in enumerate(page):
                self._page, self._index = page, index
                build.advance(earlier)
        return build

    def _outputs_of(self, build_id: str, job_run_id: str, sequence: int, reads: ExportReads) -> Sequence[str]:
        """Returns the outputs of a job run, from the events that were written together with that of its start."""
        outputs: list[str] = []
        page, index, limit = self._page, self._index + 1, _MIN_PAGE
        while True:
            while index < len(page):
                event = page[index]
                index += 1
                if event.build_request_id != build_id:
                    continue
                partition = event.partition
                if partition.status != pt.PARTITION_STATUS_BUILDING or partition.job_run_id != job_run_id:
                    return outputs
                outputs.append(partition.ref)
                sequence = event.sequence
            page, index = reads.events(build_id, after_sequence=sequence, limit=limit), 0
            if not page:
                return outputs
            limit = _PAGE

    def _environments_of(self, inputs: Sequence[pt.InputVersion], reads: ExportReads) -> Mapping[str, str]:
        records = reads.partition_records([used.ref for used in inputs])
        environments = {}
        for ref, record in records.items():
            if record.job_run_id and (environment := self._environment(record.produced_by_build_request_id, reads)):
                environments[ref] = environment
        return environments

    def _environment(self, build_request_id: str, reads: ExportReads) -> str:
        environment = self._environments.get(build_request_id)
        if environment is None:
            first = reads.events(build_request_id, limit=1)
            environment = first[0].build_request.environment if first else ""
            if len(self._environments) >= _MAX_ENVIRONMENTS:
                self._environments.clear()
            self._environments[build_request_id] = environment
        return environment
