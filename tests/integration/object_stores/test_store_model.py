"""Builds make everything right in an object store, after any sequence of losses, changes and removals."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databuild.storage.storages import Storages
from tests.support.build_world import World
from tests.support.derived_data import Objects
from tests.support.store_steps import ACTIONS, MADE_FROM_CHANGED, REFS, Steps


@given(steps=st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(REFS)), min_size=4, max_size=12))
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
async def test_a_build_makes_everything_right(
    storages: Storages, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]]
) -> None:
    folder: Path = tmp_path_factory.mktemp("world")
    world = World(folder)
    try:
        await Steps(world, Objects(storages, f"s3://bucket/{uuid.uuid4()}"), storages).run(steps)
    finally:
        await world.log.close()


@pytest.mark.parametrize("steps", MADE_FROM_CHANGED)
async def test_what_was_made_from_changed_data_is_made_again(
    storages: Storages, tmp_path: Path, steps: list[tuple[str, str]]
) -> None:
    world = World(tmp_path)
    try:
        await Steps(world, Objects(storages, f"s3://bucket/{uuid.uuid4()}"), storages).run(steps)
    finally:
        await world.log.close()
