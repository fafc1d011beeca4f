"""The page of the whole graph and those of its jobs, as a browser without JavaScript uses them."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType
from xml.etree import ElementTree as ET

import httpx
import pytest

from databuild.graph.catalog import Job, JobCatalog, RetryPolicy
from databuild.graph.declared.declaration import Declaration
from tests.support.build_world import NO_RETRIES
from tests.support.drawn import SVG, of_class, titles
from tests.support.present import present
from tests.support.served import Served

REPORT = Declaration(
    inputs=("day/{month.dates}",),
    optional_inputs=("report/{month-1}",),
    query_inputs=("votes/{month}/{*}", "raw/<b>&{month}"),
    args=("--year={month.year}",),
    bounds={"month": "2013-01..2013-12"},
    batch_size=3,
    batch_by="{month.year}",
)
DAYS = "day/2013-01-01..2013-01-31"


def job(
    label: str,
    *outputs: str,
    timeout_seconds: float | None = None,
    retry: RetryPolicy = NO_RETRIES,
    resources: Mapping[str, int] = MappingProxyType({}),
    declaration: Declaration | None = None,
) -> Job:
    return Job(
        label=label,
        executable=label,
        outputs=outputs,
        code_digest="1",
        timeout_seconds=timeout_seconds,
        retry=retry,
        resources=resources,
        declaration=declaration,
    )


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    jobs = (
        job("//:day", "day/{date:date}", timeout_seconds=90.0, retry=RetryPolicy(retries=2), resources={"memory": 4}),
        job("//:report", "report/{month:month}", declaration=REPORT),
    )
    graph = JobCatalog(graph_label="//:g", jobs={job.label: job for job in jobs}, resources={"memory": 8})
    served = await Served(tmp_path, jobs=graph).start()
    yield served
    await served.close()


def shown(page: httpx.Response) -> str:
    """Returns the text of a page without markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


def drawing(page: httpx.Response) -> ET.Element:
    """Returns the picture of a page."""
    return ET.fromstring(
        present(re.search(r'<svg xmlns[^>]*class="drawing whole-graph".*?</svg>', page.text, re.DOTALL))[0]
    )


async def test_the_dashboard_begins_with_the_graph_and_each_job_leads_to_its_page(served: Served) -> None:
    page = await served.client.get("/")

    root = drawing(page)
    links = {
        present(link.findtext(f"{SVG}title")).partition(": ")[0]: link.get("href") for link in root.iter(f"{SVG}a")
    }
    assert links == {"//:day": "/job?label=%2F%2F%3Aday", "//:report": "/job?label=%2F%2F%3Areport"}
    assert titles(of_class(root, "mapping")) == [
        "//:day to //:report: {month.dates}",
        "raw/<b>&{month} to //:report: {month} query",
        "votes/{month}/{*} to //:report: {month}, {*} query",
    ]
    assert re.search(r'<nav aria-label="Pages">\s*<a href="/" aria-current="page">Graph</a>', page.text)
    assert "<h1>Graph</h1>" in page.text
    for label, address in links.items():
        assert label in shown(await served.client.get(present(address)))


async def test_the_graph_has_the_states_of_the_partitions_of_each_job(served: Served) -> None:
    served.executor.failing.add("day/2013-01-02")
    await served.build("day/2013-01-01..2013-01-04", options={"keep_going": True})
    await served.post("/taints", {"partitions": ["day/2013-01-03"], "reason": "wrong"})

    page = await served.client.get("/")

    root = drawing(page)
    assert titles(of_class(root, "state-failed")) == [
        "//:day: day/{date:date}; inputs known when planned; 1 failed, 1 tainted, 2 available"
    ]
    assert titles(of_class(root, "state-missing"))[0].endswith("no partitions")
    assert 'id="graph" data-part' in page.text


async def test_the_page_of_a_job_has_its_declaration(served: Served) -> None:
    page = await served.client.get("/job", params={"label": "//:report"})

    text = shown(page)
    for part in (
        "Outputs report/{month:month}",
        "Inputs day/{month.dates}",
        "Optional inputs report/{month-1}",
        "Query inputs votes/{month}/{*} raw/<b>&{month}",
        "Arguments --year={month.year}",
        "Bounds month: 2013-01..2013-12",
        "Batches at most 3 outputs with one value of {month.year}",
        "This job has not run yet.",
    ):
        assert part in text, part
    assert "<b>" not in page.text
    assert "calendar" not in page.text


async def test_the_page_of_a_job_has_its_limits_a_calendar_and_its_runs(served: Served) -> None:
    served.executor.failing.add("day/2013-01-31")
    await served.build(DAYS, "day/2012-12-31", options={"keep_going": True})

    page = await served.client.get("/job", params={"label": "//:day"})
    earlier = await served.client.get("/job", params={"label": "//:day", "year": "2012"})

    text = shown(page)
    assert "Inputs known when planned, from config" in text
    assert "Timeout 1 min 30 s" in text
    assert "Retries 2" in text
    assert "Resources memory: 4" in text
    assert "31 days: 1 failed, 30 available" in text
    assert "1 day: 1 available" in shown(earlier)
    years = present(re.search(r'<nav class="row years".*?</nav>', page.text, re.DOTALL))[0]
    assert re.findall(r'href="([^"]*)"', years) == [
        "/job?label=%2F%2F%3Aday&amp;year=2013",
        "/job?label=%2F%2F%3Aday&amp;year=2012",
    ]
    assert "Recent runs" in text
    assert "failed" in text
