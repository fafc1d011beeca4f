"""Changes of a configuration are named, with the old and the new value."""

from __future__ import annotations

import pytest

from databuild.graph.config_comparison import config_changes, input_changes
from databuild.model.job_graph import JobConfig
from databuild.model.records import InputVersion, Manifest
from tests.support.counting import CountedText

BASE = JobConfig(("p",), ("a", "b"), ("q",), ("--day", "1", "--fast"), (("HOME", "/x"), ("MODE", "dev")))


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (BASE, ""),
        (BASE._replace(materialize=("b", "a")), ""),
        (BASE._replace(args=("--day", "2", "--fast")), "argument 2 was '1' and is '2'"),
        (BASE._replace(args=("--day", "1", "--slow", "--fast")), "argument 3, '--slow', was added"),
        (BASE._replace(args=("--day", "1")), "argument 3, '--fast', was removed"),
        (
            BASE._replace(args=("1", "--day", "--fast")),
            "argument 1 was '--day' and is '1'; argument 2 was '1' and is '--day'",
        ),
        (BASE._replace(env=(("HOME", "/x"), ("MODE", ""))), "the variable MODE was 'dev' and is ''"),
        (BASE._replace(env=(("HOME", "/x"),)), "the variable MODE, 'dev', was removed"),
        (BASE._replace(env=(("A", "1"), *BASE.env)), "the variable A, '1', was added"),
        (BASE._replace(materialize=("a", "b", "c")), "the MATERIALIZE input c was added"),
        (BASE._replace(materialize=("b",)), "the MATERIALIZE input a was removed"),
        (BASE._replace(query=()), "the QUERY input q was removed"),
        (BASE._replace(materialize=("a", "b", "q"), query=()), "the input q was QUERY and is MATERIALIZE"),
        (
            BASE._replace(env=tuple((name, "2") for name in "ABC")),
            "".join(f"the variable {name}, '2', was added; " for name in "ABC") + "and 2 more changes",
        ),
    ],
)
def test_each_part_that_has_changed_is_named(now: JobConfig, said: str) -> None:
    assert config_changes(BASE, now) == said


def test_of_long_values_the_part_that_has_changed_is_shown_with_how_long_they_are() -> None:
    old, new = "x" * 5000 + "old" + "y" * 5000, "x" * 5000 + "new" + "y" * 5000

    said = config_changes(BASE._replace(args=(old,)), BASE._replace(args=(new,)))

    shown = "…'" + "x" * 10 + "{}" + "y" * 47 + "'… (10,003 characters)"
    assert said == f"argument 1 was {shown.format('old')} and is {shown.format('new')}"


def test_changed_inputs_are_named_where_only_inputs_are_still_known() -> None:
    manifest = Manifest("//:j", "c", "d", (InputVersion("a", "1"), InputVersion("b", "1"), InputVersion("q", "", True)))

    assert input_changes(manifest, BASE) == "an argument or a variable; the earlier ones are no longer in the event log"
    assert input_changes(manifest, BASE._replace(materialize=("a",))).startswith(
        "the MATERIALIZE input b was removed; its earlier arguments"
    )


def test_comparing_many_arguments_compares_each_a_few_times() -> None:
    counts = []
    for size in (1000, 4000):
        before, now = ([CountedText(f"{number}") for number in range(size)] for _ in range(2))
        now.insert(size // 2, CountedText("new"))
        CountedText.comparisons = 0
        said = config_changes(BASE._replace(args=tuple(before)), BASE._replace(args=tuple(now)))
        counts.append(CountedText.comparisons)

        assert said == f"argument {size // 2 + 1}, 'new', was added"
    assert counts[1] <= 4 * counts[0] + 100
