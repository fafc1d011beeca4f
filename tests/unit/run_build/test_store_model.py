"""Builds make everything right with the least number of runs, after any sequence of losses, changes and removals."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databuild.storage.storages import Storages
from tests.support.build_world import World
from tests.support.derived_data import Folder
from tests.support.store_steps import ACTIONS, MADE_FROM_CHANGED, REFS, Steps


@given(steps=st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(REFS)), max_size=15))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
async def test_a_build_makes_everything_right(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("world")
    world = World(folder)
    try:
        await Steps(world, Folder(folder / "data"), Storages({})).run(steps)
    finally:
        await world.log.close()


@pytest.mark.parametrize("steps", MADE_FROM_CHANGED)
async def test_what_was_made_from_changed_data_is_made_again(tmp_path: Path, steps: list[tuple[str, str]]) -> None:
    world = World(tmp_path)
    try:
        await Steps(world, Folder(tmp_path / "data"), Storages({})).run(steps)
    finally:
        await world.log.close()
