"""Builds are run events of a receiver of OpenLineage, whatever happens to it or to them."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from databuild.client import DatabuildClient
from tests.support.openlineage_receiver import Event, OpenLineageReceiver, faults_of, masked_run_events
from tests.support.script_graph import ScriptGraph
from tests.support.waiting import wait_until

GRAPH, NUMBER, SUM = "//numbers:graph", "//numbers:number", "//numbers:sum"
ONCE = ["START", "COMPLETE"]
SINGLE_PATH = "/api/v1/lineage"
WITHOUT_BATCHES = "URL, a receiver without batches"
BY_URL = ["URL", WITHOUT_BATCHES]
WAYS = [*BY_URL, "file", "file of the working directory", "variables"]


@pytest.fixture
def receiver() -> Iterator[OpenLineageReceiver]:
    receiver = OpenLineageReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[ScriptGraph]:
    graph = ScriptGraph(tmp_path, default_partitions=("sum/ab_c",), slow=True)
    graph.write_catalog(exporters=["openlineage:"], extensions={"openlineage": {}})
    yield graph
    graph.close()


def configured(kind: str, receiver: OpenLineageReceiver, graph: ScriptGraph) -> dict[str, str]:
    """Returns the variables that configure a receiver in one of several ways."""
    http = {"type": "http", "url": receiver.url, "auth": {"type": "api_key", "apiKey": "key"}}
    receiver.has_batches = kind != WITHOUT_BATCHES
    if kind in BY_URL:
        return {"OPENLINEAGE_URL": receiver.url, "OPENLINEAGE_API_KEY": "key"}
    if kind == "file":
        (graph.folder / "lineage.yml").write_text(json.dumps({"transport": {**http, "compression": "gzip"}}))
        return {"OPENLINEAGE_CONFIG": "lineage.yml"}
    if kind == "file of the working directory":
        (graph.folder / "openlineage.yml").write_text(json.dumps({"transport": http}))
        return {}
    assert kind == "variables"
    return {
        "OPENLINEAGE__TRANSPORT__TYPE": "http",
        "OPENLINEAGE__TRANSPORT__URL": receiver.url,
        "OPENLINEAGE__TRANSPORT__AUTH": '{"type": "api_key", "apiKey": "key"}',
    }


@pytest.mark.parametrize("way", WAYS)
def test_a_build_and_its_job_runs_are_runs(graph: ScriptGraph, receiver: OpenLineageReceiver, way: str) -> None:
    variables = configured(way, receiver, graph)

    code, _, err = graph.run("build", "--exporter=openlineage:", OPENLINEAGE_NAMESPACE="team", **variables)

    assert (code, "openlineage" in err) == (0, False)
    assert receiver.states(GRAPH) == ONCE
    assert sorted(receiver.states(NUMBER)) == ["COMPLETE", "COMPLETE", "START", "START"]
    assert receiver.states(SUM) == ONCE
    (started, _), (_, completed) = receiver.of_job(GRAPH), receiver.of_job(SUM)
    assert completed["run"]["facets"]["parent"]["run"] == {"runId": started["run"]["runId"]}
    assert [(dataset["namespace"], dataset["name"]) for dataset in completed["inputs"]] == [("team", "number/{name}")]
    (used,) = completed["inputs"]
    parts = used["inputFacets"]["subset"]["inputCondition"]["partitions"]
    assert [part["dimensions"] for part in parts] == [{"name": "ab"}, {"name": "c"}]
    assert [dataset["name"] for dataset in completed["outputs"]] == ["sum/{names}"]
    assert completed["job"]["facets"]["databuild_codeDigest"]["codeDigest"] == "sum-1"
    paths = [path for path, _ in receiver.requests]
    assert paths.count(f"{SINGLE_PATH}/batch") == (1 if way == WITHOUT_BATCHES else len(receiver.batches))
    assert paths.count(SINGLE_PATH) == len(receiver.events) - sum(receiver.batches)
    assert (sum(receiver.batches) > 0) == (way == "URL")
    assert {headers["authorization"] for _, headers in receiver.requests} == {"Bearer key"}
    tagged = [event for event in receiver.events if "tags" in event["run"]["facets"]]
    assert len(tagged) == (0 if way in BY_URL else len(receiver.events))  # the client of OpenLineage adds them


def test_the_commit_and_the_repository_are_those_of_the_build(
    graph: ScriptGraph, receiver: OpenLineageReceiver
) -> None:
    git = graph.folder / ".git"
    git.mkdir()
    (git / "HEAD").write_text("a" * 40)
    (git / "config").write_text('[remote "origin"]\n\turl = git@host:team/graphs.git\n')
    graph.run("build", **configured("URL", receiver, graph))
    (git / "HEAD").write_text("b" * 40)
    graph.run("export", "--since=1h", **configured("variables", receiver, graph))

    locations = [event["job"]["facets"]["sourceCodeLocation"] for event in receiver.of_job(SUM)]
    assert len(locations) == 4
    assert {(one["url"], one["version"], one["path"]) for one in locations} == {
        ("ssh://git@host/team/graphs.git", "a" * 40, "numbers")
    }


def test_failures_have_a_message_and_job_runs_that_never_ran_no_events(
    graph: ScriptGraph, receiver: OpenLineageReceiver
) -> None:
    code, _, _ = graph.run("build", "sum/fail-x_ab", "--keep_going", **configured("URL", receiver, graph))

    assert code == 1
    assert receiver.states(GRAPH) == ["START", "FAIL"]
    assert receiver.states(SUM) == []
    (failed,) = [event for event in receiver.of_job(NUMBER) if event["eventType"] == "FAIL"]
    assert failed["run"]["facets"]["errorMessage"]["message"] == "ended with exit code 7"
    assert receiver.of_job(GRAPH)[1]["run"]["facets"]["errorMessage"]["message"] == "1 task failed"


def test_a_cancelled_build_aborts_its_runs(graph: ScriptGraph, receiver: OpenLineageReceiver) -> None:
    with graph.start("build", "number/hang-x", **configured("URL", receiver, graph)) as process:
        graph.wait_for("pid-hang-x")
        process.send_signal(signal.SIGINT)

    assert receiver.states(NUMBER) == ["START", "ABORT"]
    assert receiver.states(GRAPH) == ["START", "ABORT"]


def test_a_graph_with_the_exporter_sends_nothing_without_a_configuration_or_if_disabled(
    graph: ScriptGraph, receiver: OpenLineageReceiver
) -> None:
    code, _, err = graph.run("build", OPENLINEAGE_NAMESPACE="team")
    assert (code, "OpenLineage" in err) == (0, False)
    variables = configured("URL", receiver, graph)
    assert graph.run("build", "--force", OPENLINEAGE_DISABLED="true", **variables)[0] == 0
    assert graph.run("build", "--force", "--exporter=openlineage:", OPENLINEAGE_DISABLED="true", **variables)[0] == 0
    assert not receiver.requests


def ids(receiver: OpenLineageReceiver) -> list[tuple[str, str]]:
    return [(event["run"]["runId"], event["eventType"]) for event in receiver.events]


@pytest.mark.parametrize("way", [*BY_URL, "variables"])
def test_a_receiver_that_is_away_changes_nothing_and_gets_everything_once_later(
    graph: ScriptGraph, receiver: OpenLineageReceiver, way: str
) -> None:
    environ = configured(way, receiver, graph)
    receiver.statuses = [503] * 100
    code, out, err = graph.run("build", "--exporter_seconds=3", **environ)
    assert code == 0
    assert "COMPLETED" in out
    assert "status 503 (Service Unavailable)" in err
    assert "not all events were sent to openlineage:127.0.0.1:" in err
    assert graph.run("build", "--force", "--exporter_seconds=0.1", "--exporter_failure=fail", **environ)[0] == 3
    receiver.statuses = []
    assert graph.run("export", **environ)[0] == 0
    assert receiver.states(GRAPH) == ONCE * 2
    assert len(ids(receiver)) == len(set(ids(receiver)))


@pytest.mark.parametrize("way", [*BY_URL, "variables"])
@pytest.mark.parametrize("status", [400, 302])
def test_refused_events_are_reported_and_not_sent_again(
    graph: ScriptGraph, receiver: OpenLineageReceiver, way: str, status: int
) -> None:
    environ = configured(way, receiver, graph)
    receiver.statuses = [status] * (2 if way == "URL" else 1)  # of a batch, and of its first event
    code, _, err = graph.run("build", "--exporter_failure=fail", **environ)
    assert code == 3
    assert f"refused a request, which is left out: status {status} (" in err
    assert (receiver.states(GRAPH), receiver.states(SUM)) == (["COMPLETE"], ONCE)
    assert {path for path, _ in receiver.requests} <= {SINGLE_PATH, f"{SINGLE_PATH}/batch"}
    assert graph.run("export", **environ)[0] == 0
    assert receiver.states(GRAPH) == ["COMPLETE"]


@pytest.mark.parametrize("way", BY_URL)
def test_a_slow_receiver_delays_the_end_of_a_build_by_the_limit_only(
    graph: ScriptGraph, receiver: OpenLineageReceiver, way: str
) -> None:
    environ = configured(way, receiver, graph)
    receiver.seconds = 1.0
    code, _, err = graph.run("build", "--exporter_seconds=0.05", **environ)
    assert (code, "not all events were sent" in err) == (0, True)
    receiver.seconds = 0.0
    assert graph.run("export", **environ)[0] == 0
    # A request that the first process did not wait for may have arrived.
    assert len(set(ids(receiver))) == 8


def test_nobody_listens_and_later_somebody_does(graph: ScriptGraph) -> None:
    gone = OpenLineageReceiver()
    environ = configured("URL", gone, graph)
    gone.close()
    code, _, err = graph.run("build", "--exporter_seconds=0.1", **environ)
    assert (code, "Connection refused" in err) == (0, True)
    again = OpenLineageReceiver(port=int(gone.url.rpartition(":")[2]))
    assert graph.run("export", **environ)[0] == 0
    assert again.states(GRAPH) == ONCE
    again.close()


@pytest.mark.parametrize("way", BY_URL)
def test_after_a_crash_nothing_is_lost_and_runs_keep_their_ids(
    graph: ScriptGraph, receiver: OpenLineageReceiver, way: str
) -> None:
    environ = configured(way, receiver, graph)
    flags = ("--build_request_id=killed", "--jobs=1")
    with graph.start("build", "sum/ab_hang-x", *flags, **environ) as process:
        graph.wait_for("pid-hang-x")
        wait_until(lambda: receiver.states(NUMBER).count("START") == 2)
        process.send_signal(signal.SIGKILL)
    assert graph.run("build", "number/c", **environ)[0] == 0
    # An event whose answer the killed process has not recorded is sent again: the same event.
    distinct = {json.dumps(event, sort_keys=True): event for event in receiver.events}
    assert len(distinct) == len(set(ids(receiver)))
    killed = [event for event in distinct.values() if build_of(event) == "killed"]
    starts = sorted(event["job"]["name"] for event in killed if event["eventType"] == "START")
    ends = sorted(event["job"]["name"] for event in killed if event["eventType"] in {"COMPLETE", "FAIL", "ABORT"})
    assert starts == ends == [GRAPH, NUMBER, NUMBER]
    receiver.events.clear()
    assert graph.run("export", "--since=killed", **environ)[0] == 0
    again = {json.dumps(event, sort_keys=True) for event in receiver.events}
    assert again == distinct.keys()


def build_of(event: Event) -> str:
    name: str = event["run"]["facets"]["databuild_run"]["buildRequestId"]
    return name


def test_the_command_line_a_service_and_the_client_send_the_same(
    graph: ScriptGraph, receiver: OpenLineageReceiver
) -> None:
    environ = configured("URL", receiver, graph)
    sent = []

    def take() -> None:
        wait_until(lambda: receiver.states(GRAPH) == ONCE)
        sent.append(masked_run_events(receiver.events))
        receiver.events.clear()
        graph.run("taint", "number/ab", "number/c", "--reason=again")

    graph.run("build", "--jobs=1", **environ)
    take()
    served = graph.serve("--jobs=1", **environ)
    server = served.addresses["grpc"]
    graph.run("build", f"--server={server}")
    take()
    with DatabuildClient(server) as client:
        client.submit(["sum/ab_c"])
    take()
    served.ask("POST", "/api/v1/builds", {"partitions": ["sum/ab_c"]})
    take()
    assert served.end()[0] == 0
    assert sent[1:] == sent[:1] * 3
    assert len(sent[0]) == 8


def test_the_transports_of_files_and_consoles_work(graph: ScriptGraph) -> None:
    file = graph.folder / "events.jsonl"
    transports: dict[str, Any] = {
        "lines": {"type": "file", "log_file_path": str(file), "append": True},
        "here": {"type": "console"},
    }
    (graph.folder / "openlineage.yml").write_text(
        json.dumps({"transport": {"type": "composite", "transports": transports}})
    )
    code, out, err = graph.run("build", "--exporter=openlineage:")
    assert code == 0
    events = [json.loads(line) for line in file.read_text().splitlines()]
    printed = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert printed == events
    assert [fault for event in events for fault in faults_of(event)] == []
    assert [event["eventType"] for event in events if event["job"]["name"] == GRAPH] == ONCE
    assert not any(line.startswith("{") for line in out.splitlines())


def test_each_receiver_of_a_composite_transport_gets_every_event(
    graph: ScriptGraph, receiver: OpenLineageReceiver
) -> None:
    other = OpenLineageReceiver()
    (graph.folder / "openlineage.yml").write_text(
        json.dumps(
            {
                "transport": {
                    "type": "composite",
                    "transports": [{"type": "http", "url": one.url} for one in (receiver, other)],
                },
                "tags": {"run": {"team": "blue"}},
                "filters": [{"type": "exact", "match": NUMBER}],
            }
        )
    )
    other.statuses = [503] * 3
    code, _, err = graph.run("build", "--exporter=openlineage:")
    assert code == 0
    assert "events could not be sent to openlineage:127.0.0.1:" in err
    assert receiver.states(SUM) == other.states(SUM) == ONCE
    assert other.states(GRAPH) == ONCE
    assert set(ids(receiver)) == set(ids(other))
    assert receiver.states(NUMBER) == []
    tags = {tag["key"]: tag["value"] for tag in other.events[0]["run"]["facets"]["tags"]["tags"]}
    assert tags["team"] == "blue"
    other.close()


def test_a_proxy_of_the_environment_gets_the_requests(graph: ScriptGraph, receiver: OpenLineageReceiver) -> None:
    environ = {"OPENLINEAGE_URL": "http://lineage.example:5000", "http_proxy": receiver.url}
    assert graph.run("build", **environ)[0] == 0
    assert receiver.states(GRAPH) == ONCE
    paths = {path.removesuffix("/batch") for path, _ in receiver.requests}
    assert paths == {"http://lineage.example:5000/api/v1/lineage"}
    assert {headers["host"] for _, headers in receiver.requests} == {"lineage.example:5000"}
    receiver.events.clear()
    environ = {"OPENLINEAGE_URL": receiver.url, "http_proxy": "http://127.0.0.1:1", "no_proxy": "127.0.0.1"}
    assert graph.run("build", "--force", **environ)[0] == 0
    assert receiver.states(GRAPH) == ONCE


def test_jobs_do_not_get_the_variables_that_the_client_sets(graph: ScriptGraph, receiver: OpenLineageReceiver) -> None:
    script = graph.folder / "number"
    script.write_text(script.read_text().replace('echo "making $name"', "env | grep OPENLINEAGE >variables || true"))
    environ = configured("URL", receiver, graph) | {"OPENLINEAGE__TAGS__RUN__TEAM": "blue"}
    graph.run("build", "number/a", **environ)
    assert receiver.states(NUMBER) == ONCE
    assert "tags" in receiver.events[0]["run"]["facets"]
    assert dict(line.split("=", 1) for line in (graph.folder / "variables").read_text().splitlines()) == environ


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "the environment has no transport for OpenLineage; set OPENLINEAGE_URL, or OPENLINEAGE_CONFIG to a file"),
        ({"OPENLINEAGE_URL": "http://h:port"}, "OPENLINEAGE_URL must be http://HOST:PORT or https://HOST:PORT"),
        ({"OPENLINEAGE_URL": "http://[::1"}, "OPENLINEAGE_URL must be http://HOST:PORT or https://HOST:PORT"),
        ({"OPENLINEAGE_URL": "nowhere"}, "OPENLINEAGE_URL must be http://HOST:PORT or https://HOST:PORT"),
        ({"OPENLINEAGE_CONFIG": "absent.yml"}, "OPENLINEAGE_CONFIG names 'absent.yml', which is no file"),
        (
            {"OPENLINEAGE_URL": "http://h", "OPENLINEAGE_API_KEY": "a\nb"},
            "OPENLINEAGE_API_KEY has characters that a header cannot have",
        ),
        ({"OPENLINEAGE__TRANSPORT__TYPE": "pigeon"}, "OpenLineage cannot be configured: Failed to import pigeon"),
        (
            {"OPENLINEAGE__TRANSPORT__TYPE": "async_http", "OPENLINEAGE__TRANSPORT__URL": "http://h"},
            "the transport async_http of OpenLineage does not tell whether events have arrived; use http",
        ),
    ],
)
def test_a_mistake_is_refused_before_the_build(graph: ScriptGraph, variables: dict[str, str], said: str) -> None:
    code, out, err = graph.run("build", "--exporter=openlineage:", **variables)
    assert (code, out) == (2, "")
    assert said in err
    assert graph.run("builds")[1] == "no builds\n"


def test_a_graph_without_the_exporter_says_how_to_add_it(graph: ScriptGraph) -> None:
    graph.write_catalog(extensions={})
    code, _, err = graph.run("build", "--exporter=openlineage:")
    assert code == 2
    assert "add exporters = ['openlineage:'] to its databuild_graph" in err
