"""Updates the screenshots in docs/images: `bazel run //tests/browser:screenshots [-- FOLDER]`.

Takes every page in light, dark and phone width. The screenshots that the documentation does not use go to FOLDER, for
review.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.async_api import ViewportSize, async_playwright

from tests.browser.chromium import ARGUMENTS, CHROMIUM
from tests.support.served import Served
from tests.support.waiting import until

DOCUMENTED = {"home-light", "build-light", "partitions-light"}
"""Screenshots that the documentation uses."""

WIDE: ViewportSize = {"width": 1200, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 800}
KINDS: tuple[tuple[Literal["dark", "light"], ViewportSize, str], ...] = (
    ("light", WIDE, "light"),
    ("dark", WIDE, "dark"),
    ("light", PHONE, "phone"),
)


async def fill(served: Served) -> dict[str, str]:
    """Runs builds, and returns the paths of the pages by name."""
    served.executor.failing |= {"day/2026-07-04", "raw/tides"}
    await served.build("day/2026-01-01..2026-11-20", "day/2025-03-01..2025-12-31", options={"keep_going": True})
    await served.post("/taints", {"partitions": ["day/2026-03-07..2026-03-09"], "reason": "the sensor was broken"})
    await served.build("clean/rain", "clean/wind")
    await served.build("clean/tides", "clean/snow", options={"keep_going": True})
    gate = served.executor.gate("raw/fog")
    refs = ["clean/fog", "clean/hail", "clean/frost", "clean/rain", "clean/dew"]
    await served.post("/builds", {"partitions": refs, "build_request_id": "weather", "options": {"jobs": 3}})
    await gate.reached.wait()

    async def all_but_fog() -> bool:
        return bool((await served.get("/builds/weather")).json()["jobs_completed"] >= 6)

    await until(all_but_fog)
    return {
        "home": "/",
        "builds": "/builds",
        "build": "/builds/weather",
        "log": "/job_runs/weather.1.1/log?stream=stdout",
        "partitions": "/partitions?pattern=day%2F%7Bd%3Adate%7D&status=failed",
        "partition": "/partition?ref=clean%2Frain&why=1",
        "jobs": "/jobs",
        "job": "/job?label=%2F%2F%3Aday",
    }


async def take(folder: Path, others: Path) -> None:
    """Saves all screenshots: those of the documentation into `folder`, the others into `others`."""
    with tempfile.TemporaryDirectory() as logs:
        served = await Served(Path(logs)).start(timeout_seconds=60)
        try:
            pages = await fill(served)
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
                for scheme, size, end in KINDS:
                    context = await browser.new_context(base_url=served.http, viewport=size, color_scheme=scheme)
                    page = await context.new_page()
                    for name, path in pages.items():
                        await page.goto(path)
                        target = folder if f"{name}-{end}" in DOCUMENTED else others
                        await page.screenshot(path=target / f"{name}-{end}.png")
                await browser.close()
        finally:
            await served.close()


def main() -> None:
    if CHROMIUM is None:
        sys.exit("screenshots: install Chromium (Debian's `chromium`), or set DATABUILD_CHROMIUM to its path")
    folder = Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY", "."), "docs", "images")
    others = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="screenshots-"))
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(folder, others))
    print(f"wrote docs/images and {others}")


if __name__ == "__main__":
    main()
