"""Builds are traces, metrics and logs of a receiver of OTLP, whatever happens to it or to them."""

from __future__ import annotations

import signal

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from databuild.client import DatabuildClient
from tests.support.otlp_receiver import OtlpReceiver, values
from tests.support.script_graph import ScriptGraph
from tests.support.waiting import wait_until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


def settings(receiver: OtlpReceiver, **more: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http, **more}


def by_name(receiver: OtlpReceiver) -> dict[str, list[Span]]:
    """Returns the spans by name, in the order of their job runs."""
    spans: dict[str, list[Span]] = {}
    for span in sorted(receiver.spans, key=lambda span: str(values(span.attributes).get("databuild.job_run_id"))):
        spans.setdefault(span.name, []).append(span)
    return spans


def ids(receiver: OtlpReceiver) -> list[tuple[bytes, bytes]]:
    return [(span.trace_id, span.span_id) for span in receiver.spans]


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_build_is_one_trace_of_its_caller(
    graph: ScriptGraph, receiver: OtlpReceiver, protocol: str, compression: str
) -> None:
    code, _, err = graph.run(
        "build",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.grpc if protocol == "grpc" else receiver.http,
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_EXPORTER_OTLP_COMPRESSION=compression,
        OTEL_EXPORTER_OTLP_HEADERS="x-tenant=data%20team",
        OTEL_LOGS_EXPORTER="otlp",
        OTEL_SERVICE_NAME="nightly",
        TRACEPARENT=f"00-{TRACE}-{PARENT}-01",
    )
    assert (code, "sent" in err) == (0, False)
    spans = by_name(receiver)
    (build,), (planning,), (total,) = spans["build //numbers:graph"], spans["planning"], spans["run //numbers:sum"]
    numbers = spans["run //numbers:number"]
    configs = spans["config //numbers:number"] + spans["config //numbers:sum"]
    assert len(receiver.spans) == 2 + len(configs) + 3
    assert {span.trace_id.hex() for span in receiver.spans} == {TRACE}
    assert build.parent_span_id.hex() == PARENT
    assert {span.parent_span_id for span in (planning, total, *numbers)} == {build.span_id}
    assert {span.parent_span_id for span in configs} == {planning.span_id}
    assert sum(values(span.attributes)["databuild.refs"] for span in configs) == 3
    assert [link.span_id for link in total.links] == [number.span_id for number in numbers]
    for inner in (planning, *configs, *numbers, total):
        assert build.start_time_unix_nano <= inner.start_time_unix_nano
        assert inner.start_time_unix_nano <= inner.end_time_unix_nano <= build.end_time_unix_nano
    assert [event.name for event in total.events] == ["databuild.partition.available"]
    assert receiver.counts("databuild.job_runs") == {
        "//numbers:number COMPLETED": 2,
        "//numbers:sum COMPLETED": 1,
    }
    assert receiver.counts("databuild.builds") == {"COMPLETED": 1}
    assert receiver.counts("databuild.partitions") == {"AVAILABLE": 3}
    assert {headers["x-tenant"] for headers in receiver.headers} == {"data team"}
    resource = receiver.requests[0][1].resource_spans[0].resource
    assert values(resource.attributes) == {"service.name": "nightly"}
    # The trace context of jobs is that of their spans, and of the records of their logs.
    printed = {record.body.string_value for record in receiver.logs}
    for name, span in zip(("ab", "c"), numbers, strict=True):
        assert f"making {name} in 00-{TRACE}-{span.span_id.hex()}-01" in printed
    assert {record.span_id for record in receiver.logs} == {span.span_id for span in (*numbers, total)}


def test_logs_are_sent_only_if_the_environment_says_so(graph: ScriptGraph, receiver: OtlpReceiver) -> None:
    graph.run("build", **settings(receiver))
    assert receiver.spans
    assert not receiver.logs


def test_failures_are_errors_and_job_runs_that_never_ran_are_events(graph: ScriptGraph, receiver: OtlpReceiver) -> None:
    code, _, _ = graph.run("build", "sum/fail-x_ab", "--keep_going", **settings(receiver))
    assert code == 1
    spans = by_name(receiver)
    (build,) = spans["build //numbers:graph"]
    failed, completed = sorted(spans["run //numbers:number"], key=lambda span: -span.status.code)
    assert (failed.status.code, failed.status.message) == (Status.STATUS_CODE_ERROR, "ended with exit code 7")
    assert completed.status.code == Status.STATUS_CODE_UNSET
    assert build.status == Status(code=Status.STATUS_CODE_ERROR, message="1 task failed")
    assert "run //numbers:sum" not in spans
    assert "databuild.job_run.skipped" in [event.name for event in build.events]
    assert receiver.counts("databuild.job_runs")["//numbers:sum SKIPPED"] == 1


