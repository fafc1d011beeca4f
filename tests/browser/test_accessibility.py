"""Accessibility of every page by axe-core, in light and dark."""

from __future__ import annotations

from typing import Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.browser.pages import Faults, OpenPage
from tests.support.served import Served


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_have_no_accessibility_violations(
    busy: Served, open_page: OpenPage, faults: Faults, scheme: Literal["dark", "light"]
) -> None:
    faults.expected = "404"
    page = await open_page(busy, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True)
    violations = {}

    for name, path in busy.pages.items():
        await page.goto(path)
        await expect(page.get_by_role("heading", level=1)).to_have_count(1)
        for violation in (await Axe().run(page)).response["violations"]:
            nodes = [node["html"][:160] for node in violation["nodes"][:3]]
            violations[f"{name}: {violation['id']}"] = (violation["help"], nodes)

    assert violations == {}
