"""The switch between environments in the dashboard, as a browser without JavaScript uses it."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.present import present
from tests.support.served import Served

PR = {"Databuild-Environment": "pr-1"}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """Returns a service with a partition in the base, and another one in the environment `pr-1`."""
    served = await Served(tmp_path, uri=f"sqlite:{tmp_path}/events.db").start()
    await served.build("raw/base")
    answer = await served.post("/builds", {"partitions": ["raw/own"]}, PR)
    await served.events(f"/builds/{answer.json()['build_request_id']}/watch", environment="pr-1")
    yield served
    await served.close()


def csrf_token(page: httpx.Response) -> str:
    return present(re.search(r'name="csrf_token" value="([0-9a-f]{64})"', page.text))[1]


async def switch(served: Served, name: str) -> httpx.Response:
    """Chooses an environment, and returns the first page."""
    page = await served.client.get("/")
    data = {"csrf_token": csrf_token(page), "environment": name}
    return await served.client.post("/environments", data=data, follow_redirects=True)


async def shown(served: Served, path: str) -> str:
    """Returns the text of a page without markup."""
    page = await served.client.get(path)
    assert page.status_code == 200, page.text
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


async def test_pages_are_about_the_chosen_environment(served: Served) -> None:
    assert "raw/own" not in await shown(served, "/partitions")
    assert "pr-1" in await shown(served, "/environments")

    page = await switch(served, "pr-1")

    assert page.status_code == 200
    assert "environment pr-1" in page.text
    text = await shown(served, "/partitions")
    assert "raw/own" in text
    assert "raw/base" in text
    builds = await shown(served, "/builds")
    assert "raw/own" in builds
    assert "raw/base" not in builds
    await switch(served, "")
    assert "raw/own" not in await shown(served, "/partitions")


async def test_an_environment_is_compared_with_the_base_by_job(served: Served) -> None:
    answer = await served.post(
        "/builds", {"partitions": ["raw/base", "clean/base"], "options": {"plan": {"force": True}}}, PR
    )
    await served.events(f"/builds/{answer.json()['build_request_id']}/watch", environment="pr-1")
    assert 'href="/environments/pr-1"' in (await served.client.get("/environments")).text
    assert "Compare with the base" not in await shown(served, "/builds")
    assert 'href="/environments/pr-1">Compare with the base' in (await switch(served, "pr-1")).text

    text = await shown(served, "/environments/pr-1")

    table = text.partition("Partition Result Differences ")[2]
    assert table.startswith("//:clean clean/base new //:raw raw/base changed content : "), text
    assert " → " in table
    assert "raw/own new" in table


async def test_a_long_comparison_has_pages(served: Served) -> None:
    refs = [f"raw/{number:03}" for number in range(150)]
    answer = await served.post("/builds", {"partitions": refs}, PR)
    await served.events(f"/builds/{answer.json()['build_request_id']}/watch", environment="pr-1")
    page = await served.client.get("/environments/pr-1")
    following = present(re.search(r'rel="next" href="([^"]*)"', page.text))[1]

    assert "raw/099" in page.text
    assert "raw/100" not in page.text
    rest = await shown(served, html.unescape(following))
    assert "raw/100 new" in rest
    assert "raw/own new" in rest
    assert "Next page" not in rest


async def test_the_comparison_of_an_empty_or_unknown_environment_says_so(served: Served) -> None:
    served.executor.failing.add("raw/bad")
    answer = await served.post("/builds", {"partitions": ["raw/bad"]}, {"Databuild-Environment": "pr-2"})
    await served.events(f"/builds/{answer.json()['build_request_id']}/watch", environment="pr-2")

    assert "The environment has no data of its own." in await shown(served, "/environments/pr-2")
    assert (await served.client.get("/environments/pr-3")).status_code == 404
    assert (await served.client.get("/environments/%3Cscript%3E")).status_code == 400


async def test_a_form_of_a_page_of_another_environment_is_refused(served: Served) -> None:
    home = await served.client.get("/")
    await switch(served, "pr-1")

    answer = await served.client.post("/builds", data={"csrf_token": csrf_token(home), "partitions": "raw/late"})

    assert answer.status_code == 403
    assert "reload the page" in answer.text
    assert "raw/late" not in await shown(served, "/partitions")


async def test_builds_that_are_started_in_an_environment_stay_there(served: Served) -> None:
    await switch(served, "pr-1")
    home = await served.client.get("/")

    answer = await served.client.post("/builds", data={"csrf_token": csrf_token(home), "partitions": "raw/new"})

    assert answer.status_code == 303
    build = answer.headers["location"].rpartition("/")[2]
    await served.events(f"/builds/{build}/watch", environment="pr-1")
    assert (await served.get(f"/builds/{build}")).status_code == 404
    assert "raw/new" in await shown(served, f"/builds/{build}")


async def test_an_environment_that_was_removed_can_be_left(served: Served) -> None:
    await switch(served, "pr-1")
    await served.post("/environments/pr-1/removal")

    page = await served.client.get("/builds")
    assert page.status_code == 404
    assert "Back to the base" in page.text
    data = {"csrf_token": csrf_token(page), "environment": ""}
    assert (await served.client.post("/environments", data=data, follow_redirects=True)).status_code == 200
    assert (await switch(served, "pr-9")).status_code == 404


@pytest.mark.parametrize("cookie", ["../x", "PR", "<script>", "x" * 50])
async def test_a_cookie_that_names_no_environment_counts_as_the_base(served: Served, cookie: str) -> None:
    page = await served.client.get("/builds", headers={"Cookie": f"databuild_environment={cookie}"})

    assert page.status_code == 200
    assert "Back to the base" not in page.text
