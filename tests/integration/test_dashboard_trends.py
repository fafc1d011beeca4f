"""Trends, typed metadata, checks and previews: over HTTP, as pages and as JSON, and in the client."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from databuild.client import DatabuildClient
from databuild.job import link, markdown
from databuild.job.locations import file_uri
from databuild.service.resources.limits import Limits
from tests.support.pictures import png
from tests.support.reported_days import JOB, dated_catalog, day, report_days
from tests.support.served import Served

_ROWS = [100.0, 101, 99, 100, 98, 102, 100, 0, 101, 62]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    served = await Served(tmp_path, jobs=dated_catalog({"duckdb": []})).start()
    yield served
    await served.close()


def shown(page: httpx.Response) -> str:
    """Returns the text of a page without markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


async def test_a_partition_is_compared_with_those_before_it(served: Served) -> None:
    await report_days(served.log, _ROWS, notes=markdown("**late** <b>x</b>"), page=link("https://example.org/", "x"))
    page = await served.client.get("/partition", params={"ref": day(9)})
    text = shown(page)

    assert "rows: 62, 38 % below the median of the last 9: an outlier" in text
    assert "read: 124 bytes" in text
    assert f"Changed since {day(8)} : column n was INTEGER and is BIGINT" in text
    assert "<strong>late</strong> &lt;b&gt;x&lt;/b&gt;" in page.text
    assert '<a href="https://example.org/" rel="noopener noreferrer nofollow">x</a>' in page.text
    assert page.text.count('class="drawing plot"') == 3
    assert "As in day/2026-01-01" in shown(await served.client.get("/partition", params={"ref": day(1)}))
    assert 'id="schema-title"' not in (await served.client.get("/partition", params={"ref": day(0)})).text


async def test_a_job_has_plots_and_its_checks_over_time(served: Served) -> None:
    await report_days(served.log, _ROWS)
    page = await served.client.get("/job", params={"label": JOB})

    assert page.text.count('class="drawing plot"') == 3
    assert "has_rows 9 1" in shown(page)
    assert f"{day(7)}: 0, an outlier" in html.unescape(page.text)
    assert 'href="/partition?ref=day%2F2026-01-08"' in page.text


async def test_trends_are_the_same_over_http_and_in_the_client(served: Served) -> None:
    await report_days(served.log, _ROWS)
    answer = (await served.client.get("/api/v1/trends", params={"ref": day(9), "max_points": 5})).json()
    rows = next(trend for trend in answer["trends"] if trend["name"] == "rows")

    def of_job() -> list[tuple[str, int]]:
        with DatabuildClient(served.grpc) as client:
            return [(trend.name, len(trend.points)) for trend in client.trends(job_label=JOB).trends]

    assert [point["value"] for point in rows["points"]] == [102, 100, 0, 101, 62]
    assert answer["schema"]["changes"] == ["column n was INTEGER and is BIGINT"]
    assert await asyncio.to_thread(of_job) == [("read", 10), ("rows", 10), ("duration", 10)]


@pytest.mark.parametrize(
    ("query", "status"),
    [({}, 400), ({"ref": "day/2026-01-01", "job_label": JOB}, 400), ({"job_label": "//:no"}, 404), ({"ref": " "}, 400)],
)
async def test_trends_are_of_a_partition_or_of_a_job(served: Served, query: dict[str, str], status: int) -> None:
    assert (await served.client.get("/api/v1/trends", params=query)).status_code == status


async def test_a_preview_is_shown_on_request(served: Served, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("n,name\n1,<script>alert(1)</script>\n")
    await report_days(served.log, [1.0], file_uri(tmp_path / "t.csv"))
    without = await served.client.get("/partition", params={"ref": day(0)})
    page = await served.client.get("/partition", params={"ref": day(0), "preview": "1"}, timeout=60)

    assert "alert(1)" not in without.text
    assert "1.0 KiB" in shown(without)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "<script>alert" not in page.text


async def test_a_picture_is_sent_with_its_type_and_nothing_else_is(served: Served, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(png())
    (tmp_path / "b.png").write_text("<script>alert(1)</script>")
    plots = {name: {"$type": "image", "uri": file_uri(tmp_path / name)} for name in ("a.html", "b.png")}
    await report_days(served.log, [1.0], file_uri(tmp_path / "b.png"), **plots)
    picture = await served.client.get("/partition/picture", params={"ref": day(0), "name": "a.html"}, timeout=60)
    markup = await served.client.get("/partition/picture", params={"ref": day(0), "name": "b.png"}, timeout=60)
    data = await served.client.get("/partition/picture", params={"ref": day(0)}, timeout=60)

    assert (picture.status_code, picture.content) == (200, png())
    assert picture.headers["content-type"] == "image/png"
    assert picture.headers["x-content-type-options"] == "nosniff"
    assert picture.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert (markup.status_code, data.status_code) == (404, 404)
    assert "no picture" in shown(markup)


async def test_previews_can_be_turned_off(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("n\n1\n")
    served = await Served(tmp_path, jobs=dated_catalog(), limits=Limits(previews=False)).start()
    await report_days(served.log, [1.0], file_uri(tmp_path / "t.csv"))
    page = await served.client.get("/partition", params={"ref": day(0), "preview": "1"})
    await served.close()

    assert "No preview: this service shows no previews." in shown(page)
