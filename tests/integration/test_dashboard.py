"""The dashboard over HTTP, as a browser without JavaScript uses it."""

from __future__ import annotations

import html
import os
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from databuild.graph.catalog import RetryPolicy
from databuild.job.locations import file_uri, size_and_version
from databuild.orchestration.maintenance.operations import operation
from databuild.service.access.auth import read_tokens
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.support.present import present
from tests.support.served import Serve, Served, sent_events, services
from tests.support.waiting import until
from tests.support.world import catalog

HOSTILE = "raw/<script>alert(1)</script>'\"&{{7*7}}"
PAGES = [
    "/",
    "/builds",
    "/builds?status=FAILED",
    "/partitions",
    "/partitions?q=raw/&status=failed",
    "/jobs",
    "/environments",
]
READ, WRITE = "r" * 32, "w" * 32


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Starts services, which are closed after the test."""
    async with services(tmp_path) as serve:
        yield serve


@pytest.fixture
async def served(serve: Serve) -> Served:
    return await serve()


def csrf_token(page: httpx.Response) -> str:
    return present(re.search(r'name="csrf_token" value="([0-9a-f]{64})"', page.text))[1]


def fields(page: httpx.Response, action: str) -> dict[str, str]:
    """Returns the hidden fields of the form of a page with the given action."""
    form = present(re.search(rf'<form[^>]*action="{re.escape(action)}".*?</form>', page.text, re.DOTALL))[0]
    hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form)
    return {html.unescape(name): html.unescape(value) for name, value in hidden}


def shown(page: httpx.Response) -> str:
    """Returns the text of a page without markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


async def test_every_page_shows_its_records(served: Served) -> None:
    build = await served.build("clean/1")
    served.executor.failing.add("raw/2")
    failed = await served.build("clean/2")

    texts = {path: shown(await served.client.get(path)) for path in PAGES}

    assert "2 ✓ available" in texts["/"]
    assert build in texts["/"]
    assert failed in texts["/builds?status=FAILED"]
    assert build not in texts["/builds?status=FAILED"]
    assert "clean/1" in texts["/partitions"]
    assert "raw/2 ✕ failed" in texts["/partitions?q=raw/&status=failed"]
    assert "raw/1" not in texts["/partitions?q=raw/&status=failed"]
    assert "50 % of 2 1 failed" in texts["/jobs"]
    page = shown(await served.client.get(f"/builds/{build}"))
    assert "✓ completed" in page
    assert "2 of 2" in page
    assert re.search(r"\.1\.1 //:raw raw/1 ✓ completed", page)
    partition = shown(await served.client.get("/partition", params={"ref": "clean/1", "why": "1"}))
    assert "Do not build : up to date" in partition
    assert "Inputs raw/1" in partition
    source = shown(await served.client.get("/partition", params={"ref": "raw/1"}))
    assert "Used by clean/1" in source
    job = await served.client.get("/job", params={"label": "//:raw"})
    assert "Durations of the last 2 runs" in job.text
    assert "made raw/1" in shown(await served.client.get(f"/job_runs/{build}.1.1/log", params={"stream": "stdout"}))


async def test_job_runs_of_failed_tasks_come_first_and_attempts_before_the_last_do_not(tmp_path: Path) -> None:
    jobs = catalog()
    retried = jobs.jobs["//:raw"]._replace(retry=RetryPolicy(retries=1))
    served = await Served(tmp_path, jobs=jobs._replace(jobs={**jobs.jobs, "//:raw": retried})).start()
    try:
        served.executor.failing.add("raw/1")
        build = await served.build("clean/1")

        page = shown(await served.client.get(f"/builds/{build}"))
    finally:
        await served.close()

    runs = re.findall(rf"{build}\.(\d+\.\d+) //:(\w+) (\S+) \W (\w+)", page)
    assert runs[0] == ("1.2", "raw", "raw/1", "failed")
    assert sorted(runs[1:]) == [("1.1", "raw", "raw/1", "failed"), ("2.0", "clean", "clean/1", "skipped")]