def test_a_config_that_fails_ends_the_planning_with_an_error(graph: ScriptGraph, receiver: OtlpReceiver) -> None:
    graph.run("build", "number/odd-x", **settings(receiver))
    spans = by_name(receiver)
    assert {name: span.status.code for name, (span,) in spans.items()} == dict.fromkeys(
        ("config //numbers:number", "planning", "build //numbers:graph"), Status.STATUS_CODE_ERROR
    )


def test_the_trace_of_a_caller_that_is_not_sampled_is_not_sent(graph: ScriptGraph, receiver: OtlpReceiver) -> None:
    graph.run("build", **settings(receiver, TRACEPARENT=f"00-{TRACE}-{PARENT}-00", OTEL_LOGS_EXPORTER="otlp"))
    assert not receiver.spans
    assert f"-{receiver.logs[0].span_id.hex()}-00" in receiver.logs[0].body.string_value
    assert receiver.counts("databuild.builds") == {"COMPLETED": 1}


def test_a_graph_with_an_exporter_sends_nothing_without_an_address(graph: ScriptGraph, receiver: OtlpReceiver) -> None:
    code, _, err = graph.run("build", OTEL_SERVICE_NAME="nightly")
    assert (code, "otlp" in err) == (0, False)
    graph.run("build", "--force", OTEL_SDK_DISABLED="true", **settings(receiver))
    assert not receiver.requests


def test_a_receiver_that_is_away_changes_nothing_and_gets_everything_once_later(
    graph: ScriptGraph, receiver: OtlpReceiver
) -> None:
    environ = settings(receiver)
    receiver.statuses = [503] * 100
    code, out, err = graph.run("build", "--exporter_seconds=3", **environ)
    assert code == 0
    assert "COMPLETED" in out
    assert "status 503" in err
    assert "not all events were sent to otlp:127.0.0.1:" in err
    assert graph.run("build", "--force", "--exporter_seconds=0.1", "--exporter_failure=fail", **environ)[0] == 3
    receiver.statuses = []
    assert graph.run("export", **environ)[0] == 0
    assert len(by_name(receiver)["build //numbers:graph"]) == 2
    assert len(ids(receiver)) == len(set(ids(receiver)))
    assert receiver.counts("databuild.builds") == {"COMPLETED": 2}
    assert receiver.counts("databuild.job_runs") == {"//numbers:number COMPLETED": 2, "//numbers:sum COMPLETED": 2}


@pytest.mark.parametrize("endpoint", ["http", "grpc"])
def test_what_a_receiver_refuses_is_reported_and_not_sent_again(
    graph: ScriptGraph, receiver: OtlpReceiver, endpoint: str
) -> None:
    receiver.statuses = [400] * 100
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": getattr(receiver, endpoint),
        "OTEL_EXPORTER_OTLP_PROTOCOL": {"http": "http/protobuf"}.get(endpoint, endpoint),
    }
    code, _, err = graph.run("build", **environ)
    # Traces and metrics are requests of their own.
    assert (code, "refused 2 requests, which are left out: " in err) == (0, True)
    receiver.statuses = []
    receiver.rejected = 1
    code, _, err = graph.run("build", "--force", "--exporter_failure=fail", **environ)
    assert (code, "1 of the traces: the trace is too old" in err) == (3, True)
    assert len(by_name(receiver)["build //numbers:graph"]) == 1


def test_a_slow_receiver_delays_the_end_of_a_build_by_the_limit_only(
    graph: ScriptGraph, receiver: OtlpReceiver
) -> None:
    receiver.seconds = 1.0
    code, _, err = graph.run("build", "--exporter_seconds=0.05", **settings(receiver))
    assert (code, "not all events were sent" in err) == (0, True)
    receiver.seconds = 0.0
    assert graph.run("export", **settings(receiver))[0] == 0
    # The request that the first process did not wait for may have arrived.
    assert len({span.span_id for span in by_name(receiver)["build //numbers:graph"]}) == 1


