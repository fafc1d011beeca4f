"""Services on real ports."""

from pathlib import Path

import pytest

from tests.support.served import Served


@pytest.fixture
async def serve(tmp_path: Path):
    """Returns a function that serves, until the end of the test."""
    all_served = []

    async def serve(limits=None, **options):
        served = Served(tmp_path, limits=limits, **options)
        all_served.append(await served.start())
        return served

    yield serve
    for served in all_served:
        await served.close()


@pytest.fixture
async def served(serve):
    return await serve()
