"""Notifications reach a receiver as signed CloudEvents, on the chosen occasions only."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

import pytest

from databuild.errors import InvalidRequestError
from databuild.event_log.reads import BuildReads
from databuild.exporters.exporter import Batch, Delivery, ReceiverError
from databuild.exporters.webhook.exporter import WebhookExporter, webhook_name
from databuild.exporters.webhook.notifications import OCCASIONS
from databuild.exporters.webhook.template import NAMES, Template
from databuild.model.records import BuildRecord, JobRunRecord
from databuild.model.statuses import BuildStatus
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.support.receiver import Receiver

GRAPH: Final = "//examples:build_graph"


def batch(*events: ev.BuildEvent) -> Batch:
    return Batch(list(enumerate(events, 1)))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


class Reads:
    """Has a build for each id, with the given earlier statuses."""

    def __init__(self, earlier: Sequence[BuildStatus] = ()) -> None:
        self.earlier = earlier

    def build(self, build_request_id: str) -> BuildRecord:
        return BuildRecord(build_request_id, "FAILED", GRAPH, ("daily/1", "daily/2"), 0.0, 0.0, 9)

    def builds(self, *, before: str, limit: int = 20) -> list[BuildRecord]:
        records = [
            BuildRecord(f"a{number:03}", status, GRAPH, (), 0.0, 0.0, 1)
            for number, status in reversed(list(enumerate(self.earlier)))
        ]
        return [record for record in records if record.build_request_id < before][:limit]

    def job_run(self, job_run_id: str) -> JobRunRecord:
        return JobRunRecord(job_run_id, "b", 1, 1, "//:daily", 1, "COMPLETED")


def reads(*earlier: BuildStatus) -> BuildReads:
    return cast("BuildReads", Reads(earlier))


def end(status: ev.BuildStatus, sequence: int = 9) -> ev.BuildEvent:
    event = ev.BuildEvent(event_id=f"b/{sequence}", build_request_id="b", sequence=sequence)
    event.time.FromJsonString("2026-11-28T00:00:00Z")
    event.build_request.status = status
    event.build_request.jobs_failed = 1
    event.build_request.failure.CopyFrom(pt.Failure(category=pt.FAILURE_CATEGORY_USER, message="1 task failed"))
    return event


def failed_check() -> ev.BuildEvent:
    event = ev.BuildEvent(event_id="b/5", build_request_id="b", sequence=5)
    event.check.job_run_id = "b.1.1"
    event.check.result.CopyFrom(
        pt.CheckResult(name="rows", ref="daily/1", severity=pt.CheckResult.SEVERITY_WARNING, message="none")
    )
    return event


FAILED: Final = end(ev.BUILD_STATUS_FAILED)


def test_a_failed_build_is_a_signed_cloud_event(receiver: Receiver) -> None:
    exporter = WebhookExporter(receiver.url, ["failure"], secret=b"key", clock=lambda: 1795000000.9)
    assert exporter.send(batch(FAILED), reads()) == Delivery(1, [])
    [(headers, body)] = receiver.requests
    assert json.loads(body) == {
        "specversion": "1.0",
        "id": "b/9",
        "source": "databuild://examples:build_graph",
        "type": "databuild.build.failed",
        "subject": "b",
        "time": "2026-11-28T00:00:00Z",
        "datacontenttype": "application/json",
        "data": {
            "build_request_id": "b",
            "graph_label": GRAPH,
            "environment": "",
            "requested": ["daily/1", "daily/2"],
            "requested_count": 2,
            "status": "FAILED",
            "jobs_completed": 0,
            "jobs_failed": 1,
            "message": "1 task failed",
            "category": "USER",
            "cancelled_by": "",
            "warnings": [],
        },
    }
    assert headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("b/9", "1795000000")
    signature = base64.b64encode(hmac.new(b"key", b"b/9.1795000000." + body, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{signature}"


def kinds(receiver: Receiver) -> list[str]:
    return [json.loads(body)["type"].removeprefix("databuild.") for _, body in receiver.requests]


@pytest.mark.parametrize(
    ("occasion", "expected"),
    [
        ("end", ["build.completed", "build.failed", "build.cancelled"]),
        ("failure", ["build.failed"]),
        ("first_failure", ["build.failed"]),
        ("check", ["check.failed"]),
    ],
)
def test_each_occasion_has_its_events(receiver: Receiver, occasion: str, expected: list[str]) -> None:
    passed = failed_check()
    passed.check.result.passed = True
    received = ev.BuildEvent(build_request_id="b", sequence=1)
    received.build_request.status = ev.BUILD_STATUS_RECEIVED
    ends = [end(ev.BUILD_STATUS_COMPLETED), FAILED, end(ev.BUILD_STATUS_CANCELLED)]
    events = [received, passed, failed_check(), *ends]
    assert WebhookExporter(receiver.url, [occasion]).send(batch(*events), reads("COMPLETED")) == Delivery(6, [])
    assert kinds(receiver) == expected
    assert occasion in OCCASIONS


@pytest.mark.parametrize(
    ("earlier", "notified"),
    [
        ([], True),
        (["COMPLETED"], True),
        (["COMPLETED", "FAILED"], False),
        (["FAILED", "COMPLETED", "CANCELLED", "EXECUTING"], True),
        (["FAILED", *["CANCELLED"] * 30], False),
    ],
)
def test_a_first_failure_follows_a_success(receiver: Receiver, earlier: list[BuildStatus], notified: bool) -> None:
    WebhookExporter(receiver.url, ["first_failure"]).send(batch(FAILED), reads(*earlier))
    assert bool(receiver.requests) is notified


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_request_is_sent_again_if_the_receiver_is_in_trouble(receiver: Receiver, status: int) -> None:
    exporter = WebhookExporter(receiver.url, ["failure", "check"])
    receiver.answers = [204, status, status, 204]
    assert exporter.send(batch(failed_check(), FAILED), reads()) == Delivery(1, [])
    with pytest.raises(ReceiverError, match=f"status {status}"):
        exporter.send(batch(FAILED), reads())
    assert exporter.send(batch(FAILED), reads()) == Delivery(1, [])
    assert len({body for _, body in receiver.requests[1:]}) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 410])
def test_a_refusal_and_a_redirection_are_final(receiver: Receiver, status: int) -> None:
    exporter = WebhookExporter(receiver.url, ["failure"])
    receiver.answers = [status]
    delivery = exporter.send(batch(FAILED, end(ev.BUILD_STATUS_COMPLETED)), reads())
    assert delivery.handled == 2
    [refusal] = delivery.refusals
    assert refusal.startswith(f"status {status} ")
    assert refusal.endswith(", for build.failed of build b")
    assert len(receiver.requests) == 1


def test_a_receiver_that_is_away_is_a_fault_without_the_secret_address(receiver: Receiver) -> None:
    receiver.close()
    with pytest.raises(ReceiverError) as fault:
        WebhookExporter(receiver.url, ["failure"]).send(batch(FAILED), reads())
    assert "refused" in str(fault.value)
    assert "secret" not in str(fault.value)


def test_the_name_of_an_address_hides_its_path(receiver: Receiver) -> None:
    name = webhook_name("https://user:pass@hooks.example.com:8443/services/T0/secret?token=1")
    assert name.partition("#")[0] == "https://hooks.example.com"
    assert webhook_name("https://hooks.example.com/services/T0/other") != name


@pytest.mark.parametrize(
    "url", ["ftp://host/", "hooks.example.com/x", "https:///path", "http://[::1/", "http://h:port/"]
)
def test_an_address_must_be_of_a_web_server(url: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"must be http://HOST/PATH or https://HOST/PATH"):
        WebhookExporter(url, ["end"])


def test_a_template_makes_the_body_and_attributes_become_headers(receiver: Receiver) -> None:
    template = Template(json.dumps({"text": "$$ ${kind} of ${graph_label}: ${requested}, ${ref}", "n": [1, None]}))
    WebhookExporter(receiver.url, ["failure"], template=template, secret=b"key").send(batch(FAILED), reads())
    [(headers, body)] = receiver.requests
    assert json.loads(body) == {"text": f"$ build.failed of {GRAPH}: daily/1, daily/2, ", "n": [1, None]}
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert (headers["ce-id"], headers["ce-type"]) == ("b/9", "databuild.build.failed")
    assert "webhook-signature" in headers


@pytest.mark.parametrize(
    ("text", "said"), [("{", "is not JSON"), ('{"text": "${nothing}"}', "names 'nothing', which does not exist")]
)
def test_a_template_with_a_mistake_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidRequestError, match=said):
        Template(text)


def test_templates_may_name_every_fact_and_nothing_else(receiver: Receiver) -> None:
    WebhookExporter(receiver.url, ["end", "check"]).send(batch(FAILED, failed_check()), reads())
    facts = {"waiting_since", "wait_seconds"}  # of `wait`
    for _, body in receiver.requests:
        facts |= set(cast("dict[str, Any]", json.loads(body)["data"]))
    assert facts | {"kind", "id", "time"} == NAMES
