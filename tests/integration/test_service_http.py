"""The service over HTTP, on a real port."""

import asyncio
import base64
import hashlib
import socket
from xml.etree import ElementTree as ET

import httpx
import pytest

from databuild.service.api.routes import EVENT_STREAM, PREFIX, ROUTES
from databuild.service.http.openapi import openapi_document
from databuild.service.resources.limits import Limits
from tests.service.served import Served, sent_events

STRANGE_REFS = [
    "raw/a/b",
    "raw/%2F%25",
    "raw/a?b=c&d",
    "raw/a#b",
    "raw/ü→𝄞",
    "raw/a+b;c,d",
    "raw/..x",
    "raw/'\"<script>",
    "raw/\\",
]


@pytest.fixture
async def serve(tmp_path):
    """Returns a function that serves, until the end of the test."""
    all_served = []

    async def serve(limits=None, **options):
        served = Served(tmp_path, limits=limits, **options)
        all_served.append(await served.start())
        return served

    yield serve
    for served in all_served:
        await served.close()


@pytest.fixture
async def served(serve):
    return await serve()


def error_of(answer):
    """Returns the status and the code of an answer that has the one shape of errors."""
    assert answer.headers["content-type"] == "application/json", answer.text
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "status", "facts"}
    assert body["error"]["message"]
    return answer.status_code, body["error"]["code"]


async def test_a_build_is_submitted_watched_and_looked_at(served):
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


async def test_job_runs_are_paged_by_token(served):
    build = await served.build("clean/1")

    first = (await served.get(f"/builds/{build}/job_runs", page_size=1)).json()
    second = (await served.get(f"/builds/{build}/job_runs", page_size=1, page_token=first["next_page_token"])).json()
    last = (await served.get(f"/builds/{build}/job_runs", page_size=1, page_token=second["next_page_token"])).json()

    assert [run["job_label"] for page in (first, second) for run in page["job_runs"]] == ["//:raw", "//:clean"]
    assert (last["job_runs"], last["next_page_token"]) == ([], "")


async def test_the_job_graph_of_a_build_is_drawn_with_a_style_that_browsers_allow(served):
    build = await served.build("clean/1")

    answer = await served.get(f"/builds/{build}/graph.svg")

    assert answer.headers["content-type"] == "image/svg+xml"
    picture = ET.fromstring(answer.text)
    svg = "{http://www.w3.org/2000/svg}"
    nodes = [node for node in picture.iter(f"{svg}g") if node.get("class") == "node state-completed"]
    assert [node.findtext(f"{svg}title") for node in nodes] == ["//:raw: raw/1 (done)", "//:clean: clean/1 (done)"]
    digest = hashlib.sha256(picture.findtext(f"{svg}style").encode()).digest()
    source = f"'sha256-{base64.b64encode(digest).decode()}'"
    assert f"default-src 'none'; style-src {source};" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("by", ["header", "query"])
async def test_watching_resumes_without_gap_or_double(served, by):
    build = await served.build("clean/1")
    everything = await served.events(f"/builds/{build}/watch")

    for after in (1, 7, len(everything) - 1, len(everything) + 3):
        if by == "header":
            rest = await served.events(f"/builds/{build}/watch", last=after)
        else:
            rest = await served.events(f"/builds/{build}/watch", after_sequence=after)
        assert rest == (everything[after:] or everything[-1:])


async def test_a_watcher_that_was_cut_off_goes_on_where_it_was(served):
    gate = served.executor.gate("raw/1")
    answer = await served.post("/builds", {"partitions": ["clean/1"]})
    build = answer.json()["build_request_id"]
    async with served.client.stream("GET", f"/api/v1/builds/{build}/watch") as watching:
        seen = []
        async for event in sent_events(watching):
            seen.append(event)
            if len(seen) == 3:
                break

    gate.open()
    seen += await served.events(f"/builds/{build}/watch", last=seen[-1][0])

    assert [name for name, _, _ in seen[:-1]] == [str(number) for number in range(1, len(seen))]
    assert seen[-1][1] == "end"


async def test_the_same_request_starts_nothing_new_and_another_is_a_conflict(served):
    body = {"build_request_id": "b", "partitions": ["raw/1"]}
    first = await served.post("/builds", body)
    again = await served.post("/builds", body)
    other = await served.post("/builds", {**body, "options": {"keep_going": True}})

    assert first.json()["build_request_id"] == again.json()["build_request_id"] == "b"
    assert error_of(other) == (409, "BUILD_CONFLICT")
    assert len((await served.get("/builds")).json()["builds"]) == 1


async def test_a_build_is_cancelled_and_retried(served):
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


