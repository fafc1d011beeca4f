"""The service over HTTP: builds, partitions, plans, logs and adoptions."""

from __future__ import annotations

import base64
import hashlib
from xml.etree import ElementTree as ET

import pytest

from databuild.service.api.routes import PREFIX, ROUTES
from databuild.service.http.openapi import openapi_document
from tests.support.present import present
from tests.support.served import Served, error_of


async def test_a_build_is_submitted_watched_and_looked_at(served: Served) -> None:
    build = await served.build("clean/1")

    events = await served.events(f"/builds/{build}/watch")
    summary = (await served.get(f"/builds/{build}")).json()
    page = (await served.get(f"/builds/{build}/events", after_sequence=3, page_size=2)).json()
    runs = (await served.get(f"/builds/{build}/job_runs", status="COMPLETED")).json()["job_runs"]
    partitions = (await served.get(f"/builds/{build}/partitions", page_size=1)).json()
    graph = (await served.get(f"/builds/{build}/graph")).json()

    assert [name for name, _, _ in events] == [str(number) for number in range(1, len(events))] + [None]
    assert events[-1] == (None, "end", {})
    assert events[-2][2]["build_request"]["status"] == "BUILD_STATUS_COMPLETED"
    assert summary["status"] == "BUILD_STATUS_COMPLETED"
    assert summary["requested"] == [{"str": "clean/1"}]
    assert [event["sequence"] for event in page["events"]] == ["4", "5"]
    assert [run["job_label"] for run in runs] == ["//:raw", "//:clean"]
    assert [row["ref"] for row in partitions["partitions"]] == ["clean/1"]
    assert partitions["next_page_token"] == "clean/1"
    assert [task["outputs"] for task in graph["tasks"]] == [["raw/1"], ["clean/1"]]


async def test_the_job_graph_of_a_build_is_drawn_with_a_style_that_browsers_allow(served: Served) -> None:
    build = await served.build("clean/1")

    answer = await served.get(f"/builds/{build}/graph.svg")

    assert answer.headers["content-type"] == "image/svg+xml"
    picture = ET.fromstring(answer.text)
    svg = "{http://www.w3.org/2000/svg}"
    nodes = [node for node in picture.iter(f"{svg}g") if node.get("class") == "node state-completed"]
    assert [node.findtext(f"{svg}title") for node in nodes] == ["//:raw: raw/1 (done)", "//:clean: clean/1 (done)"]
    digest = hashlib.sha256(present(picture.findtext(f"{svg}style")).encode()).digest()
    source = f"'sha256-{base64.b64encode(digest).decode()}'"
    assert f"default-src 'none'; style-src {source};" in answer.headers["content-security-policy"]


async def test_the_whole_graph_is_shown_and_drawn_with_the_counts_of_its_partitions(served: Served) -> None:
    await served.build("clean/1", "clean/2")

    plain = (await served.get("/graph")).json()
    counted = (await served.get("/graph", include_records="true")).json()
    picture = await served.get("/graph.svg", include_records="true")

    assert [job["job_label"] for job in plain["jobs"]] == ["//:clean", "//:day", "//:raw"]
    assert plain["jobs"][0]["outputs"] == ["clean/{n:/.+/}"]
    assert "counts" not in plain["jobs"][0]
    assert counted["jobs"][0]["counts"]["by_status"] == {"AVAILABLE": "2"}
    assert [(edge["upstream_job_label"], edge["job_label"], edge["kind"]) for edge in counted["edges"]] == [
        ("//:raw", "//:clean", "KIND_RECORDED")
    ]
    assert picture.headers["content-type"] == "image/svg+xml"
    assert "2 available" in picture.text
    assert "2 available" not in (await served.get("/graph.svg")).text


async def test_the_same_request_starts_nothing_new_and_another_is_a_conflict(served: Served) -> None:
    body = {"build_request_id": "b", "partitions": ["raw/1"]}
    first = await served.post("/builds", body)
    again = await served.post("/builds", body)
    other = await served.post("/builds", {**body, "options": {"keep_going": True}})

    assert first.json()["build_request_id"] == again.json()["build_request_id"] == "b"
    assert error_of(other) == (409, "BUILD_CONFLICT")
    assert len((await served.get("/builds")).json()["builds"]) == 1


