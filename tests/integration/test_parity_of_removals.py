"""Parity: forgetting, deleting, cleaning and verifying leave the same by every front end, over every event log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import pytest

from tests.postgresql import server as postgresql
from tests.support.removal_scenarios import (
    REMOVAL_SCENARIOS,
    LeftOfRemovals,
    RemovalScenario,
    clean,
    delete,
    forget,
    verify,
)
from tests.support.ways import Answer, Client, CommandLine, Grpc, Http, Server, Way

STORES = ("sqlite", "postgresql")
WAYS: tuple[type[Way], ...] = (CommandLine, Server, Grpc, Http, Client)


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    running = postgresql.Server()
    yield running
    running.close()


class Play(Protocol):
    """Runs a scenario through one front end over one store."""

    def __call__(self, kind: type[Way], store: str, scenario: RemovalScenario) -> LeftOfRemovals: ...


@pytest.fixture(scope="module")
def play(server: postgresql.Server, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Returns a function that runs a scenario through one front end over one store."""

    def play(kind: type[Way], store: str, scenario: RemovalScenario) -> LeftOfRemovals:
        folder = tmp_path_factory.mktemp("workspace")
        uri = server.new_database() if store == "postgresql" else f"sqlite:{folder}/events.db"
        way = kind(folder, uri)
        try:
            return LeftOfRemovals(way, list(scenario(way)))
        finally:
            way.close()

    return play


@pytest.fixture(scope="module")
def expected(play: Play) -> Callable[[RemovalScenario], LeftOfRemovals]:
    """Returns a function that runs a scenario on the command line over SQLite, once."""
    played: dict[RemovalScenario, LeftOfRemovals] = {}

    def expected(scenario: RemovalScenario) -> LeftOfRemovals:
        if scenario not in played:
            played[scenario] = play(CommandLine, "sqlite", scenario)
        return played[scenario]

    return expected


def answers(left: LeftOfRemovals) -> list[Answer]:
    return [one for one in left.answers if not isinstance(one, int)]


def test_scenarios_end_as_they_should(expected: Callable[[RemovalScenario], LeftOfRemovals]) -> None:
    forgotten, deleted, cleaned, verified = map(expected, (forget, delete, clean, verify))

    assert [one["partitions"] for one in answers(forgotten)] == [["number/two"], ["number/one", "number/three"], []]
    assert [[one[0] for one in done["data"]] for done in answers(deleted)] == [  # type: ignore[attr-defined]
        ["number/one", "number/three", "number/two", "sum/one_two"],
        ["number/one", "number/two"],
        [],
    ]
    assert [(one["deleted"], one["kept"]) for one in answers(cleaned)] == [(1, 3), (3, 0), (0, 0)]
    assert [one["findings"] for one in answers(verified)] == [
        [("number/one", "missing"), ("number/two", "changed")],
        [("number/two", "changed")],
        [("number/three", "changed")],
        [],
    ]
    for left in (forgotten, deleted, cleaned, verified):
        assert set(left.codes) == {0}
        assert left.operations


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("scenario", REMOVAL_SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_every_way_over_every_store_leaves_the_same(
    play: Play,
    expected: Callable[[RemovalScenario], LeftOfRemovals],
    scenario: RemovalScenario,
    way: type[Way],
    store: str,
) -> None:
    left, wanted = play(way, store, scenario), expected(scenario)

    assert left.answers == wanted.answers
    assert left.operations == wanted.operations
    assert left.partitions == wanted.partitions
    assert left.events == wanted.events
    assert left.records == wanted.records
    assert left.data == wanted.data
    assert left.faults == ()
