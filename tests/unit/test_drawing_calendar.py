"""Calendars of partitions: a cell for each day or hour with a record."""

from __future__ import annotations

import datetime as dt
from xml.etree.ElementTree import Element

from databuild.drawing.calendar import MAX_YEARS, Day, draw_calendar
from tests.support.drawn import SVG, of_class, parse, texts, titles
from tests.support.present import present

FIRST = dt.date(2024, 2, 28)


def days(count: int, first: dt.date = FIRST, **counts: int) -> list[Day]:
    return [Day(first + dt.timedelta(days=number), counts or {"available": 1}) for number in range(count)]


def cells(root: Element) -> list[Element]:
    """Returns the cells without those of the legend."""
    return [cell for cell in of_class(root, "cell") if ":" in present(cell.findtext(f"{SVG}title"))]


def corner(cell: Element) -> tuple[float, float]:
    box = present(cell.find(f"{SVG}rect"))
    return float(present(box.get("x"))), float(present(box.get("y")))


def test_each_day_is_a_cell_with_its_counts() -> None:
    root = parse(draw_calendar([Day(FIRST, {"available": 3, "failed": 1}), *days(1, FIRST + dt.timedelta(days=1))]))

    assert titles(cells(root)) == ["Wed 28 Feb 2024: 1 failed, 3 available", "Thu 29 Feb 2024: 1 available"]
    assert [cell.get("class") for cell in cells(root)] == ["cell state-failed", "cell state-available"]
    assert texts(root)[1] == "2 days: 1 failed, 4 available"


def test_weeks_are_columns_from_monday_to_sunday() -> None:
    root = parse(draw_calendar(days(14, dt.date(2024, 3, 4))))

    corners = [corner(cell) for cell in cells(root)]
    assert len({x for x, _ in corners[:7]}) == len({x for x, _ in corners[7:]}) == 1
    assert corners[7][0] > corners[0][0]
    assert [y for _, y in corners[:7]] == sorted({y for _, y in corners[:7]}) == [y for _, y in corners[7:]]


def test_no_two_days_share_a_place() -> None:
    root = parse(draw_calendar(days(4000)))

    assert len({corner(cell) for cell in cells(root)}) == 4000


def test_the_newest_year_comes_first_and_years_without_anything_do_not_come() -> None:
    root = parse(draw_calendar([*days(1, dt.date(2020, 1, 1)), *days(1, dt.date(2023, 12, 31))]))

    assert [text for text in texts(root) if text.isdigit()] == ["2023", "2020"]
    assert titles(cells(root)) == ["Sun 31 Dec 2023: 1 available", "Wed 1 Jan 2020: 1 available"]


def test_every_month_and_every_other_weekday_is_named() -> None:
    shown = texts(parse(draw_calendar(days(1))))

    assert {"Jan", "Feb", "Dec", "Mon", "Wed", "Fri", "Sun"} <= set(shown)


def test_days_of_which_nothing_is_known_are_hollow() -> None:
    root = parse(draw_calendar(days(1)))

    (hollow,) = of_class(root, "rule")
    assert present(hollow.get("d")).count("M") == 365  # of a leap year


def test_days_that_are_not_available_have_a_sign() -> None:
    states = ("stale", "tainted", "failed", "building", "missing", "available")
    root = parse(draw_calendar(Day(FIRST + dt.timedelta(days=n), {state: 1}) for n, state in enumerate(states)))

    assert [cell.find(f"{SVG}path") is not None for cell in cells(root)] == [True] * 5 + [False]
    assert texts(root)[-6:] == ["failed", "tainted", "stale", "building", "missing", "available"]


def test_cells_lead_to_where_the_caller_says() -> None:
    root = parse(draw_calendar([Day(FIRST, {"available": 1}, "/partitions?prefix=a&b")]))

    assert [link.get("href") for link in root.iter(f"{SVG}a")] == ["/partitions?prefix=a&b"]


def test_a_title_stays_text() -> None:
    root = parse(draw_calendar([], title="<script>\x00"))

    assert root[0].text == "<script>\ufffd"
    assert texts(root) == ["<script>\ufffd", "0 days with partitions"]


def test_only_the_newest_years_are_drawn_of_very_many() -> None:
    root = parse(draw_calendar(Day(dt.date(year, 6, 1), {"available": 1}) for year in range(1900, 2026)))

    assert len(cells(root)) == MAX_YEARS
    assert titles(cells(root))[0].startswith("Sun 1 Jun 2025")
    assert f"only the newest {MAX_YEARS} years are drawn" in texts(root)


def test_the_first_and_the_last_year_there_are_can_be_drawn() -> None:
    root = parse(draw_calendar([Day(dt.date(1, 1, 1), {"missing": 1}), Day(dt.date(9999, 12, 31), {"missing": 1})]))

    assert len(cells(root)) == 2
