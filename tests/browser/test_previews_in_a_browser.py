"""Previews, trends and typed metadata in a real browser: files whose names and contents are hostile run nothing."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import duckdb
import pytest
from playwright.async_api import Page, expect

from databuild.job import image, link, markdown, table
from databuild.job.locations import file_uri
from tests.browser.accessibility import violations_of
from tests.browser.pages import Faults, OpenPage
from tests.support.pictures import png
from tests.support.reported_days import JOB, dated_catalog, day, report_days
from tests.support.served import Served

HACK = "<script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
ROWS = [100.0, 101, 99, 100, 98, 102, 100, 0, 101, 62]


@pytest.fixture
async def dated(tmp_path: Path) -> AsyncIterator[Served]:
    """A service whose graph has dates and DuckDB."""
    served = await Served(tmp_path, jobs=dated_catalog({"duckdb": []})).start(timeout_seconds=30)
    yield served
    await served.close()


async def preview(page: Page) -> str:
    """Shows the preview, and returns the text of its section."""
    await page.goto(f"/partition?ref={day(0)}")
    await page.get_by_role("link", name="Show").click()
    section = page.locator("#preview")
    await expect(section.get_by_role("link", name="Show")).to_have_count(0)
    assert await page.evaluate("window.hacked === undefined")
    return await section.inner_text()


def hostile_files(folder: Path) -> dict[str, Path]:
    """Returns hostile files by what their previews must say."""
    secret = folder / "secret"
    secret.write_text("secret")
    files: dict[str, Path] = {}

    def add(expected: str, name: str, content: bytes) -> None:
        files[expected] = folder / f"{len(files)}{name}"
        files[expected].write_bytes(content)

    add("<svg onload=window.hacked=1>", "'\"<b>.svg", b"<svg onload=window.hacked=1>")
    add(HACK, ".html", HACK.encode())
    add("DuckDB cannot read the data as csv", ".csv", b"x" * 5_000_000)
    add("its content is binary", "binary.csv", b"a,b\n\0\1\2\n")
    add("DuckDB cannot read the data as parquet", ".parquet", b"PAR1" + HACK.encode() + b"PAR1")
    add("that is not shown", ".png", png(60_000, 60_000))
    files["symbolic link"] = folder / "link.txt"
    files["symbolic link"].symlink_to(secret)
    return files


async def test_hostile_files_run_nothing(dated: Served, open_page: OpenPage, tmp_path: Path) -> None:
    page = await open_page(dated)
    files = hostile_files(tmp_path)
    place = tmp_path / "data"
    place.mkdir()
    # One partition whose location is a folder: its file is replaced by the next one.
    await report_days(dated.log, [1.0], file_uri(place))
    for expected, file in files.items():
        for old in place.iterdir():
            old.unlink()
        os.rename(file, place / file.name)  # noqa: PTH104 - links, too

        assert expected in await preview(page)
        assert "secret" not in await page.content()


async def test_values_of_a_table_are_texts(dated: Served, open_page: OpenPage, tmp_path: Path) -> None:
    path = tmp_path / f"{HACK.replace('/', '')}.parquet"
    with duckdb.connect() as connection:
        connection.execute('CREATE TABLE t AS SELECT $hack AS "<b>name</b>"', {"hack": HACK})
        connection.table("t").write_parquet(str(path))
    await report_days(dated.log, [1.0], file_uri(path))
    text = await preview(await open_page(dated))

    assert HACK in text
    assert "<b>name</b> VARCHAR" in text


async def test_metadata_of_every_type_runs_nothing(
    dated: Served, open_page: OpenPage, faults: Faults, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "b.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg' onload='window.hacked=1'/>")
    faults.expected = "404"
    await report_days(
        dated.log,
        ROWS,
        notes=markdown(f"# {HACK}\n\n{HACK} [x](javascript:alert(1))"),
        page=link("https://example.org/", HACK),
        plot=image(tmp_path / "a.png", HACK),
        other=image(tmp_path / "b.svg", HACK),
        sample=table([HACK], [[HACK]]),
        odd={"$type": "link", "url": "javascript:window.hacked=1"},
    )
    page = await open_page(dated, f"/partition?ref={day(9)}")
    picture = page.locator("img[src*='name=plot']")
    await picture.scroll_into_view_if_needed()
    await expect(picture).to_have_js_property("naturalWidth", 1)

    assert await page.evaluate("window.hacked === undefined")
    assert await page.locator("main a[href^='javascript']").count() == 0
    assert await page.locator("main script").count() == 0


@pytest.mark.parametrize("path", [f"/partition?ref={day(9)}&preview=1", f"/job?label={JOB}"])
async def test_pages_with_plots_and_previews_have_no_accessibility_violations(
    dated: Served, open_page: OpenPage, tmp_path: Path, path: str
) -> None:
    (tmp_path / "t.csv").write_text("n,name\n1,x\n")
    await report_days(
        dated.log,
        ROWS,
        file_uri(tmp_path / "t.csv"),
        notes=markdown("# Late\n\n- **a** `b`"),
        sample=table(["n"], [[1]]),
        page=link("https://example.org/", "the page"),
    )
    page = await open_page(dated, path, reduced_motion="reduce", bypass_csp=True)
    await expect(page.locator(".plots svg")).not_to_have_count(0)

    assert await violations_of(page) == {}


async def test_the_location_is_copied(dated: Served, open_page: OpenPage, tmp_path: Path) -> None:
    await report_days(dated.log, [1.0], file_uri(tmp_path / "t.csv"))
    page = await open_page(dated)
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.goto(f"/partition?ref={day(0)}")
    await page.get_by_role("button", name="Copy").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()

    assert await page.evaluate("navigator.clipboard.readText()") == file_uri(tmp_path / "t.csv")