async def test_a_delegated_partition_links_to_the_other_build(served: Served) -> None:
    first = await served.build("raw/1")
    second = await served.build("raw/1")

    page = await served.client.get(f"/builds/{second}")

    assert f'delegated to build <a class="id" href="/builds/{first}">' in page.text


async def test_hostile_refs_and_messages_are_escaped(served: Served) -> None:
    served.executor.failing.add(HOSTILE)
    build = await served.build(HOSTILE)
    address = f"/partition?ref={httpx.QueryParams({'r': HOSTILE})}".replace("=r=", "=")
    paths = [*PAGES, f"/builds/{build}", address, address + "&why=1", "/job?label=//:raw", f"/job_runs/{build}.1.1/log"]

    for path in paths:
        page = await served.client.get(path)
        assert page.status_code == 200, path
        assert "<script>alert" not in page.text, path
        assert "raw/<script>alert(1)</script>" in html.unescape(page.text) or path in PAGES or "/job" in path, path
        assert "49" not in re.findall(r"\"&(49)", html.unescape(page.text)), path
        assert not re.search(r"<[^>]*\son[a-z]+=|<[^>]*\sstyle=|javascript:", page.text), path
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


async def test_a_build_is_planned_first_and_a_form_sent_twice_starts_one(served: Served) -> None:
    home = await served.client.get("/")
    plan = await served.client.post("/plan", data={"csrf_token": csrf_token(home), "partitions": "clean/1\nclean/2"})
    assert "4 tasks would run for 2 requested partitions" in shown(plan)
    assert served.executor.made == []

    form = fields(plan, "/builds") | {"keep_going": "1", "jobs": "2", "verify": "all"}
    answers = [await served.client.post("/builds", data=form) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [303, 303]
    (address,) = {answer.headers["location"] for answer in answers}
    await served.events(f"/api/v1{address}/watch".removeprefix("/api/v1"))
    assert "✓ completed" in shown(await served.client.get(address))
    assert sorted(served.executor.made) == ["clean/1", "clean/2", "raw/1", "raw/2"]
    event = (await served.client.get(f"/api/v1{address}/events")).text
    assert "VERIFY_POLICY_ALL" in event


async def test_a_build_is_cancelled_and_retried(served: Served) -> None:
    gate = served.executor.gate("raw/1")
    await served.post("/builds", {"partitions": ["clean/1"], "build_request_id": "one"})
    await gate.reached.wait()
    page = await served.client.get("/builds/one")
    assert "data-changes" in page.text

    answer = await served.client.post("/builds/one/cancel", data=fields(page, "/builds/one/cancel"))
    assert answer.headers["location"] == "/builds/one"
    await served.events("/builds/one/watch")
    page = await served.client.get("/builds/one")
    assert "⊘ cancelled" in shown(page)
    assert "data-changes" not in page.text
    served.executor.gates.clear()
    answer = await served.client.post("/builds/one/retry", data=fields(page, "/builds/one/retry"))

    address = answer.headers["location"]
    await served.events(f"{address}/watch")
    text = shown(await served.client.get(address))
    assert "✓ completed" in text
    assert "Retry of one" in text


async def test_a_partition_is_tainted_and_untainted(served: Served) -> None:
    await served.build("raw/1")
    page = await served.client.get("/partition", params={"ref": "raw/1"})
    form = fields(page, "/partition/taint")

    answer = await served.client.post("/partition/taint", data=form | {"reason": "a <b>sensor</b> was broken"})
    page = await served.client.get(answer.headers["location"])
    assert "! tainted" in shown(page)
    assert "&lt;b&gt;sensor&lt;/b&gt;" in page.text
    answer = await served.client.post(
        "/partition/taint", data=fields(page, "/partition/taint") | {"reason": "repaired"}
    )

    assert "tainted" not in shown(await served.client.get(answer.headers["location"])).partition("Taint Reason")[0]


async def test_data_is_forgotten(served: Served) -> None:
    await served.build("raw/1")
    page = await served.client.get("/partition", params={"ref": "raw/1"})
    assert "/partition/delete" not in page.text  # its place is not known
    form = fields(page, "/partition/forget")

    answer = await served.client.post("/partition/forget", data=form | {"reason": "a <b>sensor</b> was broken"})
    page = await served.client.get(answer.headers["location"])

    assert "raw/1 · forgotten" in shown(page)
    assert "Forgotten by" in shown(page)
    assert "&lt;b&gt;sensor&lt;/b&gt;" in page.text
    assert "/partition/forget" not in page.text
    listed = await served.client.get("/partitions")
    assert re.search(r"raw/1 \W forgotten", shown(listed))
    assert not re.search(r'href="/builds/[^"?]', listed.text)  # an operation is no build


async def test_data_is_deleted_after_a_confirmation(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("data")
    size, version = size_and_version(path)
    adoption = ev.AdoptionEvent(partitions=[pt.PartitionRef(str="raw/1")], author="ann", reason="moved")
    place = pt.Location(uri=file_uri(path), size_bytes=size, version=version)
    adoption.records.add(ref="raw/1", version="1", location=place)
    await served.log.append([operation(time.time, adoption=adoption)])
    page = await served.client.get("/partition", params={"ref": "raw/1"})
    form = fields(page, "/partition/delete") | {"reason": "old"}
    answer = await served.client.post("/partition/delete", data=form)
    assert answer.status_code == 400
    assert "confirm the deletion by its check box" in shown(answer)
    path.write_text("other")
    answer = await served.client.post("/partition/delete", data=form | {"confirmed": "1"})
    assert "was changed since it was made" in shown(answer)
    path.write_text("data")
    os.utime(path, ns=(int(version.partition(".")[0]),) * 2)
    answer = await served.client.post("/partition/delete", data=form | {"confirmed": "1"})

    assert "raw/1 · deleted" in shown(await served.client.get(answer.headers["location"]))
    assert not path.exists()


@pytest.mark.parametrize(
    "path",
    [
        "/plan",
        "/builds",
        "/builds/one/cancel",
        "/builds/one/retry",
        "/partition/taint",
        "/partition/forget",
        "/partition/delete",
    ],
)
async def test_a_form_without_the_csrf_token_of_the_session_is_refused(served: Served, path: str) -> None:
    (await served.client.get("/")).raise_for_status()
    stranger = httpx.AsyncClient(base_url=served.http, trust_env=False)
    foreign = csrf_token(await stranger.get("/"))
    await stranger.aclose()

    for form in ({}, {"csrf_token": ""}, {"csrf_token": "ü"}, {"csrf_token": foreign}):
        answer = await served.client.post(path, data={"partitions": "raw/1", "ref": "raw/1", **form})
        assert answer.status_code == 403
        assert "reload the page" in shown(answer)
    answer = await served.client.post(path, json={"csrf_token": csrf_token(await served.client.get("/"))})
    assert answer.status_code == 415
    assert served.executor.made == []


async def test_errors_are_pages_with_their_message(served: Served) -> None:
    for path, status, text in (
        ("/builds/none", 404, "none"),
        ("/nothing/here", 404, "there is no page '/nothing/here'"),
        ("/partition?ref=unheard/of", 400, "unheard/of"),
        ("/job?label=//:none", 404, "//:none"),
        ("/job_runs/a.1.1/log", 404, "a.1.1"),
        ("/job_runs/..%2f..%2fetc.1.1/log", 404, "..."),
        ("/builds?status=odd", 400, "'ODD' is not a status"),
        ("/partitions?status=odd", 400, "'ODD' is not a status"),
    ):
        page = await served.client.get(path)
        assert page.status_code == status, path
        assert page.headers["content-type"].startswith("text/html")
        assert text in shown(page) or text == "...", path
    assert (await served.client.get("/api/v1/nothing")).json()["error"]["code"] == "NOT_FOUND"
    assert (await served.client.get("/static/..%2Fapp.py")).status_code == 404


async def test_the_stream_of_changes_ends_with_the_build(served: Served) -> None:
    gate = served.executor.gate("raw/1")
    await served.post("/builds", {"partitions": ["raw/1"], "build_request_id": "one"})
    await gate.reached.wait()

    async with served.client.stream("GET", "/builds/one/changes?after=0", timeout=20) as answer:
        events = sent_events(answer)
        first = await anext(events)
        gate.open()
        rest = [event async for event in events]

    assert first[1] == "message"
    assert [kind for _, kind, _ in rest][-1] == "end"
    last = (await served.get("/builds/one")).json()["last_sequence"]
    assert rest[-2][2] == last
    async with served.client.stream("GET", "/builds/one/changes", headers={"Last-Event-ID": str(last)}) as answer:
        assert [kind async for _, kind, _ in sent_events(answer)] == ["end"]


async def test_planning_progress_is_on_the_page_of_a_build_and_in_its_stream_of_changes(served: Served) -> None:
    served.executor.hangs = True
    await served.post("/builds", {"partitions": ["clean/1"], "build_request_id": "one"})

    async def planning() -> Any:
        told = (await served.get("/builds/one")).json()
        return told if told.get("planning", {}).get("configuring_jobs") else None

    told = await until(planning)
    last = told["last_sequence"]

    page = shown(await served.client.get("/builds/one"))
    async with served.client.stream("GET", f"/builds/one/changes?after={last}", timeout=20) as answer:
        assert (await anext(sent_events(answer)))[1:] == ("message", last)
    await served.post("/builds/one/cancel")

    assert told["planning"] == {"levels": 1, "partitions": 1, "config_calls": 1, "configuring_jobs": ["//:clean"]}
    assert "Planning 1 level, 1 partition considered, 1 config call, configuring //:clean" in page


async def test_warnings_and_absent_inputs_are_on_the_pages_of_plan_build_and_partition(served: Served) -> None:
    served.executor.queried["raw/1..3"] = ["outside/<b>"]
    home = await served.client.get("/")
    plan = await served.client.post("/plan", data={"partitions": "raw/1..3", "csrf_token": csrf_token(home)})
    why = await served.client.get("/partition", params={"ref": "raw/1..3", "why": "1"})
    build = await served.build("raw/1..3")
    page = await served.client.get(f"/builds/{build}")
    absent = "outside/<b>"

    for answer in (plan, page):
        assert "Warning: 'raw/1..3' is one partition, not a range" in shown(answer)
        assert "<b>" not in answer.text.replace("<b>yes</b>", "").replace("<b>1</b>", "")
    for answer in (plan, why):
        assert f"1 QUERY input does not exist: {absent} , read by raw/1..3 (no job of the graph" in shown(answer)
    assert f"a QUERY input does not exist: '{absent}', which 'raw/1..3' reads" in shown(page)
    told = (await served.get(f"/builds/{build}")).json()["warnings"]
    assert [warning.split(" ")[0] for warning in told] == ["'raw/1..3'", "a"]


async def test_a_log_is_streamed_while_it_grows(served: Served) -> None:
    gate = served.executor.gate("raw/1")
    await served.post("/builds", {"partitions": ["raw/1"], "build_request_id": "one"})
    await gate.reached.wait()

    async def recorded() -> httpx.Response | None:
        page = await served.client.get("/job_runs/one.1.1/log?stream=stdout")
        return page if page.status_code != 404 else None

    page = await until(recorded)
    (address,) = re.findall(r'data-log="([^"]*)"', present(page).text)

    async with served.client.stream(
        "GET", html.unescape(address).replace("offset=11", "offset=5"), timeout=20
    ) as answer:
        events = sent_events(answer)
        assert (await anext(events))[2] == "raw/1\n"
        gate.open()
        assert [kind async for _, kind, _ in events][-1] == "end"


async def test_a_browser_signs_in_with_a_token_and_has_its_role(serve: Serve) -> None:
    served = await serve(tokens=read_tokens(f"eva read {READ}\nada write {WRITE}", "tokens"))
    client = served.client

    answer = await client.get("/builds?status=FAILED")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign_in?next=%2Fbuilds%3Fstatus%3DFAILED"
    page = await client.get(answer.headers["location"])
    wrong = await client.post("/sign_in", data=fields(page, "/sign_in") | {"token": "x" * 32})
    assert wrong.status_code == 401
    assert "Unknown token." in shown(wrong)
    right = await client.post("/sign_in", data=fields(page, "/sign_in") | {"token": READ})
    assert right.headers["location"] == "/builds?status=FAILED"
    assert re.search("httponly.*samesite=lax", right.headers["set-cookie"].lower())
    home = await client.get("/")
    assert "Sign out eva" in shown(home)
    refused = await client.post("/builds", data={"csrf_token": csrf_token(home), "partitions": "raw/1"})
    assert refused.status_code == 403
    assert "eva has the role `read`" in shown(refused)

    await client.post("/sign_out", data={"csrf_token": csrf_token(home)})
    assert (await client.get("/")).status_code == 303
    await client.post("/sign_in", data={"token": WRITE})
    home = await client.get("/")
    answer = await client.post(
        "/builds", data={"csrf_token": csrf_token(home), "partitions": "raw/1", "build_request_id": "one"}
    )
    assert answer.headers["location"] == "/builds/one"


@pytest.mark.parametrize("address", ["//a.example", "/\\a.example", "https://a.example", "javascript:1", "/\nx"])
async def test_sign_in_redirects_only_to_this_site(serve: Serve, address: str) -> None:
    served = await serve(tokens=read_tokens(f"ada write {WRITE}", "tokens"))

    answer = await served.client.post("/sign_in", data={"token": WRITE, "next": address})

    assert answer.headers["location"] == "/"


async def test_static_files_are_cached_and_their_addresses_contain_a_hash(served: Served) -> None:
    home = await served.client.get("/")

    addresses = set(re.findall(r'(?:href|src)="(/static/[^"]*)"', home.text))

    assert {address.partition("?")[0] for address in addresses} == {
        "/static/dashboard.css",
        "/static/dashboard.js",
        "/static/drawings.css",
        "/static/icon.svg",
    }
    for address in addresses:
        answer = await served.client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert not re.search(r'(?:href|src|action)="(?!/)[^#]', home.text)


async def test_the_page_of_a_large_build_has_a_bounded_size(served: Served) -> None:
    build = await served.build("day/2020-01-01..2022-12-31")

    page = await served.client.get(f"/builds/{build}")

    assert page.status_code == 200
    assert len(page.content) < 400_000
    assert "100 of 1,096" in shown(page)


@pytest.mark.parametrize("path", ["/builds/{build}", "/partitions?q=day/"])
async def test_the_next_page_of_partitions_starts_after_the_last_row(served: Served, path: str) -> None:
    build = await served.build("day/2020-01-01..2020-05-31")
    first = await served.client.get(path.format(build=build))

    (address,) = re.findall(r'rel="next" href="([^"]*)"', first.text)
    second = await served.client.get(html.unescape(address).partition("#")[0])

    tables = [page.text.rpartition("<tbody>")[2] for page in (first, second)]
    refs = [re.findall(r'title="(day/[0-9-]*)"', table) for table in tables]
    assert (refs[0][0], refs[0][99], refs[1][0], refs[1][-1]) == (
        "day/2020-01-01",
        "day/2020-04-09",
        "day/2020-04-10",
        "day/2020-05-31",
    )
