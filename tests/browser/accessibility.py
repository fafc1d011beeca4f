"""The accessibility of pages, checked with axe."""

from __future__ import annotations

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page


async def violations_of(page: Page) -> dict[str, tuple[str, list[str]]]:
    """Returns the help and the first elements of each rule that a page violates."""
    violations = (await Axe().run(page)).response["violations"]
    return {fault["id"]: (fault["help"], [node["html"][:160] for node in fault["nodes"][:3]]) for fault in violations}
