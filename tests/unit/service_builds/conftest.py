"""Services, each over its own event log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Unpack

import pytest

from tests.support.world import MakeWorld, World, WorldOptions


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[MakeWorld]:
    """Returns a function that makes worlds, which are closed after the test."""
    worlds: list[World] = []

    def make(uri: str = "memory:", **options: Unpack[WorldOptions]) -> World:
        worlds.append(World(tmp_path, uri, **options))
        return worlds[-1]

    yield make
    for world in worlds:
        await world.close()


@pytest.fixture
def world(make: MakeWorld) -> World:
    return make(cancel_poll_seconds=0)
