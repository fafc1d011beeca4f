"""Parity: every front end, over every event log, leaves the same events, outputs and logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import pytest

from tests.postgresql import server as postgresql
from tests.support.scenarios import OUTCOMES, SCENARIOS, Left, Scenario
from tests.support.ways import WAYS, CommandLine, Way

STORES = ("sqlite", "postgresql")


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    running = postgresql.Server()
    yield running
    running.close()


class Play(Protocol):
    """Runs a scenario through one front end over one store."""

    def __call__(self, kind: type[Way], store: str, scenario: Scenario) -> Left: ...


@pytest.fixture(scope="module")
def play(server: postgresql.Server, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Returns a function that runs a scenario through one front end over one store."""

    def play(kind: type[Way], store: str, scenario: Scenario) -> Left:
        folder = tmp_path_factory.mktemp("workspace")
        uri = server.new_database() if store == "postgresql" else f"sqlite:{folder}/events.db"
        way = kind(folder, uri)
        try:
            return Left(way, list(scenario(way)))
        finally:
            way.close()

    return play


@pytest.fixture(scope="module")
def expected(play: Play) -> Callable[[Scenario], Left]:
    """Returns a function that runs a scenario on the command line over SQLite, once."""
    played: dict[Scenario, Left] = {}

    def expected(scenario: Scenario) -> Left:
        if scenario not in played:
            played[scenario] = play(CommandLine, "sqlite", scenario)
        return played[scenario]

    return expected


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_scenario_ends_as_it_should_and_leaves_what_it_should(
    expected: Callable[[Scenario], Left], scenario: Scenario
) -> None:
    left = expected(scenario)

    made = {name.partition("-")[2] for name in left.data}
    assert (left.codes, made) == OUTCOMES[scenario]
    assert left.faults == ()
    assert left.events


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_every_way_over_every_store_leaves_the_same(
    play: Play, expected: Callable[[Scenario], Left], scenario: Scenario, way: type[Way], store: str
) -> None:
    left, wanted = play(way, store, scenario), expected(scenario)

    assert left.codes == wanted.codes
    assert left.events == wanted.events
    assert left.records == wanted.records
    assert left.data == wanted.data
    assert left.logs == wanted.logs
    assert left.faults == ()
