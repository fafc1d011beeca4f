"""The types of the fields of partition patterns."""

from __future__ import annotations

import re

import pytest

from databuild.graph.field_types import FIELD_TYPES
from tests.support.present import present

COUNTABLE = sorted(name for name, field_type in FIELD_TYPES.items() if field_type.counting is not None)


@pytest.mark.parametrize("name", sorted(FIELD_TYPES))
def test_the_example_of_a_type_is_one_of_its_values(name: str) -> None:
    field_type = FIELD_TYPES[name]

    assert re.fullmatch(field_type.regex, field_type.example)
    assert re.fullmatch(field_type.exact_regex, field_type.example)


@pytest.mark.parametrize("name", COUNTABLE)
def test_counting_there_and_back_gives_the_same_value(name: str) -> None:
    field_type = FIELD_TYPES[name]
    counting = field_type.counting
    assert counting is not None
    number = counting.parse(field_type.example)
    assert number is not None

    assert re.fullmatch(counting.end_regex, field_type.example)
    assert counting.format(number) == field_type.example
    assert list(counting.values(number, number + 1)) == [field_type.example, counting.format(number + 1)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("date", "2013-02-30"),
        ("month", "2013-13"),
        ("hour", "2013-01-31T24"),
        ("minute", "2013-01-31T23:60"),
        ("week", "2013-W53"),
        ("quarter", "2013-Q5"),
        ("year", "0000"),
    ],
)
def test_values_outside_the_calendar_have_no_number(name: str, value: str) -> None:
    assert present(FIELD_TYPES[name].counting).parse(value) is None
    assert not re.fullmatch(FIELD_TYPES[name].exact_regex, value)


def test_the_length_of_a_huge_range_is_known_without_its_values() -> None:
    assert len(present(FIELD_TYPES["int"].counting).values(1, 10**12)) == 10**12


def test_the_exact_regex_of_weeks_knows_the_long_years() -> None:
    week = FIELD_TYPES["week"]
    exact = re.compile(week.exact_regex)
    for year in (*range(1, 10, 3), *range(1600, 2401), *range(9950, 10000)):
        for number in (0, 1, 9, 10, 49, 50, 52, 53, 54):
            text = f"{year:04}-W{number:02}"

            assert (exact.fullmatch(text) is not None) == (present(week.counting).parse(text) is not None), text
