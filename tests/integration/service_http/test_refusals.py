"""Errors and limits of the service over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from databuild.service.api.routes import EVENT_STREAM, ROUTES, Route
from databuild.service.resources.limits import Limits
from tests.support.served import Serve, Served, error_of


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
async def test_each_error_has_its_status_and_the_one_shape(
    served: Served, method: str, path: str, status: int, code: str
) -> None:
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
async def test_a_body_that_cannot_be_read_is_refused(served: Served, body: bytes, kind: str, status: int) -> None:
    answer = await served.client.post("/api/v1/builds", content=body, headers={"Content-Type": kind})

    assert error_of(answer)[0] == status
    assert (await served.get("/builds")).json()["builds"] == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"partions": []}, "it has no field 'partions'; its fields are build_request_id, partitions, options, plan, "),
        ({"options": {"plan": {"forc": True}}}, "options.plan has no field 'forc'; its fields are stale, force"),
    ],
)
async def test_an_unknown_field_of_a_body_is_named_with_the_known_ones(
    served: Served, body: dict[str, object], said: str
) -> None:
    answer = await served.post("/builds", body)

    assert answer.json()["error"]["message"].startswith(f"the body is not a valid SubmitBuildRequest: {said}")


@pytest.mark.parametrize(
    ("path", "allowed"), [("/builds", "GET, HEAD, POST"), ("/builds/x", "GET, HEAD"), ("/builds/x/cancel", "POST")]
)
async def test_a_wrong_method_is_answered_with_those_of_the_path(served: Served, path: str, allowed: str) -> None:
    answer = await served.client.delete(f"/api/v1{path}")

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_a_body_that_is_too_large_is_refused(serve: Serve) -> None:
    served = await serve(Limits(max_request_bytes=1000))

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * 500

    told = await served.post("/builds", {"partitions": ["raw/1"] * 1000})
    untold = await served.client.post("/api/v1/builds", content=pieces(), headers={"Content-Type": "application/json"})

    assert error_of(told) == error_of(untold) == (413, "REQUEST_TOO_LARGE")


async def test_too_many_partitions_are_refused(serve: Serve) -> None:
    served = await serve(Limits(max_partitions=10))

    answer = await served.post("/builds", {"partitions": ["day/0001-01-01..9999-12-31"]})

    assert error_of(answer) == (400, "TOO_MANY_PARTITIONS")


async def test_too_many_waiting_builds_are_refused(serve: Serve) -> None:
    served = await serve(Limits(max_builds=1, max_queued_builds=1))
    served.executor.gate("raw/1")
    answers = [await served.post("/builds", {"partitions": [f"raw/{number}"]}) for number in (1, 2, 3)]

    assert [answer.status_code for answer in answers[:2]] == [200, 200]
    assert answers[1].json()["build"]["queue_position"] == 1
    assert error_of(answers[2]) == (429, "OVERLOADED")


async def test_too_many_requests_at_once_are_refused(serve: Serve) -> None:
    served = await serve(Limits(max_requests=2))
    served.executor.gate("raw/1")
    await served.post("/builds", {"partitions": ["raw/1"], "build_request_id": "b"})
    path = "/api/v1/builds/b/watch"
    async with served.client.stream("GET", path) as one, served.client.stream("GET", path) as other:
        assert (one.status_code, other.status_code) == (200, 200)

        assert error_of(await served.get("/builds")) == (429, "OVERLOADED")


async def test_connections_beyond_the_limit_are_told_so_and_closed(serve: Serve) -> None:
    served = await serve(Limits(max_connections=1))
    await served.get("/builds")  # its connection stays open
    async with httpx.AsyncClient(base_url=served.http) as other:
        assert error_of(await other.get("/api/v1/builds")) == (429, "OVERLOADED")

    assert (await served.get("/builds")).status_code == 200


async def test_an_answer_that_takes_too_long_is_given_up(serve: Serve) -> None:
    served = await serve(Limits(answer_timeout_seconds=0.05))
    served.executor.hangs = True

    answer = await served.post("/plans")

    assert error_of(answer) == (504, "DEADLINE_EXCEEDED")


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.media_type != EVENT_STREAM], ids=lambda route: route.path
)
async def test_no_answer_is_kept_or_taken_for_something_else(served: Served, route: Route) -> None:
    path = route.path.replace("{build_request_id}", "x").replace("{job_run_id}", "x")

    answer = await served.client.request(route.method, f"/api/v1{path}")

    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not [name for name in answer.headers if name.startswith("access-control-")]
