"""Fixtures: a service and a real browser. Any error on a page fails the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Unpack

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

from tests.browser.chromium import ARGUMENTS, CHROMIUM
from tests.browser.pages import ContextOptions, Faults, OpenPage
from tests.support.served import Serve, Served, services

HOSTILE = "raw/<script>window.hacked=1</script><img/src=x/onerror=window.hacked=1>'\"&{{7*7}}${7*7}"
LONG = "raw/" + "long_" * 200

SECONDS = 30
"""Maximum time to wait for an element."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        reason = "Chromium is not installed: install Debian's `chromium`, or set DATABUILD_CHROMIUM to its path"
        for item in items:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Starts services, which are closed after the test."""
    async with services(tmp_path, timeout_seconds=30) as serve:
        yield serve


@pytest.fixture
async def served(serve: Serve) -> Served:
    return await serve()


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    expect.set_options(timeout=1000 * SECONDS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture
async def faults() -> AsyncIterator[Faults]:
    faults = Faults()
    yield faults
    assert faults == []


@pytest.fixture
async def open_page(chromium: Browser, faults: Faults) -> AsyncIterator[OpenPage]:
    """Returns a function that opens a tab in a new context. Any error on its pages fails the test."""
    contexts: list[BrowserContext] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            faults.add(message.text)

    async def open_page(served: Served, path: str = "/", **options: Unpack[ContextOptions]) -> Page:
        context = await chromium.new_context(base_url=served.http, **options)
        context.set_default_timeout(1000 * SECONDS)
        contexts.append(context)
        page = await context.new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: faults.add(str(error)))
        page.on("dialog", lambda dialog: faults.add(dialog.message))
        await page.goto(path)
        return page

    yield open_page
    for context in contexts:
        await context.close()


@pytest.fixture
async def busy(serve: Serve, tmp_path: Path) -> Served:
    """A service with builds, partitions and job runs in every state; `pages` has the paths by name."""
    served = await serve(uri=f"sqlite:{tmp_path}/events.db")
    served.executor.failing |= {HOSTILE, "day/2024-07-04"}
    first = await served.build("clean/1", "clean/2")
    failed = await served.build(HOSTILE, LONG, options={"keep_going": True})
    await served.build("day/2024-01-01..2024-12-31", "day/2023-06-01", options={"keep_going": True})
    await served.post("/taints", {"partitions": ["raw/2"], "reason": "<b>broken</b> sensor"})
    compared = {"partitions": ["clean/1", "raw/new"], "options": {"plan": {"force": True}}}
    answer = await served.post("/builds", compared, {"Databuild-Environment": "pr-1"})
    await served.events(f"/builds/{answer.json()['build_request_id']}/watch", environment="pr-1")
    delegating = await served.build("clean/1", "clean/3")
    gate = served.executor.gate("raw/slow")
    await served.post("/builds", {"partitions": ["clean/slow"], "build_request_id": "slow"})
    await gate.reached.wait()
    served.pages = {
        "home": "/",
        "builds": "/builds",
        "completed": f"/builds/{first}",
        "failed": f"/builds/{failed}",
        "delegating": f"/builds/{delegating}",
        "running": "/builds/slow",
        "partitions": "/partitions",
        "calendar": "/partitions?pattern=day%2F%7Bd%3Adate%7D",
        "partition": "/partition?ref=clean%2F1&why=1",
        "tainted": "/partition?ref=raw%2F2",
        "environments": "/environments",
        "comparison": "/environments/pr-1",
        "jobs": "/jobs",
        "job": "/job?label=%2F%2F%3Araw",
        "job with a calendar": "/job?label=%2F%2F%3Aday",
        "log": f"/job_runs/{first}.1.1/log",
        "nothing": "/no/such/page",
    }
    return served
