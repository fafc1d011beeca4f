"""Parity: removals, verifications and changes of data leave the same by every front end, over every event log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import pytest

from tests.support.answers import Answer
from tests.support.command_line_ways import CommandLine, Server
from tests.support.played_scenarios import STORES, Stage
from tests.support.removal_scenarios import (
    REMOVAL_SCENARIOS,
    LeftOfRemovals,
    RemovalScenario,
    change,
    clean,
    delete,
    forget,
    verify,
)
from tests.support.ways import Client, Grpc, Http, Way

WAYS: tuple[type[Way], ...] = (CommandLine, Server, Grpc, Http, Client)

Scenarios: TypeAlias = Stage[int | Answer, LeftOfRemovals]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenarios]:
    stage = Stage(LeftOfRemovals, tmp_path_factory)
    yield stage
    stage.close()


def answers(left: LeftOfRemovals) -> list[Answer]:
    return [one for one in left.answers if not isinstance(one, int)]


def test_scenarios_end_as_they_should(stage: Scenarios) -> None:
    forgotten, deleted, cleaned, verified = map(stage.expected, (forget, delete, clean, verify))

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


def test_sums_of_changed_numbers_are_made_once_and_again_when_the_number_is(stage: Scenarios) -> None:
    left = stage.expected(change)

    made = {
        name: sorted(one["ref"] for one in records if one.get("status") == "AVAILABLE" and one["task_id"])
        for name, records in left.records.items()
    }
    assert made == {
        "first": ["number/one", "number/three", "number/two", "sum/one_two", "sum/two_three"],
        "changed": ["number/four", "sum/two_four"],
        "repeated": [],
        "again": ["number/two", "sum/two_four"],
    }


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("scenario", REMOVAL_SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_every_way_over_every_store_leaves_the_same(
    stage: Scenarios, scenario: RemovalScenario, way: type[Way], store: str
) -> None:
    left, wanted = stage.play(way, store, scenario), stage.expected(scenario)

    assert left.answers == wanted.answers
    assert left.operations == wanted.operations
    assert left.partitions == wanted.partitions
    assert left.events == wanted.events
    assert left.records == wanted.records
    assert left.data == wanted.data
    assert left.faults == ()
