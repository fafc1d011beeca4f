"""The dashboard, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from databuild.service.access.auth import read_tokens
from tests.browser.conftest import HOSTILE, LONG
from tests.browser.pages import Faults, OpenPage
from tests.support.present import present
from tests.support.served import Serve, Served

WRITE = "w" * 32


async def mark_document(page: Page) -> None:
    """Sets a variable that is lost when the page is reloaded."""
    await page.evaluate("window.sameDocument = true")


async def is_same_document(page: Page) -> object:
    return await page.evaluate("window.sameDocument === true")


async def test_a_build_is_planned_started_and_watched_to_its_end_without_reloading(
    served: Served, open_page: OpenPage
) -> None:
    gate = served.executor.gate("raw/7")
    page = await open_page(served)
    await page.get_by_label("Partitions: refs or ranges").fill("clean/7")
    await page.get_by_role("button", name="Plan").click()
    await expect(page.get_by_text("2 tasks would run for 1 requested partition")).to_be_visible()
    assert served.executor.made == []

    await page.get_by_role("button", name="Build").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("executing")
    await mark_document(page)
    await expect(page.locator("#summary")).to_contain_text("0 of 2")
    gate.open()

    await expect(page.get_by_role("heading", level=1)).to_contain_text("completed")
    await expect(page.locator("#summary")).to_contain_text("2 of 2")
    await expect(page.locator("#graph svg .state-completed")).to_have_count(2)
    await expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    assert await is_same_document(page)


async def test_a_build_is_cancelled_and_retried(served: Served, open_page: OpenPage) -> None:
    gate = served.executor.gate("raw/1")
    await served.post("/builds", {"partitions": ["clean/1"], "build_request_id": "one"})
    await gate.reached.wait()
    page = await open_page(served, "/builds/one")

    await page.get_by_role("button", name="Cancel").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("cancelled")
    served.executor.gates.clear()
    await page.get_by_role("button", name="Retry").click()

    await expect(page.get_by_role("heading", level=1)).to_contain_text("completed")
    await page.get_by_role("link", name="one", exact=True).click()
    await expect(page).to_have_url(f"{served.http}/builds/one")


async def test_the_page_of_the_graph_updates_itself_and_leads_to_jobs(served: Served, open_page: OpenPage) -> None:
    page = await open_page(served)
    await expect(page.get_by_role("link", name="Graph", exact=True)).to_have_attribute("aria-current", "page")
    await expect(page.get_by_text("No build is running.")).to_be_visible()
    await expect(page.locator("#graph svg .state-missing")).to_have_count(3)
    await mark_document(page)

    gate = served.executor.gate("raw/1")
    await served.post("/builds", {"partitions": ["raw/1"], "build_request_id": "one"})
    await expect(page.locator("#running")).to_contain_text("executing")
    await expect(page.locator("#graph svg .state-building")).to_contain_text("1 building")
    gate.open()
    await expect(page.locator("#recent")).to_contain_text("completed")
    await expect(page.locator("#graph svg .state-available")).to_contain_text("1 available")
    assert await is_same_document(page)

    await page.locator("#graph svg a").filter(has_text="1 available").click()
    await expect(page).to_have_url(f"{served.http}/job?label=%2F%2F%3Araw")
    await expect(page.get_by_role("heading", name="Recent runs", exact=True)).to_be_visible()


async def test_partitions_are_searched_selected_and_planned(busy: Served, open_page: OpenPage) -> None:
    page = await open_page(busy, "/partitions")

    await page.get_by_label("Ref", exact=True).fill("clean/")
    await page.get_by_role("button", name="Search").click()
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(4)
    await page.get_by_role("checkbox", name="Select clean/2").check()
    await page.get_by_label("rebuild partitions that are up to date").first.check()
    await page.get_by_role("button", name="Plan a build of the selected partitions").click()
    await expect(page.get_by_text("would run for 1 requested partition")).to_be_visible()

    await page.goto("/partitions")
    await page.locator(".filters").get_by_label("Status").select_option("FAILED")
    await page.get_by_role("button", name="Search").click()
    await expect(page.locator("tbody")).to_contain_text("day/2024-07-04")
    await expect(page.locator("tbody")).not_to_contain_text("clean/1")


async def test_a_day_of_the_calendar_links_to_its_partition(busy: Served, open_page: OpenPage) -> None:
    page = await open_page(busy, busy.pages["calendar"])

    await page.get_by_role("link", name="Thu 4 Jul 2024").click()

    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(page.locator("tbody")).to_contain_text("failed")
    await page.goto(busy.pages["calendar"])
    await page.get_by_role("link", name="2023", exact=True).click()
    await expect(page.get_by_role("link", name="Thu 1 Jun 2023")).to_be_visible()


async def test_a_partition_is_tainted_and_untainted(busy: Served, open_page: OpenPage) -> None:
    page = await open_page(busy, "/partition?ref=raw%2F1")

    await page.locator("#reason").fill("the sensor was broken")
    await page.get_by_role("button", name="Taint", exact=True).click()
    await expect(page.get_by_text("Tainted: dashboard: the sensor was broken")).to_be_visible()
    await page.get_by_role("link", name="Explain").click()
    await expect(page.locator("#why")).to_contain_text("Build: tainted")
    await page.locator("#reason").fill("repaired")
    await page.get_by_role("button", name="Remove taint").click()

    await expect(page.get_by_role("button", name="Taint", exact=True)).to_be_visible()


async def test_a_log_grows_as_it_is_written(busy: Served, open_page: OpenPage, tmp_path: Path) -> None:
    page = await open_page(busy, "/job_runs/slow.1.1/log?stream=stdout")
    await expect(page.get_by_role("log")).to_have_text("made raw/slow\n")
    await mark_document(page)

    with (tmp_path / "logs" / "slow" / "slow.1.1.stdout").open("a") as log:
        log.write("half ü done <b>now</b>\n")

    await expect(page.get_by_role("log")).to_contain_text("half ü done <b>now</b>")
    assert await is_same_document(page)


async def test_a_page_reconnects_after_a_restart_of_the_service(
    serve: Serve, open_page: OpenPage, faults: Faults, tmp_path: Path
) -> None:
    faults.expected = "Failed to load resource"
    uri = f"sqlite:{tmp_path}/events.db"
    first = await serve(uri=uri)
    first.executor.gate("raw/1")
    await first.post("/builds", {"partitions": ["raw/1"], "build_request_id": "one"})
    page = await open_page(first, "/builds/one")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("executing")
    await mark_document(page)

    await first.close()
    await expect(page.get_by_role("status").last).to_contain_text(re.compile("Reconnecting|Retrying"))
    await serve(uri=uri, port=int(first.http.rpartition(":")[2]))

    await expect(page.get_by_role("heading", level=1)).to_contain_text("completed")
    assert await is_same_document(page)


async def test_a_failed_refresh_is_retried(served: Served, open_page: OpenPage, faults: Faults) -> None:
    faults.expected = "Failed to load resource"
    served.executor.gate("raw/1")
    await served.post("/builds", {"partitions": ["raw/1"], "build_request_id": "one"})
    page = await open_page(served, "/builds/one")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("executing")

    await page.route("**/builds/one", lambda route: route.abort("connectionrefused"))
    served.executor.gates["raw/1"].open()
    await expect(page.get_by_role("status").last).to_contain_text(re.compile("Reconnecting|Retrying"))
    await expect(page.get_by_role("heading", level=1)).to_contain_text("executing")
    await page.unroute("**/builds/one")

    await expect(page.get_by_role("heading", level=1)).to_contain_text("completed")
    await expect(page.get_by_role("status").last).to_have_text("")


async def test_hostile_data_is_escaped_on_every_page(busy: Served, open_page: OpenPage, faults: Faults) -> None:
    faults.expected = "404"
    page = await open_page(busy)
    paths = [*busy.pages.values(), *[f"/partition?ref={await encoded(page, ref)}" for ref in (HOSTILE, LONG)]]

    for path in paths:
        await page.goto(path)
        assert await page.evaluate("window.hacked") is None, path
        assert await page.locator("main script, main img").count() == 0, path

    await expect(page.get_by_role("heading", level=1)).to_contain_text("long_long_")


async def encoded(page: Page, text: str) -> object:
    return await page.evaluate("text => encodeURIComponent(text)", text)


async def test_the_focus_stays_while_the_page_changes(busy: Served, open_page: OpenPage) -> None:
    page = await open_page(busy, "/builds/slow")
    await page.get_by_role("button", name="Cancel").focus()
    before = await page.locator("#summary").inner_text()

    await page.get_by_label("Status").focus()
    busy.executor.gates.pop("raw/slow").open()

    await expect(page.locator("#summary")).not_to_have_text(before)
    await expect(page.get_by_role("heading", level=1)).to_contain_text("completed")
    await expect(page.get_by_label("Status")).to_be_focused()


async def test_a_build_is_started_by_keyboard_alone(served: Served, open_page: OpenPage) -> None:
    page = await open_page(served)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    await page.keyboard.press("Enter")
    for _ in range(20):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.name") == "partitions":
            break
    await page.keyboard.type("raw/1")
    for _ in range(3):
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Plan")
    await page.get_by_role("button", name="Build").focus()
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("heading", level=1)).to_contain_text("completed")


async def test_pages_fit_a_phone(busy: Served, open_page: OpenPage, faults: Faults) -> None:
    faults.expected = "404"
    page = await open_page(busy, viewport={"width": 360, "height": 740})
    paths = [*busy.pages.values(), *[f"/partition?ref={await encoded(page, ref)}" for ref in (HOSTILE, LONG)]]

    for path in paths:
        await page.goto(path)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360, path


async def test_without_javascript_a_build_is_planned_started_and_cancelled(served: Served, open_page: OpenPage) -> None:
    gate = served.executor.gate("raw/1")
    page = await open_page(served, java_script_enabled=False)

    await page.get_by_label("Partitions: refs or ranges").fill("raw/1")
    await page.get_by_role("button", name="Plan").click()
    await page.get_by_role("button", name="Build").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Build")
    await gate.reached.wait()
    await page.get_by_role("button", name="Cancel").click()

    await expect(page.get_by_role("heading", level=1)).to_contain_text("cancelled")  # the page reloads itself


async def test_a_browser_signs_in_and_out(serve: Serve, open_page: OpenPage, faults: Faults) -> None:
    faults.expected = "401"
    served = await serve(tokens=read_tokens(f"ada write {WRITE}", "tokens"))
    page = await open_page(served, "/builds?status=FAILED")

    await page.get_by_label("Access token").fill("wrong" * 8)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_have_text("Unknown token.")
    await page.get_by_label("Access token").fill(WRITE)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page).to_have_url(f"{served.http}/builds?status=FAILED")
    await page.get_by_role("button", name="Sign out ada").click()

    await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    await page.goto("/")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


@pytest.mark.parametrize("times", [2])
async def test_the_zoom_of_a_drawing_stays_while_the_page_changes(
    busy: Served, open_page: OpenPage, times: int
) -> None:
    page = await open_page(busy, "/builds/slow")
    svg = page.locator("#graph svg")
    width = (present(await svg.bounding_box()))["width"]

    for _ in range(times):
        await page.get_by_role("button", name="Larger").click()
    busy.executor.gates.pop("raw/slow").open()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("completed")

    assert (present(await svg.bounding_box()))["width"] == pytest.approx(width * 1.25**times, rel=0.01)
