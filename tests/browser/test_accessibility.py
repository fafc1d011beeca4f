"""Accessibility of every page, and of reports, by axe-core, in light and dark."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import expect

from databuild.reports.build_report import collect_report
from databuild.reports.html import html_report
from tests.browser.accessibility import violations_of
from tests.browser.pages import Faults, OpenPage
from tests.support.served import Served


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_have_no_accessibility_violations(
    busy: Served, open_page: OpenPage, faults: Faults, scheme: Literal["dark", "light"]
) -> None:
    faults.expected = "404"
    page = await open_page(busy, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True)
    violations: dict[str, tuple[str, list[str]]] = {}

    for name, path in busy.pages.items():
        await page.goto(path)
        await expect(page.get_by_role("heading", level=1)).to_have_count(1)
        violations |= {f"{name}: {fault}": details for fault, details in (await violations_of(page)).items()}

    assert violations == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_reports_have_no_accessibility_violations(
    busy: Served, open_page: OpenPage, tmp_path: Path, scheme: Literal["dark", "light"]
) -> None:
    page = await open_page(busy, color_scheme=scheme, bypass_csp=True)
    with contextlib.closing(busy.log.reader()) as reader:
        for build in reader.builds():
            file = tmp_path / "report.html"
            file.write_text(html_report(collect_report(reader, build, lambda _run, stream: stream.encode())))
            await page.goto(file.as_uri())
            await expect(page.get_by_role("heading", level=1)).to_have_count(1)
            assert await violations_of(page) == {}, build.build_request_id


async def test_the_report_of_a_service_is_shown_as_its_policy_allows(busy: Served, open_page: OpenPage) -> None:
    page = await open_page(busy, busy.pages["failed"])
    await page.get_by_role("link", name="HTML", exact=True).click()

    await expect(page.get_by_role("heading", level=1)).to_contain_text("FAILED")
    await expect(page.get_by_role("group", name="Job graph").locator("svg")).to_be_visible()
    # A style sheet that the policy refused would leave the default, which is a serif font.
    assert "sans-serif" in await page.evaluate("getComputedStyle(document.body).fontFamily")
    assert await page.evaluate("window.hacked") is None