def test_after_a_crash_nothing_is_lost_and_spans_keep_their_ids(graph: ScriptGraph, receiver: OtlpReceiver) -> None:
    environ = settings(receiver)
    flags = ("--build_request_id=killed", "--jobs=1")
    with graph.start("build", "sum/ab_hang-x", *flags, **environ) as process:
        graph.wait_for("pid-hang-x")
        wait_until(lambda: any(span.name == "run //numbers:number" for span in receiver.spans))
        process.send_signal(signal.SIGKILL)
    assert graph.run("build", "number/c", **environ)[0] == 0
    # A request whose answer the killed process has not recorded is sent again: the same spans.
    names = [name for name, _ in {(span.name, span.SerializeToString(deterministic=True)) for span in receiver.spans}]
    assert (names.count("build //numbers:graph"), names.count("run //numbers:number")) == (2, 3)
    assert len(names) == len(set(ids(receiver)))
    assert receiver.counts("databuild.builds") == {"COMPLETED": 1, "FAILED": 1}
    before = {bytes(span.span_id): span.SerializeToString(deterministic=True) for span in receiver.spans}
    totals = receiver.metrics["databuild.job_runs"]
    receiver.requests.clear()
    assert graph.run("export", "--since=killed", **environ)[0] == 0
    again = {bytes(span.span_id): span.SerializeToString(deterministic=True) for span in receiver.spans}
    assert again == before
    assert receiver.metrics["databuild.job_runs"] == totals


def masked(receiver: OtlpReceiver) -> list[tuple[str, str, list[str], list[str]]]:
    """Returns the spans without ids and times, each with the name of its parent."""
    names = {span.span_id: span.name for span in receiver.spans}
    measured = ("build_request_id", "job_run_id", "seconds", "bytes")
    return sorted(
        (
            span.name,
            names.get(span.parent_span_id, span.parent_span_id.hex()),
            [f"{name}={value}" for name, value in values(span.attributes).items() if not name.endswith(measured)],
            [event.name for event in span.events],
        )
        for span in receiver.spans
    )


def test_the_command_line_a_service_and_the_client_send_the_same(graph: ScriptGraph, receiver: OtlpReceiver) -> None:
    environ = settings(receiver)
    traceparent = f"00-{TRACE}-{PARENT}-01"
    sent = []

    def take() -> None:
        wait_until(lambda: "build //numbers:graph" in by_name(receiver))
        sent.append(masked(receiver))
        receiver.requests.clear()
        graph.run("taint", "number/ab", "number/c", "--reason=again")

    graph.run("build", "--jobs=1", TRACEPARENT=traceparent, **environ)
    take()
    served = graph.serve("--jobs=1", **environ)
    server = served.addresses["grpc"]
    graph.run("build", f"--server={server}", TRACEPARENT=traceparent)
    take()
    with DatabuildClient(server, traceparent=traceparent) as client:
        client.submit(["sum/ab_c"])
    take()
    served.ask("POST", "/api/v1/builds", {"partitions": ["sum/ab_c"]}, traceparent=traceparent)
    take()
    assert served.end()[0] == 0
    assert sent[1:] == sent[:1] * 3
    assert PARENT in {parent for _, parent, _, _ in sent[0]}


@pytest.mark.parametrize(
    ("flags", "variables", "said"),
    [
        (
            ["--exporter=zipkin:"],
            {},
            "'zipkin:' is not an exporter; there is bes:grpc://HOST:PORT, openlineage:, otlp:",
        ),
        (["--exporter=otlp:"], {"OTEL_EXPORTER_OTLP_PROTOCOL": "smtp"}, "OTEL_EXPORTER_OTLP_PROTOCOL is 'smtp'"),
        (["--exporter=otlp:"], {"OTEL_EXPORTER_OTLP_ENDPOINT": "nowhere"}, "OTEL_EXPORTER_OTLP_ENDPOINT must be http"),
        (
            ["--exporter=otlp:"],
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://h", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere.pem"},
            "a certificate for OTLP cannot be used: No such file or directory",
        ),
    ],
)
def test_a_mistake_is_refused_before_the_build(
    graph: ScriptGraph, flags: list[str], variables: dict[str, str], said: str
) -> None:
    code, out, err = graph.run("build", *flags, **variables)
    assert (code, out) == (2, "")
    assert said in err
    assert graph.run("builds")[1] == "no builds\n"


def test_a_graph_without_the_exporter_says_how_to_add_it(graph: ScriptGraph) -> None:
    graph.write_catalog(extensions={})
    code, _, err = graph.run("build", "--exporter=otlp:")
    assert code == 2
    assert "add exporters = ['otlp:'] to its databuild_graph" in err
