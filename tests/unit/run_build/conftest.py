"""The event log and the jobs of builds."""

from pathlib import Path

import pytest

from tests.support.build_world import World


@pytest.fixture
async def world(tmp_path: Path):
    made = World(tmp_path)
    yield made
    await made.log.close()
