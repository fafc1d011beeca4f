"""Numbers of partitions over time, and differences of schemas."""

from __future__ import annotations

import pytest

from databuild.graph.patterns import PartitionPattern
from databuild.graph.series import only_series_of, series_of
from databuild.model.schemas import schema_changes
from databuild.model.trends import Measured, is_outlier, median_of, quantity_text, summary_text, trend
from tests.support.present import present


def _series(*values: float, name: str = "p") -> list[Measured]:
    return [Measured(f"{name}/{day}", f"2026-01-{day:02}", day, value) for day, value in enumerate(values, 1)]


@pytest.mark.parametrize(
    ("value", "earlier", "expected"),
    [
        (100, [10, 11, 9, 10, 12], True),
        (13, [10, 11, 9, 10, 12], False),
        (100, [10, 11, 9, 10], False),  # too few for a statement
        (10, [10] * 8, False),
        (11, [10] * 8, True),
        (11, [*[10] * 6, 12, 8], False),  # more than half are equal, and the others differ as much
        (60, [*[10] * 6, 12, 8], True),
    ],
)
def test_a_value_far_from_those_before_it_is_an_outlier(value: float, earlier: list[float], expected: bool) -> None:
    assert is_outlier(value, earlier) is expected


@pytest.mark.parametrize(
    ("value", "earlier", "words"),
    [
        (1204, [1942.0] * 30, "rows: 1,204, 38 % below the median of the last 30"),
        (110, [100.0, 90, 120], "rows: 110, 10 % above the median of the last 3"),
        (100, [100.0, 90, 120], "rows: 100, equal to the median of the last 3"),
        (100.1, [100.0], "rows: 100.1, less than 1 % above the median of the last 1"),
        (1200, [100.0], "rows: 1,200, 12 times the median of the last 1"),
        (5, [0.0], "rows: 5, above the median of the last 1"),
        (-2000, [1.0], "rows: -2,000, far below the median of the last 1"),
        (7, [], "rows: 7, the first"),
    ],
)
def test_the_change_to_the_usual_is_said_in_words(value: float, earlier: list[float], words: str) -> None:
    assert summary_text("rows", "", value, earlier) == words


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1204, "", "1,204"),
        (0.12345, "", "0.1235"),
        (1536, "bytes", "1.5 KiB"),
        (100, "bytes", "100 bytes"),
        (3.25, "s", "3.25 s"),
        (1e300, "", "1e+300"),
    ],
)
def test_a_number_has_its_unit(value: float, unit: str, text: str) -> None:
    assert quantity_text(value, unit) == text


def test_the_median_of_an_even_number_is_in_the_middle() -> None:
    assert median_of([4.0, 1, 3, 2]) == 2.5


def test_a_trend_marks_outliers_within_their_series() -> None:
    one, other = _series(1, 1, 1, 1, 1, 90), _series(90, 90, 90, 90, 90, 90, name="q")

    found = trend("rows", "", [one, other])
    of_one = trend("rows", "", [one], "p/2")

    assert [point.ref for point in found.points if point.outlier] == ["p/6"]
    assert [point.ref for point in found.points][:2] == ["p/1", "q/1"]
    assert found.summary == ""
    assert of_one.summary == "rows: 1, equal to the median of the last 1"


def test_only_the_last_values_count() -> None:
    values = [*[1.0] * 40, *[100.0] * 31]

    assert [point.outlier for point in trend("rows", "", [_series(*values)]).points][-1] is False


def test_changes_of_a_schema_are_named() -> None:
    before = {"day": "DATE", "rows": "INTEGER", "old": "VARCHAR"}
    after = {"rows": "BIGINT", "day": "DATE", "new": "VARCHAR"}

    assert schema_changes(before, after) == (
        "column rows was INTEGER and is BIGINT",
        "column new (VARCHAR) is new",
        "column old (VARCHAR) is gone",
        "the columns are in another order",
    )
    assert schema_changes(before, before) == ()


def test_many_changes_of_a_schema_are_counted() -> None:
    changes = schema_changes({}, {f"c{number}": "INTEGER" for number in range(30)})

    assert len(changes) == 21
    assert changes[-1] == "10 more changes"


@pytest.mark.parametrize(
    ("pattern", "ref", "same", "others"),
    [
        ("d/date={date:date}", "d/date=2026-01-02", "d/date=2025-12-31", "d/date=2026-02-30"),
        ("d/c={c}/date={date:date}", "d/c=AA/date=2026-01-02", "d/c=AA/date=2026-01-03", "d/c=BB/date=2026-01-03"),
        ("d/h={h:hour}/c={c}", "d/h=2026-01-02T03/c=AA", "d/h=2026-01-02T04/c=AA", "d/h=2026-01-02T04/c=BB"),
        ("d/m={m:month}", "d/m=2026-01", "d/m=2026-02", "d/m=2026-13"),
    ],
)
def test_a_series_has_the_partitions_that_differ_in_the_date(pattern: str, ref: str, same: str, others: str) -> None:
    series = present(series_of(PartitionPattern(pattern), ref))

    assert ref.replace(series.date(ref), series.date(same)) == same
    assert series.date(others) == ""


def test_dates_have_distances() -> None:
    series = present(only_series_of(PartitionPattern("d/date={date:date}")))

    assert present(series.position("2026-03-01")) - present(series.position("2026-02-27")) == 2
    assert series.position("2026-02-30") is None
    assert only_series_of(PartitionPattern("d/date={date:date}/c={c}")) is None
    assert series_of(PartitionPattern("d/{name}"), "d/x") is None
    assert series_of(PartitionPattern("d/{date:date}"), "other") is None