async def test_builds_are_listed_page_by_page(served):
    builds = [await served.build("raw/1") for _ in range(3)]

    page = (await served.get("/builds", page_size=2, status="COMPLETED")).json()
    rest = (await served.get("/builds", page_size=2, page_token=page["next_page_token"])).json()

    listed = [build["build_request_id"] for build in page["builds"] + rest["builds"]]
    assert listed == builds[::-1]
    assert rest["next_page_token"] == ""


@pytest.mark.parametrize("ref", ["raw/..", "raw/a/../../b", "raw/a//b", "raw/", "raw/cafe\u0301"])
async def test_a_ref_with_another_spelling_is_refused_wherever_one_is_named(served, ref):
    answers = [
        await served.get("/partition", ref=ref),
        await served.get("/partition/explanation", ref=ref),
        await served.get("/partition/lineage", ref=ref),
        await served.get("/partition/lineage", ref=ref, direction="DOWNSTREAM"),
        await served.post("/plans", {"partitions": [ref]}),
        await served.post("/builds", {"partitions": [ref]}),
        await served.post("/taints", {"partitions": [ref]}),
    ]

    assert [answer.status_code for answer in answers] == [400] * len(answers)
    messages = [answer.json()["error"]["message"] for answer in answers]
    assert [message for message in messages if "is not a partition ref" not in message] == []


async def test_what_is_searched_for_is_compared_in_the_form_of_refs(served):
    await served.build("raw/caf\u00e9")

    for search in ({"prefix": "raw/cafe\u0301"}, {"contains": "fe\u0301"}):
        found = (await served.get("/partitions", **search)).json()["partitions"]
        assert [record["ref"] for record in found] == ["raw/caf\u00e9"]


@pytest.mark.parametrize("ref", STRANGE_REFS)
async def test_a_ref_survives_every_address_whatever_is_in_it(served, ref):
    build = await served.build(ref)
    clean = ref.replace("raw/", "clean/")
    await served.build(clean)

    detail = (await served.get("/partition", ref=ref)).json()
    explained = (await served.get("/partition/explanation", ref=ref)).json()
    lineage = (await served.get("/partition/lineage", ref=clean)).json()
    found = (await served.get("/partitions", prefix=ref, contains=ref)).json()
    tainted = (await served.post("/taints", {"partitions": [ref], "reason": ref})).json()
    summary = (await served.get(f"/builds/{build}")).json()

    assert (detail["ref"], detail["record"]["ref"], detail["job_label"]) == (ref, ref, "//:raw")
    assert explained["planned"]["reason"] == "REASON_UP_TO_DATE"
    assert [(edge["input"], edge["output"]) for edge in lineage["edges"]] == [(ref, clean)]
    assert [record["ref"] for record in found["partitions"]] == [ref]
    assert tainted["partitions"] == [ref]
    assert (await served.get("/partition", ref=ref)).json()["record"]["taint_reason"] == f"anonymous: {ref}"
    assert summary["requested"] == [{"str": ref}]


@pytest.mark.parametrize("ref", ["raw/a b", "raw/a\nb", "raw/\x00", "raw/\t", "", "-raw", "raw/" + "x" * 2000])
async def test_what_is_no_ref_is_refused_in_the_one_shape(served, ref):
    assert error_of(await served.get("/partition", ref=ref)) == (400, "INVALID_REQUEST")
    if ref:
        assert error_of(await served.post("/builds", {"partitions": [ref]})) == (400, "INVALID_REQUEST")


async def test_partitions_are_found_by_pattern_and_status(served):
    served.executor.failing = {"raw/2"}
    await served.build("raw/1", "raw/x", "day/2020-01-01..2020-01-03")
    await served.build("raw/2")

    by_pattern = (await served.get("/partitions", pattern="raw/{n:int}")).json()
    failed = (await served.get("/partitions", status="FAILED")).json()

    assert [record["ref"] for record in by_pattern["partitions"]] == ["raw/1", "raw/2"]
    assert [record["ref"] for record in failed["partitions"]] == ["raw/2"]
    assert by_pattern["counts"] == {"AVAILABLE": 5, "FAILED": 1}
    assert error_of(await served.get("/partitions", pattern="raw/{n")) == (400, "INVALID_PATTERN")


async def test_a_plan_says_what_a_build_would_do(served):
    plan = (await served.post("/plans", {"partitions": ["clean/1"]})).json()

    assert [partition["reason"] for partition in plan["partitions"]] == ["REASON_MISSING", "REASON_MISSING"]
    assert served.executor.made == []


