"""Reports about builds, as the dashboard offers them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from databuild.orchestration.logs.log_files import log_path
from databuild.service.access.auth import read_tokens
from tests.support.present import present
from tests.support.served import Served

HOSTILE = "raw/<script>alert(1)</script>'\"&{{7*7}}"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    served = await Served(tmp_path).start()
    yield served
    await served.close()


async def test_the_page_of_a_build_links_to_its_report_in_each_format(served: Served) -> None:
    build = await served.build("clean/1")
    page = await served.client.get(f"/builds/{build}")

    links = re.findall(r'<a href="(/builds/[^"]*/report\.\w+)">', page.text)
    assert [link.rpartition(".")[2] for link in links] == ["html", "md", "xml", "json"]
    for link in links:
        answer = await served.client.get(link)
        assert (answer.status_code, build in answer.text) == (200, True)


@pytest.mark.parametrize(
    ("ending", "media_type", "disposition"),
    [
        ("html", "text/html; charset=utf-8", "inline"),
        ("md", "text/markdown; charset=utf-8", "attachment"),
        ("xml", "application/xml; charset=utf-8", "attachment"),
        ("json", "application/json", "attachment"),
    ],
)
async def test_a_report_has_its_media_type_and_a_policy_that_allows_no_script(
    served: Served, ending: str, media_type: str, disposition: str
) -> None:
    served.executor.failing.add(HOSTILE)
    build = await served.build(HOSTILE)
    answer = await served.client.get(f"/builds/latest/report.{ending}")

    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-disposition"] == f'{disposition}; filename="build-{build}.{ending}"'
    policy = answer.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "frame-ancestors 'none'", "sandbox"} <= set(policy)
    assert not any(directive.startswith("script-src") for directive in policy)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert ("<script" in answer.text) == (ending in {"md", "json"})


async def test_a_report_quotes_the_log_of_a_failed_job_run(served: Served, tmp_path: Path) -> None:
    served.executor.failing.add("raw/1")
    build = await served.build("raw/1")
    run = present(served.log.reader().job_run(f"{build}.1.1"))
    path = Path(log_path(f"{tmp_path}/logs", run, "stderr"))
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x" * 10_000 + b"the \xff end \xed\xa0\x80")

    text = (await served.client.get(f"/builds/{build}/report.xml")).text
    quoted = present(ET.fromstring(text).findtext(".//system-err"))
    assert quoted.endswith("the \ufffd end \ufffd\ufffd\ufffd")
    assert len(quoted) < 8193
    report = (await served.client.get(f"/builds/{build}/report.json")).json()
    assert report["tasks"][0]["runs"][0]["stderr_tail"].endswith("end \ufffd\ufffd\ufffd")


async def test_a_build_that_runs_has_a_report(served: Served) -> None:
    gate = served.executor.gate("raw/1")
    await served.post("/builds", {"partitions": ["raw/1"], "build_request_id": "one"})
    await gate.reached.wait()

    report = json.loads((await served.client.get("/builds/one/report.json")).text)
    assert report["build"]["status"] == "EXECUTING"


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/builds/none/report.html", 404, "none"),
        ("/builds/latest/report.pdf", 404, "there is no report.pdf; there are report.md, report.xml"),
    ],
)
async def test_a_report_that_does_not_exist_is_an_error_page(served: Served, path: str, status: int, said: str) -> None:
    await served.build("raw/1")
    answer = await served.client.get(path)
    assert (answer.status_code, said in answer.text) == (status, True)


async def test_a_pruned_build_has_no_report_and_no_link(served: Served) -> None:
    build = await served.build("raw/1")
    await served.post("/prunings", {"keep": 0})

    assert "report.html" not in (await served.client.get(f"/builds/{build}")).text
    answer = await served.client.get(f"/builds/{build}/report.html")
    assert "no report can be made" in answer.text
    assert answer.status_code >= 400


async def test_a_report_needs_a_session_or_a_token(tmp_path: Path) -> None:
    token = "r" * 32
    served = await Served(tmp_path, tokens=read_tokens(f"ci read {token}\nada write {'w' * 32}", "tokens")).start()
    try:
        headers = {"Authorization": f"Bearer {'w' * 32}"}
        build = await served.post("/builds", {"partitions": ["raw/1"], "build_request_id": "one"}, headers=headers)
        assert build.status_code == 200
        refused = await served.client.get("/builds/one/report.json")
        answer = await served.client.get("/builds/one/report.json", headers={"Authorization": f"Bearer {token}"})
    finally:
        await served.close()
    assert refused.status_code == 303
    assert refused.headers["location"].startswith("/sign_in?next=")
    assert answer.json()["build"]["build_request_id"] == "one"
