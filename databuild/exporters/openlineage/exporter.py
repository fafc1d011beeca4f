"""Sends events as run events of OpenLineage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from databuild.exporters.exporter import Batch, Delivery, ReceiverError
from databuild.exporters.openlineage.build_lineage import BuildLineage, RunEvent, Surroundings
from databuild.exporters.openlineage.datasets import Datasets
from databuild.exporters.openlineage.senders import Sender
from databuild.model.lifecycle import BUILD_ENDS
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

if TYPE_CHECKING:
    from databuild.event_log.reads import ExportReads

_NONE: Final[Sequence[RunEvent]] = ()

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
        run_events: The run events of each event, from that one on.
        refusals: The reasons for run events of the first event that were refused.
    """

    first: str = ""
    run_events: Sequence[Sequence[RunEvent]] = ()
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
        _, prepared, refused = self._prepared
        # After a fault, the same events come again. Run events that were answered are done.
        if self._prepared.first != events[0].event_id:
            prepared, refused = [self._advance(events, index, reads) for index in range(len(events))], ()
        self._prepared = _Prepared()
        answers = self._sender.send([run_event for part in prepared for run_event in part], _SEND_SECONDS)
        refusals = (*refused, *answers.refusals)
        handled, answered = 0, answers.answered
        while handled < len(prepared) and len(prepared[handled]) <= answered:
            answered -= len(prepared[handled])
            handled += 1
        if handled < len(prepared):
            left = [prepared[handled][answered:], *prepared[handled + 1 :]]
            self._prepared = _Prepared(events[handled].event_id, left, () if handled else refusals)
            if not handled:
                raise ReceiverError(answers.fault)
        return Delivery(handled, refusals)

    def close(self) -> None:
        self._sender.close()

    def _advance(self, events: Sequence[ev.BuildEvent], index: int, reads: ExportReads) -> Sequence[RunEvent]:
        event = events[index]
        build_id = event.build_request_id
        build = self._builds.get(build_id)
        if build is not None and build.passes(event):
            return _NONE
        if build is None or build.last_sequence != event.sequence - 1:
            build = self._builds[build_id] = self._replay(event, reads)
        self._page, self._index = events, index
        run_events = build.advance(event)
        if not build.is_build or (
            event.HasField("build_request") and event.build_request.status in BUILD_ENDS
        ):  # an operation such as a taint is no build
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
        following = (self._page[index] for index in range(self._index + 1, len(self._page)))
        page: Iterable[ev.BuildEvent] = (event for event in following if event.build_request_id == build_id)
        limit = _MIN_PAGE
        while True:
            for event in page:
                if not _is_building(event, job_run_id):
                    return outputs
                outputs.append(event.partition.ref)
                sequence = event.sequence
            page = reads.events(build_id, after_sequence=sequence, limit=limit)
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


def _is_building(event: ev.BuildEvent, job_run_id: str) -> bool:
    return (
        event.HasField("partition")
        and event.partition.status == pt.PARTITION_STATUS_BUILDING
        and event.partition.job_run_id == job_run_id
    )
