"""Parity: every front end, over every event log, leaves the same events, outputs and logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import pytest

from tests.support.played_scenarios import STORES, Stage
from tests.support.scenarios import OUTCOMES, SCENARIOS, Left, Scenario, retry
from tests.support.ways import WAYS, Way

Scenarios: TypeAlias = Stage[int, Left]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenarios]:
    stage = Stage(Left, tmp_path_factory)
    yield stage
    stage.close()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_scenario_ends_as_it_should_and_leaves_what_it_should(stage: Scenarios, scenario: Scenario) -> None:
    left = stage.expected(scenario)

    made = {name.partition("-")[2] for name in left.data}
    assert (left.codes, made) == OUTCOMES[scenario]
    assert left.faults == ()
    assert left.events


def test_builds_are_left_in_the_order_in_which_they_were_recorded(stage: Scenarios) -> None:
    assert [*stage.expected(retry).events] == ["only", "again", "failed"]


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_every_way_over_every_store_leaves_the_same(
    stage: Scenarios, scenario: Scenario, way: type[Way], store: str
) -> None:
    left, wanted = stage.play(way, store, scenario), stage.expected(scenario)

    assert left.codes == wanted.codes
    assert [*left.events] == [*wanted.events]
    assert left.events == wanted.events
    assert left.records == wanted.records
    assert left.data == wanted.data
    assert left.logs == wanted.logs
    assert left.faults == ()
