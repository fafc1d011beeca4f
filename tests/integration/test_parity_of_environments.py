"""Parity: builds in environments, and operations on these, leave the same by every front end, over every event log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest

from tests.support.answers import Answer
from tests.support.environment_scenarios import (
    ENVIRONMENT_SCENARIOS,
    EnvironmentScenario,
    LeftInEnvironments,
    delegation,
    failures,
    lost,
    promoted,
    removed,
    shared,
)
from tests.support.played_scenarios import STORES, Stage
from tests.support.ways import WAYS, Way

Scenarios: TypeAlias = Stage[int | Answer, LeftInEnvironments]

BASE = {"number/one": "3\n", "number/two": "3\n", "number/three": "5\n", "sum/one_two": "6", "sum/two_three": "8"}
"""The data of the base after its first build."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenarios]:
    stage = Stage(LeftInEnvironments, tmp_path_factory)
    yield stage
    stage.close()


def answers(left: LeftInEnvironments) -> list[dict[str, Any]]:
    return [one for one in left.answers if not isinstance(one, int)]


def in_environment(environment: str, **data: str) -> dict[str, str]:
    """Returns data of an environment, by path."""
    return {f".environments/{environment}/{path}": text for path, text in data.items()}


def test_an_environment_uses_the_base_and_builds_what_differs(stage: Scenarios) -> None:
    left = stage.expected(shared)

    assert left.codes == [0, 0, 0, 0]
    built = [[(ref, reason) for ref, reason, _ in plan["built"]] for plan in answers(left)]
    assert built == [
        [("number/four", "MISSING")],
        [],
        [("sum/one_two", "CODE_CHANGED"), ("sum/three_four", "CODE_CHANGED")],
        [("sum/one_two", "CODE_CHANGED"), ("sum/two_three", "CODE_CHANGED")],
        [],
    ]
    own = {"number/four": "4\n", "sum/three_four": "9", "sum/one_two": "6"}
    assert left.data == BASE | {"number/four": "4\n"} | in_environment("pr-1", **own)
    assert sorted(left.environments) == ["pr-1"]
    assert sorted(left.environments["pr-1"]["events"]) == ["changed", "same"]
    assert sorted(left.events) == ["again", "base"]


def test_promoted_data_is_that_of_the_base(stage: Scenarios) -> None:
    left = stage.expected(promoted)
    compared, chosen, refused, one, rest, nothing, after, plan, absent, absent_too = answers(left)

    assert left.codes == [0, 0, 0]
    assert {ref: status for ref, (status, *_) in compared.items()} == {
        "number/four": "NEW",
        "number/one": "CHANGED",
        "number/two": "CHANGED",
        "sum/one_two": "CHANGED",
    }
    assert list(chosen) == ["number/one"]
    assert "its input 'number/one' is another one in the base" in refused["refused"]
    assert [done["promoted"] for done in (one, rest, nothing)] == [
        ["number/four"],
        ["number/one", "number/two", "sum/one_two"],
        [],
    ]
    assert after == {"sum/one_two": ("SAME", "//numbers:sum", [])}
    assert [ref for ref, *_ in plan["built"]] == ["number/three", "sum/two_three"]
    assert absent == absent_too == {"refused": "there is no environment 'absent'; there are pr-1"}
    assert len(left.operations) == 2
    own = {"number/four": "8\n", "number/one": "6\n", "number/two": "6\n", "sum/one_two": "12"}
    assert left.data == BASE | {"number/three": "10\n", "sum/two_three": "16"} | in_environment("pr-1", **own)


def test_a_removed_environment_leaves_only_what_the_base_uses(stage: Scenarios) -> None:
    left = stage.expected(removed)
    before, _, first, again, after, plan, second, _ = answers(left)

    assert left.codes == [0, 0, 0, 0, 0]
    assert (before, after) == ({"pr-1": (1, 3), "pr-2": (1, 1)}, {"pr-2": (1, 1)})
    assert first["deleted"] == ["data/.environments/pr-1/number/two", "data/.environments/pr-1/sum/one_two"]
    assert list(first["kept"]) == ["data/.environments/pr-1/number/one"]
    assert again == {"refused": "there is no environment 'pr-1'; there are pr-2"}
    assert plan["built"] == []
    assert second == {"deleted": [], "kept": {}}
    assert sorted(left.environments) == ["pr-2"]
    assert {name.partition("/")[0] for name in left.environment_logs} == {"pr-2"}
    own = in_environment("pr-1", **{"number/one": "6\n", "number/two": "6\n"})
    other = in_environment("pr-2", **{"number/one": "6\n"})
    assert left.data == BASE | {"number/two": "6\n", "sum/one_two": "12"} | own | other


def test_failures_and_cancellations_in_an_environment_do_not_concern_the_base(stage: Scenarios) -> None:
    left = stage.expected(failures)

    assert left.codes == [0, 1, 0, 130, 0]
    assert sorted(left.events) == ["base"]
    assert sorted(left.environments["pr-1"]["events"]) == ["cancelled", "failed", "resumed", "retried"]
    (plan,) = answers(left)
    assert {reason for _, reason, _ in plan["built"]} == {"MISSING"}
    own = {"number/four": "4\n", "number/fail-1": "6\n", "sum/fail-1_one": "9"}
    own |= {"number/hang-1": "6\n", "sum/hang-1_one": "9"}
    assert left.data == BASE | in_environment("pr-1", **own)


def test_builds_delegate_within_their_environment_only(stage: Scenarios) -> None:
    left = stage.expected(delegation)

    assert left.codes == [0, 0, 0, 0, 0]
    wait = {"number/wait-1": "6\n"}
    own = in_environment("pr-1", **wait, **{"sum/wait-1_two": "9"})
    assert left.data == BASE | wait | own | in_environment("pr-2", **wait)


def test_losses_that_an_environment_finds_are_its_own(stage: Scenarios) -> None:
    left = stage.expected(lost)
    plan, as_built, changed, again, base = answers(left)

    assert left.codes == [0, 0, 0]
    assert plan["built"] == [["number/two", "LOST", ""], ["sum/one_two", "CODE_CHANGED", ""]]
    assert [found["findings"] for found in (as_built, changed, again, base)] == [
        [],
        [("sum/one_two", "changed")],
        [],
        [("number/two", "missing")],
    ]
    kept = {path: text for path, text in BASE.items() if path != "number/two"}
    own = {"number/two": "3\n", "sum/one_two": "6"}
    assert left.data == kept | in_environment("pr-1", **own)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("scenario", ENVIRONMENT_SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_every_way_over_every_store_leaves_the_same(
    stage: Scenarios, scenario: EnvironmentScenario, way: type[Way], store: str
) -> None:
    left, wanted = stage.play(way, store, scenario), stage.expected(scenario)

    assert left.answers == wanted.answers
    assert left.environments == wanted.environments
    assert left.environment_logs == wanted.environment_logs
    assert left.operations == wanted.operations
    assert left.partitions == wanted.partitions
    assert left.events == wanted.events
    assert left.records == wanted.records
    assert left.data == wanted.data
    assert left.logs == wanted.logs
    assert left.faults == ()
    assert all(contents["faults"] == () for contents in left.environments.values())
