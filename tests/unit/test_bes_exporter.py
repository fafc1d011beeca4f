"""The exporter to a Build Event Service, as far as it needs no service."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from databuild.event_log.open import open_event_log
from databuild.exporters.bes.bes_exporter import BesExporter
from databuild.exporters.bes.run_results import RunLogs
from databuild.exporters.exporter import Batch, Delivery
from databuild.model.bes_invocation import invocation_of, results_url
from databuild.model.client_tls import ClientTls
from databuild.v1 import events_pb2 as ev

URI = "bes:grpc://127.0.0.1:1/main"


def send(events: Sequence[ev.BuildEvent], state: str = "") -> Delivery:
    """Sends events over an empty event log to an address without a service."""
    exporter = BesExporter(
        URI,
        headers={},
        credential_helper="",
        environ={},
        tls=ClientTls(),
        logs=RunLogs(lambda _job_run, _stream: "", lambda _job_run, _stream, _max_bytes: b""),
        exit_code_of_error=lambda _error: 3,
    )
    assert exporter.name == URI
    log = open_event_log("memory:")  # the database exists as long as this object
    reader = log.reader()
    try:
        return exporter.send(Batch(list(enumerate(events, 1)), state), reader)
    finally:
        exporter.close()
        reader.close()


def status(sequence: int, status: ev.BuildStatus) -> ev.BuildEvent:
    request = ev.BuildRequestEvent(status=status)
    return ev.BuildEvent(
        build_request_id="b", sequence=sequence, time=Timestamp(seconds=sequence), build_request=request
    )


def test_events_of_operations_need_no_service() -> None:
    taint = ev.BuildEvent(build_request_id="t", sequence=1, taint=ev.TaintEvent(tainted=True))

    assert send([taint, taint]) == Delivery(2, [])


def test_a_build_whose_first_events_were_pruned_is_left_out_and_reported_once() -> None:
    events = [status(8, ev.BUILD_STATUS_EXECUTING), status(9, ev.BUILD_STATUS_COMPLETED)]

    assert send(events) == Delivery(2, ["its earlier events were pruned, for build b"])


def test_acknowledgements_of_other_builds_are_kept_until_they_end() -> None:
    state = '{"b": 7, "other": 3}'

    assert send([status(8, ev.BUILD_STATUS_EXECUTING)], state).state == state
    assert send([status(9, ev.BUILD_STATUS_FAILED)], state).state == '{"other": 3}'


@pytest.mark.parametrize("base", ["https://builds.example/invocation", "https://builds.example/invocation/"])
def test_the_address_of_a_build_follows_from_its_id(base: str) -> None:
    assert results_url(base, "b") == f"https://builds.example/invocation/{invocation_of('b').invocation_id}"
    assert invocation_of("b") == invocation_of("b")
    assert len({*invocation_of("b"), *invocation_of("c")}) == 4
