"""Services over event logs of their own."""

from pathlib import Path

import pytest

from tests.support.world import World


@pytest.fixture
async def make(tmp_path: Path):
    """Returns a function that makes worlds, which are closed in the end."""
    worlds = []

    def make(*args, **limits):
        worlds.append(World(tmp_path, *args, **limits))
        return worlds[-1]

    yield make
    for world in worlds:
        await world.close()


@pytest.fixture
def world(make):
    return make(cancel_poll_seconds=0)
