"""Builds are invocations of a Build Event Service that enforces its rules, whatever happens to it or to them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from databuild.client import DatabuildClient
from databuild.exporters.bes import build_event_stream_pb2 as bep
from databuild.exporters.bes.build_event_stream_pb2 import BuildEvent
from databuild.model.bes_invocation import invocation_of
from tests.support.bes_server import BesServer, Stream
from tests.support.checked_receivers import masked_bes_event
from tests.support.script_graph import ScriptGraph
from tests.support.waiting import wait_until


@pytest.fixture
def server() -> Iterator[BesServer]:
    server = BesServer()
    yield server
    server.stop()
    assert not server.faults


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[ScriptGraph]:
    graph = ScriptGraph(tmp_path, default_partitions=("sum/ab_c",), slow=True)
    graph.write_catalog(extensions={"bes": {}})
    yield graph
    graph.close()


def stream_of(server: BesServer, build: str) -> Stream:
    return server.streams[invocation_of(build).invocation_id]


def results(stream: Stream) -> dict[str, list[str]]:
    """Returns the statuses of the job runs and checks, by label."""
    statuses: dict[str, list[str]] = {}
    for event in stream.rules.of("test_result"):
        statuses.setdefault(event.id.test_result.label, []).append(bep.TestStatus.Name(event.test_result.status))
    return statuses


def said(stream: Stream) -> str:
    return "".join(event.progress.stderr for event in stream.rules.of("progress"))


def test_a_build_is_an_invocation(graph: ScriptGraph, server: BesServer) -> None:
    code, _, err = graph.run(
        "build",
        "--build_request_id=b",
        "--keep_going",
        f"--exporter={server.uri}",
        "--bes_header=x-api-key=k",
        "--bes_results_url=https://builds.example/invocation/",
        BUILD_ID="4bf92f35-77b3-4da6-a3ce-929d0e0e4736",
    )
    assert code == 0
    ids = invocation_of("b")
    url = f"databuild: results: https://builds.example/invocation/{ids.invocation_id}"
    lines = err.strip().splitlines()
    assert (lines[0], lines[-1]) == (url, url)
    assert server.lifecycle == {
        (ids.build_id, ""): [(1, "build_enqueued"), (2, "build_finished")],
        (ids.build_id, ids.invocation_id): [(1, "invocation_attempt_started"), (2, "invocation_attempt_finished")],
    }
    assert {headers["x-api-key"] for headers in server.headers} == {"k"}
    assert server.project_ids == {"main"}
    stream = stream_of(server, "b")
    assert (stream.finished, stream.repeated, server.calls) == (True, 0, 1)
    (started,) = stream.rules.of("started")
    assert (started.started.uuid, started.started.command) == (ids.invocation_id, "build")
    (command_line,) = stream.rules.of("unstructured_command_line")
    assert command_line.unstructured_command_line.args[:3] == ["databuild", "build", "--keep_going"]
    assert command_line.unstructured_command_line.args[-1] == "sum/ab_c"
    (metadata,) = stream.rules.of("build_metadata")
    assert metadata.build_metadata.metadata["BAZEL_INVOCATION_ID"] == "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"
    assert metadata.build_metadata.metadata["DATABUILD_BUILD_REQUEST_ID"] == "b"
    (expanded,) = stream.rules.of("expanded")
    assert list(expanded.id.pattern.pattern) == ["sum/ab_c"]
    labels = {child.target_configured.label for child in expanded.children}
    assert labels == {"//numbers:number", "//numbers:sum"}
    completed = {event.id.target_completed.label: event.completed for event in stream.rules.of("completed")}
    assert {label: target.success for label, target in completed.items()} == dict.fromkeys(labels, True)
    files = {
        event.id.named_set.id: {file.name for file in event.named_set_of_files.files}
        for event in stream.rules.of("named_set_of_files")
    }
    (number_set,) = completed["//numbers:number"].output_group[0].file_sets
    assert files[number_set.id] == {"number/ab", "number/c"}
    assert results(stream) == {"//numbers:number": ["PASSED", "PASSED"], "//numbers:sum": ["PASSED"]}
    logs = [file for event in stream.rules.of("test_result") for file in event.test_result.test_action_output]
    contents = {Path(file.uri.removeprefix("file://")).read_text() for file in logs}
    assert "making ab\n" in contents
    summaries = {event.id.test_summary.label: event.test_summary for event in stream.rules.of("test_summary")}
    summary = summaries["//numbers:number"]
    assert (summary.overall_status, summary.total_run_count, summary.run_count) == (bep.PASSED, 2, 2)
    (finished,) = stream.rules.of("finished")
    assert (finished.finished.exit_code.name, finished.finished.exit_code.code) == ("SUCCESS", 0)
    (metrics,) = stream.rules.of("build_metrics")
    assert metrics.build_metrics.action_summary.actions_executed == 3
    assert metrics.build_metrics.artifact_metrics.output_artifacts_seen.count == 3


def test_a_failed_job_run_shows_its_reason_and_the_end_of_its_log(graph: ScriptGraph, server: BesServer) -> None:
    code, _, _ = graph.run("build", "sum/fail-x_ab", "number/c", "--keep_going", f"--exporter={server.uri}")
    assert code == 1
    stream = server.only_stream()
    assert sorted(results(stream)["//numbers:number"]) == ["FAILED", "PASSED", "PASSED"]
    (skipped,) = (event for event in stream.rules.of("aborted") if event.id.HasField("test_result"))
    assert (skipped.id.test_result.label, skipped.aborted.reason) == ("//numbers:sum", bep.Aborted.SKIPPED)
    assert "FAILED //numbers:number (run" in said(stream)
    assert "cannot make fail-x" in said(stream)
    completed = {event.id.target_completed.label: event.completed for event in stream.rules.of("completed")}
    assert not any(target.success for target in completed.values())
    assert "exit code 7" in completed["//numbers:number"].failure_detail.message
    (finished,) = stream.rules.of("finished")
    assert (finished.finished.exit_code.name, finished.finished.exit_code.code) == ("BUILD_FAILURE", 1)


def test_a_build_that_cannot_be_planned_has_no_targets(graph: ScriptGraph, server: BesServer) -> None:
    code, _, _ = graph.run("build", "number/odd-x", f"--exporter={server.uri}")
    assert code == 1
    (aborted,) = server.only_stream().rules.of("aborted")
    assert list(aborted.id.pattern.pattern) == ["number/odd-x"]
    assert aborted.aborted.reason == bep.Aborted.ANALYSIS_FAILURE
    (finished,) = server.only_stream().rules.of("finished")
    assert finished.finished.exit_code.code == 1


def test_partitions_of_other_builds_are_targets_without_runs(graph: ScriptGraph, server: BesServer) -> None:
    graph.run("build", "number/ab")
    assert graph.run("build", f"--exporter={server.uri}")[0] == 0
    assert graph.run("build", f"--exporter={server.uri}", "--build_request_id=again")[0] == 0
    stream = stream_of(server, "again")
    assert results(stream) == {}
    assert "uses 1 partitions of build" in said(stream)
    (completed,) = stream.rules.of("completed")
    assert (completed.id.target_completed.label, completed.completed.success) == ("//numbers:sum", True)


@pytest.mark.parametrize("events", [0, 1, 7, 20])
def test_a_stream_that_breaks_goes_on_from_the_last_acknowledgement(
    graph: ScriptGraph, server: BesServer, events: int
) -> None:
    server.breaks_after = events
    code, _, err = graph.run("build", f"--exporter={server.uri}", "--exporter_failure=fail")
    assert code == 0, err
    stream = server.only_stream()
    assert (stream.finished, server.calls) == (True, 2)
    assert stream.repeated <= events  # those whose acknowledgements were lost


def test_a_service_may_acknowledge_only_at_the_end(graph: ScriptGraph, server: BesServer) -> None:
    server.acknowledges_at_end = True
    server.breaks_after = 10
    code, _, err = graph.run("build", f"--exporter={server.uri}", "--exporter_failure=fail")
    assert code == 0, err
    stream = server.only_stream()
    assert (stream.finished, stream.repeated) == (True, 10)


def test_a_service_that_is_away_changes_nothing_and_gets_everything_once_later(
    graph: ScriptGraph, server: BesServer
) -> None:
    server.stop()
    code, out, err = graph.run("build", "--build_request_id=b", "--exporter_seconds=0.1", f"--exporter={server.uri}")
    assert code == 0
    assert "COMPLETED" in out
    assert "it cannot be reached; check the address, and that the service runs" in err
    assert "not all events were sent to bes:grpc://127.0.0.1:" in err
    flags = ("--force", "--exporter_seconds=0.1", "--exporter_failure=fail", f"--exporter={server.uri}")
    assert graph.run("build", *flags)[0] == 3
    again = BesServer(port=server.port)
    try:
        assert graph.run("export", f"--exporter={server.uri}")[0] == 0
        assert len(again.streams) == 2
        assert all(stream.finished and not stream.repeated for stream in again.streams.values())
        assert graph.run("export", f"--exporter={server.uri}")[0] == 0
        assert again.calls == 2
    finally:
        again.stop()
    assert not again.faults


def test_a_slow_service_delays_the_end_of_a_build_by_the_limit_only(graph: ScriptGraph, server: BesServer) -> None:
    server.seconds = 0.2
    code, _, err = graph.run("build", "--exporter_seconds=0.05", f"--exporter={server.uri}")
    assert (code, "not all events were sent" in err) == (0, True)
    server.seconds = 0.0
    assert graph.run("export", f"--exporter={server.uri}")[0] == 0
    assert server.only_stream().finished


def test_a_build_that_a_service_refuses_is_left_out_and_reported(graph: ScriptGraph, server: BesServer) -> None:
    server.refuses = grpc.StatusCode.INVALID_ARGUMENT
    code, _, err = graph.run("build", "--build_request_id=b", f"--exporter={server.uri}")
    assert (code, err.count("refused a request, which is left out: INVALID_ARGUMENT: not here, for build b")) == (0, 1)
    server.refuses = None
    assert graph.run("build", "--force", "--build_request_id=c", f"--exporter={server.uri}")[0] == 0
    assert list(server.streams) == [invocation_of("c").invocation_id]


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "it does not accept the credentials"),
        (grpc.StatusCode.PERMISSION_DENIED, "it does not allow this client"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED: not here"),
    ],
)
def test_a_fault_that_can_be_repaired_is_told_and_the_build_is_sent_later(
    graph: ScriptGraph, server: BesServer, code: grpc.StatusCode, hint: str
) -> None:
    server.refuses = code
    result, _, err = graph.run("build", "--exporter_seconds=3", f"--exporter={server.uri}")
    assert (result, hint in err) == (0, True)
    server.refuses = None
    assert graph.run("export", f"--exporter={server.uri}")[0] == 0
    assert server.only_stream().finished


def test_a_service_that_has_a_build_already_gets_it_no_more(graph: ScriptGraph, server: BesServer) -> None:
    graph.run("build", "--build_request_id=b", f"--exporter={server.uri}")
    assert graph.run("export", "--since=b", f"--exporter={server.uri}")[0] == 0
    stream = server.only_stream()
    assert stream.repeated == len(stream.stored)  # each event is the same as before, or the service complains
    server.refuses = grpc.StatusCode.ALREADY_EXISTS
    code, _, err = graph.run("export", "--since=b", f"--exporter={server.uri}")
    assert (code, "refused" in err) == (0, False)


def test_after_a_crash_the_next_process_goes_on_with_the_same_stream(graph: ScriptGraph, server: BesServer) -> None:
    flags = ("--build_request_id=killed", "--jobs=1", f"--exporter={server.uri}")
    with graph.start("build", "sum/ab_hang-x", *flags) as process:
        graph.wait_for("pid-hang-x")
        wait_until(lambda: bool(server.streams) and "//numbers:number" in results(server.only_stream()))
        process.send_signal(signal.SIGKILL)
    before = len(server.only_stream().stored)
    assert graph.run("build", "number/c", "--build_request_id=next", f"--exporter={server.uri}")[0] == 0
    stream = stream_of(server, "killed")
    assert (stream.finished, len(stream.stored) > before) == (True, True)
    assert results(stream)["//numbers:number"][0] == "PASSED"
    (finished,) = stream.rules.of("finished")
    assert finished.finished.exit_code.code == 3
    assert stream_of(server, "next").finished


def masked(stream: Stream) -> list[BuildEvent]:
    return [masked_bes_event(event) for event in stream.rules.events]


def test_the_command_line_a_service_and_the_client_send_the_same(graph: ScriptGraph, server: BesServer) -> None:
    sent: list[list[BuildEvent]] = []

    def take() -> None:
        number = len(sent)
        wait_until(lambda: len(server.streams) > number and list(server.streams.values())[number].finished)
        sent.append(masked(list(server.streams.values())[number]))
        graph.run("taint", "number/ab", "number/c", "--reason=again")

    graph.run("build", "--jobs=1", f"--exporter={server.uri}")
    take()
    served = graph.serve("--jobs=1", f"--exporter={server.uri}")
    address = served.addresses["grpc"]
    _, _, err = graph.run("build", f"--server={address}", "--bes_results_url=https://h", "--build_request_id=remote")
    url = f"databuild: results: https://h/{invocation_of('remote').invocation_id}"
    assert [line for line in err.splitlines() if "results" in line] == [url, url]
    take()
    with DatabuildClient(address) as client:
        client.submit(["sum/ab_c"])
    take()
    served.ask("POST", "/api/v1/builds", {"partitions": ["sum/ab_c"]})
    take()
    assert served.end()[0] == 0
    assert sent[1:] == sent[:1] * 3


def test_the_graph_may_name_the_pages_of_builds(graph: ScriptGraph, server: BesServer) -> None:
    pages = {
        "extensions": {"bes": {}, "otlp": {}},
        "exporters": [server.uri],
        "bes_results_url": "https://builds.example/",
    }
    graph.write_catalog(**pages)

    def addresses(*flags: str) -> list[str]:
        _, _, err = graph.run("build", *flags)
        return [line.rpartition(" ")[2] for line in err.splitlines() if "databuild: results: " in line]

    identifier = invocation_of("b").invocation_id
    assert addresses("--build_request_id=b") == [f"https://builds.example/{identifier}"] * 2
    other = invocation_of("c").invocation_id
    assert addresses("--build_request_id=c", "--bes_results_url=https://other/") == [f"https://other/{other}"] * 2
    assert addresses("--exporter=otlp:", "--exporter_seconds=0") == []
    served = graph.serve()
    assert addresses(f"--server={served.addresses['grpc']}") == []


def test_builds_at_the_same_time_have_streams_of_their_own(graph: ScriptGraph, server: BesServer) -> None:
    served = graph.serve("--jobs=3", f"--exporter={server.uri}")
    builds = [served.build(ref) for ref in ("number/wait-a", "number/wait-b")]
    for name in ("wait-a", "wait-b"):
        graph.wait_for(f"waiting-{name}")
    builds.append(served.build("number/fail-c"))
    for name in ("wait-b", "wait-a"):
        (graph.folder / f"go-{name}").touch()
    wait_until(lambda: all(invocation_of(build).invocation_id in server.streams for build in builds))
    wait_until(lambda: all(stream_of(server, build).finished for build in builds))
    assert served.end()[0] == 0
    assert [results(stream_of(server, build)) for build in builds] == [
        {"//numbers:number": ["PASSED"]},
        {"//numbers:number": ["PASSED"]},
        {"//numbers:number": ["FAILED"]},
    ]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--exporter=bes:"], "'bes:' is not an exporter; there is bes:grpc://HOST:PORT, openlineage:, otlp:"),
        (["--exporter=bes:http://h:1"], "'bes:http://h:1' must be bes:grpc://HOST:PORT or bes:grpcs://HOST"),
        (["--exporter=bes:grpc://host"], "it must be grpc://HOST:PORT"),
        (["--exporter=bes:grpc://u:secret@host:1"], "pass a header or a credential helper instead"),
        (["--exporter=bes:grpc://host:1", "--tls_certificate=x.pem"], "certificates need TLS"),
        (["--exporter=bes:grpcs://host", "--tls_certificate=/nowhere.pem"], "the file /nowhere.pem for TLS cannot be"),
        (["--exporter=bes:grpc://host:1", "--bes_header=x"], "--bes_header=x must be NAME=VALUE"),
        (["--bes_results_url=https://h"], "--bes_results_url needs --exporter=bes:grpc://HOST:PORT"),
    ],
)
def test_a_mistake_is_refused_before_the_build(graph: ScriptGraph, flags: list[str], message: str) -> None:
    code, out, err = graph.run("build", *flags)
    assert (code, out) == (2, "")
    assert message in err
    assert "secret" not in err
    assert graph.run("builds")[1] == "no builds\n"


def test_a_graph_without_the_exporter_says_how_to_add_it(graph: ScriptGraph) -> None:
    graph.write_catalog(extensions={})
    code, _, err = graph.run("build", "--exporter=bes:grpc://host:1")
    assert code == 2
    assert "add exporters = ['bes:grpc://host:1'] to its databuild_graph" in err