async def test_logs_are_read_downloaded_and_followed(served):
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


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/builds/x", 404, "BUILD_NOT_FOUND"),
        ("GET", "/builds/x/watch", 404, "BUILD_NOT_FOUND"),
        ("GET", "/builds/x/graph", 404, "BUILD_NOT_FOUND"),
        ("GET", "/builds/x/graph.svg", 404, "BUILD_NOT_FOUND"),
        ("POST", "/builds/x/cancel", 404, "BUILD_NOT_FOUND"),
        ("GET", "/job_runs/x.1.1/log", 404, "JOB_RUN_NOT_FOUND"),
        ("GET", "/job_runs/x.1.1/log/follow", 404, "JOB_RUN_NOT_FOUND"),
        ("GET", "/job_runs/x.1.1/log/download", 404, "JOB_RUN_NOT_FOUND"),
        ("GET", "/job_runs/..%2f..%2fetc%2fpasswd/log", 404, "NOT_FOUND"),
        ("GET", "/job?job_label=x", 404, "JOB_NOT_FOUND"),
        ("GET", "/partition?ref=nobody/1", 400, "UNKNOWN_PARTITION"),
        ("GET", "/partition?ref=raw/1&ref=raw/2", 400, "INVALID_REQUEST"),
        ("GET", "/builds?page_size=-1", 400, "INVALID_REQUEST"),
        ("GET", "/builds?page_size=99999999999", 400, "INVALID_REQUEST"),
        ("GET", "/builds?page_size=x", 400, "INVALID_REQUEST"),
        ("GET", "/builds/x/job_runs?page_token=x", 400, "INVALID_REQUEST"),
        ("GET", "/builds/x/job_runs?page_token=4294967296", 400, "INVALID_REQUEST"),
        ("GET", "/builds/x/events?after_sequence=9223372036854775808", 400, "INVALID_REQUEST"),
        ("GET", f"/builds/x/watch?after_sequence={'9' * 5000}", 400, "INVALID_REQUEST"),
        ("GET", "/builds?status=GOOD", 400, "INVALID_REQUEST"),
        ("GET", "/builds?nonsense=1", 400, "INVALID_REQUEST"),
        ("GET", "/partitions?tainted=maybe", 400, "INVALID_REQUEST"),
        ("GET", "/partition/explanation?ref=raw/refused", 422, "JOB_CONFIGURATION"),
        ("GET", "/partition/explanation?ref=raw/broken", 500, "INTERNAL"),
        ("GET", "/nothing", 404, "NOT_FOUND"),
        ("GET", "/builds/", 404, "NOT_FOUND"),
        ("DELETE", "/builds/x", 405, "METHOD_NOT_ALLOWED"),
        ("OPTIONS", "/builds", 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_each_error_has_its_status_and_the_one_shape(served, method, path, status, code):
    served.executor.refused = {"raw/refused"}
    served.executor.broken = {"raw/broken"}

    answer = await served.client.request(method, f"/api/v1{path}")

    assert error_of(answer) == (status, code)
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b'{"nonsense": 1}', "application/json", 400),
        (b'{"partitions": 1}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"a=b", "application/x-www-form-urlencoded", 415),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(served, body, kind, status):
    answer = await served.client.post("/api/v1/builds", content=body, headers={"Content-Type": kind})

    assert error_of(answer)[0] == status
    assert (await served.get("/builds")).json()["builds"] == []


async def test_a_body_that_is_too_large_is_refused(serve):
    served = await serve(Limits(max_request_bytes=1000))

    async def pieces():
        for _ in range(10):
            yield b" " * 500

    told = await served.post("/builds", {"partitions": ["raw/1"] * 1000})
    untold = await served.client.post("/api/v1/builds", content=pieces(), headers={"Content-Type": "application/json"})

    assert error_of(told) == error_of(untold) == (413, "REQUEST_TOO_LARGE")


async def test_too_many_partitions_are_refused(serve):
    served = await serve(Limits(max_partitions=10))

    answer = await served.post("/builds", {"partitions": ["day/0001-01-01..9999-12-31"]})

    assert error_of(answer) == (400, "TOO_MANY_PARTITIONS")


async def test_too_many_waiting_builds_are_refused(serve):
    served = await serve(Limits(max_builds=1, max_queued_builds=1))
    served.executor.gate("raw/1")
    answers = [await served.post("/builds", {"partitions": [f"raw/{number}"]}) for number in (1, 2, 3)]

    assert [answer.status_code for answer in answers[:2]] == [200, 200]
    assert answers[1].json()["build"]["queue_position"] == 1
    assert error_of(answers[2]) == (429, "OVERLOADED")


async def test_too_many_requests_at_once_are_refused(serve):
    served = await serve(Limits(max_requests=2))
    served.executor.gate("raw/1")
    await served.post("/builds", {"partitions": ["raw/1"], "build_request_id": "b"})
    path = "/api/v1/builds/b/watch"
    async with served.client.stream("GET", path) as one, served.client.stream("GET", path) as other:
        assert (one.status_code, other.status_code) == (200, 200)

        assert error_of(await served.get("/builds")) == (429, "OVERLOADED")


async def test_connections_beyond_the_limit_are_told_so_and_closed(serve):
    served = await serve(Limits(max_connections=1))
    await served.get("/builds")  # its connection stays open
    async with httpx.AsyncClient(base_url=served.http) as other:
        assert error_of(await other.get("/api/v1/builds")) == (429, "OVERLOADED")

    assert (await served.get("/builds")).status_code == 200


async def test_an_answer_that_takes_too_long_is_given_up(serve):
    served = await serve(Limits(answer_timeout_seconds=0.05))
    served.executor.hangs = True

    answer = await served.post("/plans")

    assert error_of(answer) == (504, "DEADLINE_EXCEEDED")


async def test_metrics_are_labelled_by_job_and_never_by_partition(served):
    await served.build("clean/1")

    answer = await served.client.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'databuild_job_runs_total{job="//:raw",status="COMPLETED"} 1.0' in answer.text
    assert 'databuild_builds_total{status="COMPLETED"} 1.0' in answer.text
    assert "databuild_builds_running 0.0" in answer.text
    assert "raw/1" not in answer.text


async def test_the_openapi_document_has_every_route_and_is_served(served):
    served_document = (await served.get("/openapi.json")).json()

    assert served_document == openapi_document()
    operations = {(method.upper(), path) for path, item in openapi_document()["paths"].items() for method in item}
    assert operations == {(route.method, PREFIX + route.path) for route in ROUTES}
    names = [operation["operationId"] for item in openapi_document()["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names))


async def test_every_reference_of_the_openapi_document_leads_somewhere():
    schemas = openapi_document()["components"]["schemas"]
    found = set()

    def look(value):
        if isinstance(value, dict):
            found.update(target for key, target in value.items() if key == "$ref")
            for item in value.values():
                look(item)
        elif isinstance(value, list):
            for item in value:
                look(item)

    look(openapi_document())
    assert found <= {f"#/components/schemas/{name}" for name in schemas}


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.media_type != EVENT_STREAM], ids=lambda route: route.path
)
async def test_no_answer_is_kept_or_taken_for_something_else(served, route):
    path = route.path.replace("{build_request_id}", "x").replace("{job_run_id}", "x")

    answer = await served.client.request(route.method, f"/api/v1{path}")

    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_who_reads_too_slowly_holds_up_nobody_and_is_let_go(serve, caplog):
    served = await serve(Limits(send_timeout_seconds=2.0))
    refs = [f"raw/{'x' * 900}{number}" for number in range(1500)]  # more than the kernel keeps for a connection
    build = await served.build(*refs, options={"jobs": 20})
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.setblocking(False)
    port = int(served.http.rpartition(":")[2])
    await asyncio.get_running_loop().sock_connect(slow, ("127.0.0.1", port))
    _, writer = await asyncio.open_connection(sock=slow, limit=1024)
    writer.write(f"GET /api/v1/builds/{build}/watch HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    await writer.drain()

    assert (await served.events(f"/builds/{build}/watch"))[-1][1] == "end"

    while "databuild_watchers 0.0" not in (await served.client.get("/metrics")).text:
        await asyncio.sleep(0.05)  # reads nothing meanwhile
    while f"the response to GET /api/v1/builds/{build}/watch is truncated" not in caplog.text:
        await asyncio.sleep(0.05)
    writer.close()


async def test_watchers_of_one_build_all_see_all_of_it(served):
    gate = served.executor.gate("raw/1")
    await served.post("/builds", {"partitions": ["clean/1"], "build_request_id": "b"})
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=served.http, trust_env=False, limits=limits, timeout=30) as client:

        async def watch():
            async with client.stream("GET", "/api/v1/builds/b/watch") as answer:
                return [name async for name, _, _ in sent_events(answer)]

        watchers = [asyncio.create_task(watch()) for _ in range(100)]
        await gate.reached.wait()
        gate.open()
        seen = await asyncio.gather(*watchers)

    assert {tuple(ids) for ids in seen} == {(*(str(number) for number in range(1, len(seen[0]))), None)}


async def test_what_was_not_built_here_is_adopted_and_used_as_it_is(served):
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
async def test_what_cannot_be_adopted_is_refused_and_nothing_is(served, body, status, code):
    await served.build("raw/there")

    assert error_of(await served.post("/adoptions", body)) == (status, code)
    assert (await served.get("/partitions")).json()["counts"] == {"AVAILABLE": 1}


async def test_what_is_there_already_is_adopted_by_force(served):
    await served.build("raw/1")

    answer = await served.post("/adoptions", {"partitions": ["raw/1"], "reason": "better", "force": True})

    record = (await served.get("/partition", ref="raw/1")).json()["record"]
    assert record["version"] == answer.json()["version"]