async def test_a_build_is_cancelled_and_retried(served: Served) -> None:
    gate = served.executor.gate("raw/1")
    await served.post("/builds", {"partitions": ["raw/1"], "build_request_id": "b"})
    await gate.reached.wait()

    running = await served.post("/builds/b/retry")
    cancelled = await served.post("/builds/b/cancel", headers={"DataBuild-Author": "ann"})
    await served.events("/builds/b/watch")
    ended = await served.post("/builds/b/cancel")
    del served.executor.gates["raw/1"]
    retried = await served.post("/builds/b/retry", {"new_build_request_id": "again"})
    await served.events("/builds/again/watch")

    assert error_of(running) == (409, "BUILD_STATE")
    assert cancelled.json()["cancel_requested_by"] == "ann"
    assert (await served.get("/builds/b")).json()["status"] == "BUILD_STATUS_CANCELLED"
    assert error_of(ended) == (409, "BUILD_STATE")
    assert retried.json()["build"]["retry_of_build_request_id"] == "b"
    assert (await served.get("/builds/again")).json()["status"] == "BUILD_STATUS_COMPLETED"


async def test_builds_are_listed_page_by_page(served: Served) -> None:
    builds = [await served.build("raw/1") for _ in range(3)]

    page = (await served.get("/builds", page_size=2, status="COMPLETED")).json()
    rest = (await served.get("/builds", page_size=2, page_token=page["next_page_token"])).json()

    listed = [build["build_request_id"] for build in page["builds"] + rest["builds"]]
    assert listed == builds[::-1]
    assert rest["next_page_token"] == ""


async def test_searches_compare_text_in_the_form_of_refs(served: Served) -> None:
    await served.build("raw/caf\u00e9")

    for search in ({"prefix": "raw/cafe\u0301"}, {"contains": "fe\u0301"}):
        found = (await served.get("/partitions", **search)).json()["partitions"]
        assert [record["ref"] for record in found] == ["raw/caf\u00e9"]


async def test_partitions_are_found_by_pattern_and_status(served: Served) -> None:
    served.executor.failing = {"raw/2"}
    await served.build("raw/1", "raw/x", "day/2020-01-01..2020-01-03")
    await served.build("raw/2")

    by_pattern = (await served.get("/partitions", pattern="raw/{n:int}")).json()
    failed = (await served.get("/partitions", status="FAILED")).json()

    assert [record["ref"] for record in by_pattern["partitions"]] == ["raw/1", "raw/2"]
    assert [record["ref"] for record in failed["partitions"]] == ["raw/2"]
    assert by_pattern["counts"] == {"AVAILABLE": 5, "FAILED": 1}
    assert error_of(await served.get("/partitions", pattern="raw/{n")) == (400, "INVALID_PATTERN")


async def test_a_plan_says_what_a_build_would_do(served: Served) -> None:
    plan = (await served.post("/plans", {"partitions": ["clean/1"]})).json()

    assert [partition["reason"] for partition in plan["partitions"]] == ["REASON_MISSING", "REASON_MISSING"]
    assert served.executor.made == []


async def test_logs_are_read_downloaded_and_followed(served: Served) -> None:
    build = await served.build("raw/1")
    run = (await served.get(f"/builds/{build}/job_runs")).json()["job_runs"][0]["job_run_id"]

    piece = (await served.get(f"/job_runs/{run}/log", stream="stdout", offset=5, max_bytes=3)).json()
    whole = await served.get(f"/job_runs/{run}/log/download", stream="stdout")
    followed = await served.events(f"/job_runs/{run}/log/follow", stream="stdout")
    resumed = await served.events(f"/job_runs/{run}/log/follow", last=5, stream="stdout")

    assert (base64.b64decode(piece["data"]), piece["next_offset"], piece["ended"]) == (b"raw", "8", False)
    assert whole.content == b"made raw/1\n"
    assert whole.headers["content-disposition"] == f'attachment; filename="{run}.stdout"'
    assert [(name, kind) for name, kind, _ in followed] == [("11", "message"), (None, "end")]
    assert base64.b64decode(resumed[0][2]["data"]) == b"raw/1\n"


async def test_metrics_are_labelled_by_job_and_never_by_partition(served: Served) -> None:
    await served.build("clean/1")

    answer = await served.client.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'databuild_job_runs_total{job="//:raw",status="COMPLETED"} 1.0' in answer.text
    assert 'databuild_builds_total{status="COMPLETED"} 1.0' in answer.text
    assert "databuild_builds_running 0.0" in answer.text
    assert "raw/1" not in answer.text


