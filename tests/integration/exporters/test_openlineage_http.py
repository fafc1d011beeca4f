"""The sender of run events over HTTP uses batches where a receiver takes them, and loses nothing where it does not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import pytest

from databuild.exporters.openlineage.facets import EVENT_SCHEMA, PRODUCER
from databuild.exporters.openlineage.http_sender import MAX_BYTES, MAX_EVENTS, HttpSender
from databuild.exporters.openlineage.senders import SEND_AGAIN, TOO_SLOW, Answers
from tests.support.openlineage_receiver import OpenLineageReceiver

SINGLE, BATCH = "/api/v1/lineage", "/api/v1/lineage/batch"
GATEWAY_TIMEOUT = 504
SECONDS = 60.0


@pytest.fixture
def receiver() -> Iterator[OpenLineageReceiver]:
    receiver = OpenLineageReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def sender(receiver: OpenLineageReceiver) -> Iterator[HttpSender]:
    sender = HttpSender(receiver.url + SINGLE, {})
    yield sender
    sender.close()


def run_event(number: int, job: str = "//:j") -> str:
    """Returns a valid run event."""
    fields = {
        "eventType": "START",
        "eventTime": "2026-01-01T00:00:00Z",
        "run": {"runId": str(UUID(int=number))},
        "job": {"namespace": "team", "name": job, "facets": {}},
        "inputs": [],
        "outputs": [],
        "producer": PRODUCER,
        "schemaURL": EVENT_SCHEMA,
    }
    return json.dumps(fields)


def run_events(count: int) -> list[str]:
    return [run_event(number) for number in range(count)]


def numbers(receiver: OpenLineageReceiver) -> list[int]:
    """Returns the numbers of the run events that were taken, in their order."""
    return [UUID(event["run"]["runId"]).int for event in receiver.events]


def paths(receiver: OpenLineageReceiver) -> list[str]:
    return [path for path, _ in receiver.requests]


def taken(count: int) -> Answers:
    return Answers(count, [], "")


def test_run_events_are_sent_in_batches_of_limited_length(receiver: OpenLineageReceiver, sender: HttpSender) -> None:
    assert sender.send(run_events(2 * MAX_EVENTS + 50), SECONDS) == taken(2 * MAX_EVENTS + 50)
    assert receiver.batches == [MAX_EVENTS, MAX_EVENTS, 50]
    assert numbers(receiver) == list(range(2 * MAX_EVENTS + 50))
    assert sender.send([], SECONDS) == taken(0)
    assert paths(receiver) == [BATCH] * 3


def test_run_events_are_sent_in_batches_of_limited_size(receiver: OpenLineageReceiver, sender: HttpSender) -> None:
    large = [run_event(number, "j" * (MAX_BYTES // 3)) for number in range(3)]
    huge = run_event(3, "j" * MAX_BYTES)

    assert sender.send([*large, huge, *large], SECONDS) == taken(7)
    assert numbers(receiver) == [0, 1, 2, 3, 0, 1, 2]
    assert paths(receiver) == [BATCH, SINGLE, SINGLE, BATCH, SINGLE]


@pytest.mark.parametrize("status", [200, 201, 202, 302, 400, 401, 404, 405, 415, 422, 501])
def test_a_receiver_without_batches_is_asked_once(
    receiver: OpenLineageReceiver, sender: HttpSender, status: int
) -> None:
    receiver.statuses = [status]

    assert sender.send(run_events(3), SECONDS) == taken(3)
    assert sender.send(run_events(2), SECONDS) == taken(2)
    assert numbers(receiver) == [0, 1, 2, 0, 1]
    assert paths(receiver) == [BATCH, *[SINGLE] * 5]


@pytest.mark.parametrize(
    "answer",
    [
        b"ok",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b"\xff",
        b'{"status": "success", "summary": 2}',
        b'{"status": "success", "summary": {"received": 3, "successful": 3, "failed": 0}}',
        b'{"status": "success", "summary": {"received": 2}}',
    ],
)
def test_an_answer_that_does_not_account_for_the_batch_is_none(
    receiver: OpenLineageReceiver, sender: HttpSender, answer: bytes
) -> None:
    receiver.answers = [answer]

    assert sender.send(run_events(2), SECONDS) == taken(2)
    assert numbers(receiver) == [0, 1]
    assert paths(receiver) == [BATCH, SINGLE, SINGLE]


def test_a_receiver_may_answer_without_a_body(receiver: OpenLineageReceiver, sender: HttpSender) -> None:
    receiver.statuses = [204]

    assert sender.send(run_events(2), SECONDS) == taken(2)
    assert paths(receiver) == [BATCH]


@pytest.mark.parametrize("status", sorted(SEND_AGAIN))
def test_a_status_after_which_a_request_is_sent_again_decides_nothing(
    receiver: OpenLineageReceiver, sender: HttpSender, status: int
) -> None:
    receiver.statuses = [status, status]
    events = run_events(3)

    assert sender.send(events, SECONDS).fault.startswith(f"status {status} (")
    receiver.statuses = [status]
    assert sender.send(events[:2], SECONDS) == taken(2)
    assert sender.send(events, SECONDS) == taken(3)
    assert numbers(receiver) == [0, 1, 0, 1, 2]
    assert receiver.batches == ([3] if status != GATEWAY_TIMEOUT else [2])


def test_a_connection_that_breaks_decides_nothing(receiver: OpenLineageReceiver, sender: HttpSender) -> None:
    receiver.closed = True
    assert sender.send(run_events(2), SECONDS) == Answers(0, [], "it closed the connection without an answer")
    receiver.closed = False
    assert sender.send(run_events(2), SECONDS) == taken(2)
    assert receiver.batches == [2]


@pytest.mark.parametrize("is_known", [True, False])
def test_batches_that_are_too_large_become_smaller(
    receiver: OpenLineageReceiver, sender: HttpSender, *, is_known: bool
) -> None:
    if is_known:
        sender.send(run_events(2), SECONDS)
    receiver.max_bytes = 12 * len(run_event(0))
    for _ in range(4):
        receiver.events.clear()
        receiver.batches.clear()
        assert sender.send(run_events(40), SECONDS) == taken(40)
        assert numbers(receiver) == list(range(40))

    assert receiver.batches == [10] * 4  # after 40 and 20


def test_batches_that_take_too_long_become_smaller(receiver: OpenLineageReceiver) -> None:
    receiver.max_events = 3
    sender = HttpSender(receiver.url + SINGLE, {}, request_seconds=1.0)

    assert sender.send(run_events(6), SECONDS) == taken(6)
    assert sender.send(run_events(6), SECONDS) == taken(6)
    assert numbers(receiver) == [*range(6), *range(6)]
    assert receiver.batches == [3, 3]
    sender.close()


def test_a_receiver_that_refuses_a_batch_gets_its_run_events_one_by_one(
    receiver: OpenLineageReceiver, sender: HttpSender
) -> None:
    sender.send(run_events(2), SECONDS)
    receiver.statuses = [400, 0, 400]

    assert sender.send(run_events(4), SECONDS) == Answers(4, ["status 400 (Bad Request)"], "")
    assert numbers(receiver) == [0, 1, 0, 2, 3]
    assert sender.send(run_events(2), SECONDS) == taken(2)
    assert receiver.batches == [2, 2]


def failure(index: int, *, retriable: bool) -> dict[str, Any]:
    return {"index": index, "reason": f"fault of https://ann:secret@h/{index}", "retriable": retriable}


REFUSED = "one run event of a batch: fault of https://h/{}"


def test_refused_run_events_of_a_batch_are_reported_and_others_sent_again(
    receiver: OpenLineageReceiver, sender: HttpSender
) -> None:
    receiver.failures = [[failure(4, retriable=False), failure(1, retriable=True), failure(2, retriable=False)]]

    assert sender.send(run_events(6), SECONDS) == Answers(6, [REFUSED.format(2), REFUSED.format(4)], "")
    assert numbers(receiver) == [0, 3, 5, 1]
    assert paths(receiver) == [BATCH, SINGLE]


def test_a_fault_after_a_batch_that_failed_in_part_leaves_the_rest(
    receiver: OpenLineageReceiver, sender: HttpSender
) -> None:
    failures = [failure(0, retriable=False), failure(2, retriable=True), failure(3, retriable=False)]
    receiver.failures = [failures]
    receiver.statuses = [0, 503]
    events = run_events(5)

    answers = sender.send(events, SECONDS)
    assert answers == Answers(2, [REFUSED.format(0)], "status 503 (Service Unavailable)")
    assert sender.send(events[answers.answered :], SECONDS) == taken(3)
    assert set(numbers(receiver)) == {1, 2, 3, 4}


@pytest.mark.parametrize(
    "listed",
    [
        None,
        [],
        [{"index": 1, "retriable": False}],
        [{"index": 1, "retriable": False}, {"index": 9, "retriable": False}],
        [{"index": 1}, {"index": "2"}],
        [1, 2],
        "both",
    ],
)
def test_run_events_of_a_batch_with_unknown_failures_are_sent_one_by_one(
    receiver: OpenLineageReceiver, sender: HttpSender, listed: Sequence[object] | None
) -> None:
    summary = {"received": 3, "successful": 1, "failed": 2}
    receiver.answers = [json.dumps({"summary": summary, "failed_events": listed}).encode()]

    assert sender.send(run_events(3), SECONDS) == taken(3)
    assert sender.send(run_events(2), SECONDS) == taken(2)
    assert paths(receiver) == [BATCH, SINGLE, SINGLE, SINGLE, BATCH]


def test_a_reason_may_be_a_message(receiver: OpenLineageReceiver, sender: HttpSender) -> None:
    failed = {"index": 1, "message": "no dataset", "retriable": False}
    answer = {"summary": {"received": 2, "successful": 1, "failed": 1}, "failed_events": [failed]}
    receiver.answers = [json.dumps(answer).encode()]

    assert sender.send(run_events(2), SECONDS) == Answers(2, ["one run event of a batch: no dataset"], "")


def test_a_failure_without_its_kind_is_sent_again(receiver: OpenLineageReceiver, sender: HttpSender) -> None:
    answer = {"summary": {"received": 2, "successful": 1, "failed": 1}, "failed_events": [{"index": 1}]}
    receiver.answers = [json.dumps(answer).encode()]

    assert sender.send(run_events(2), SECONDS) == taken(2)
    assert numbers(receiver) == [1]


@pytest.mark.parametrize(
    ("path", "batch_path"),
    [
        ("/lineage", "/lineage/batch"),
        ("/api/lineage?key=1", "/api/lineage/batch?key=1"),
        ("/api/lineage/", None),
        ("/v1/projects/p:processOpenLineageRunEvent", None),
        ("/", None),
    ],
)
def test_only_the_path_of_the_api_has_an_endpoint_for_batches(
    receiver: OpenLineageReceiver, path: str, batch_path: str | None
) -> None:
    sender = HttpSender(receiver.url + path, {"X-Key": "1"})

    assert sender.send(run_events(2), SECONDS) == taken(2)
    assert paths(receiver) == ([batch_path] if batch_path else [path, path])
    assert {headers["x-key"] for _, headers in receiver.requests} == {"1"}
    sender.close()


def test_no_batch_is_begun_after_the_time_limit(receiver: OpenLineageReceiver, sender: HttpSender) -> None:
    assert sender.send(run_events(2), 0.0) == Answers(0, [], TOO_SLOW)
    assert not receiver.requests


@pytest.mark.parametrize("count", [1, 2])
def test_a_connection_that_the_receiver_has_closed_is_opened_again(count: int) -> None:
    first = OpenLineageReceiver()
    sender = HttpSender(first.url + SINGLE, {})
    assert sender.send(run_events(count), SECONDS) == taken(count)
    first.close()
    second = OpenLineageReceiver(int(first.url.rpartition(":")[2]))
    assert sender.send(run_events(count), SECONDS) == taken(count)
    assert numbers(second) == list(range(count))
    second.close()
    assert sender.send(run_events(count), SECONDS).fault == "Connection refused"
    sender.close()