async def test_the_openapi_document_has_every_route_and_is_served(served: Served) -> None:
    served_document = (await served.get("/openapi.json")).json()

    assert served_document == openapi_document()
    operations = {(method.upper(), path) for path, item in openapi_document()["paths"].items() for method in item}
    assert operations == {(route.method, PREFIX + route.path) for route in ROUTES}
    names = [operation["operationId"] for item in openapi_document()["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names))


async def test_every_reference_of_the_openapi_document_leads_somewhere() -> None:
    schemas = openapi_document()["components"]["schemas"]
    found: set[str] = set()

    def look(value: object) -> None:
        if isinstance(value, dict):
            found.update(target for key, target in value.items() if key == "$ref")
            for item in value.values():
                look(item)
        elif isinstance(value, list):
            for item in value:
                look(item)

    look(openapi_document())
    assert found <= {f"#/components/schemas/{name}" for name in schemas}


async def test_partitions_that_were_made_from_others_are_listed(served: Served) -> None:
    await served.build("clean/1", "clean/2")
    path = "/partition/downstream"

    both = (await served.get(path, partitions=["raw/1", "raw/2"], transitive="true")).json()
    first = (await served.get(path, partitions=["raw/1", "raw/2"], page_size=1)).json()
    second = (await served.get(path, partitions=["raw/1", "raw/2"], page_token=first["next_page_token"])).json()
    none = await served.get(path)
    malformed = await served.get(path, partitions="raw/1", page_token="x")

    assert [partition["ref"] for partition in both["partitions"]] == ["clean/1", "clean/2"]
    assert first["partitions"] == [
        {
            "ref": "clean/1",
            "distance": 1,
            "input": "raw/1",
            "version": first["partitions"][0]["version"],
            "status": "PARTITION_STATUS_AVAILABLE",
            "available": True,
            "query": False,
            "tainted": False,
            "input_changed": False,
        }
    ]
    assert [partition["ref"] for partition in second["partitions"]] == ["clean/2"]
    assert error_of(none) == error_of(malformed) == (400, "INVALID_REQUEST")


async def test_existing_data_is_adopted_and_used_as_it_is(served: Served) -> None:
    body = {"partitions": ["day/2020-01-01..2020-01-03", "raw/1"], "reason": "  from the old warehouse "}
    answer = await served.post("/adoptions", body, headers={"DataBuild-Author": "ann"})
    await served.build("clean/1")

    adopted = answer.json()
    assert adopted["partitions"] == ["day/2020-01-01", "day/2020-01-02", "day/2020-01-03", "raw/1"]
    record = (await served.get("/partition", ref="raw/1")).json()["record"]
    assert (record["version"], record["status"]) == (adopted["version"], "PARTITION_STATUS_AVAILABLE")
    assert (record["adoption"]["author"], record["adoption"]["reason"]) == ("ann", "from the old warehouse")
    assert served.executor.made == ["clean/1"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"partitions": ["raw/there"], "reason": "x"}, 409, "ADOPTION_REFUSED"),
        ({"partitions": ["raw/new", "raw/there"], "reason": "x"}, 409, "ADOPTION_REFUSED"),
        ({"partitions": ["nobody/1"], "reason": "x"}, 400, "UNKNOWN_PARTITION"),
        ({"partitions": ["raw/new"], "reason": " "}, 400, "INVALID_REQUEST"),
        ({"partitions": ["raw/new"]}, 400, "INVALID_REQUEST"),
        ({"reason": "x"}, 400, "INVALID_REQUEST"),
        ({"partitions": ["day/0001-01-01..9999-12-31"], "reason": "x"}, 400, "TOO_MANY_PARTITIONS"),
    ],
)
async def test_an_adoption_with_a_fault_adopts_nothing(
    served: Served, body: dict[str, object], status: int, code: str
) -> None:
    await served.build("raw/there")

    assert error_of(await served.post("/adoptions", body)) == (status, code)
    assert (await served.get("/partitions")).json()["counts"] == {"AVAILABLE": 1}


async def test_available_partitions_are_adopted_by_force(served: Served) -> None:
    await served.build("raw/1")

    answer = await served.post("/adoptions", {"partitions": ["raw/1"], "reason": "better", "force": True})

    record = (await served.get("/partition", ref="raw/1")).json()["record"]
    assert record["version"] == answer.json()["version"]


async def test_job_runs_are_paged_by_token(served: Served) -> None:
    build = await served.build("clean/1")

    first = (await served.get(f"/builds/{build}/job_runs", page_size=1)).json()
    second = (await served.get(f"/builds/{build}/job_runs", page_size=1, page_token=first["next_page_token"])).json()
    last = (await served.get(f"/builds/{build}/job_runs", page_size=1, page_token=second["next_page_token"])).json()

    assert [run["job_label"] for page in (first, second) for run in page["job_runs"]] == ["//:raw", "//:clean"]
    assert (last["job_runs"], last["next_page_token"]) == ([], "")
