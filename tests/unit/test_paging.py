"""Keyset paging."""

from __future__ import annotations

import pytest

from databuild.model.paging import read_pages, read_rows


class Numbers:
    """Numbers in order; remembers the requests."""

    def __init__(self, count: int) -> None:
        self.numbers = list(range(1, count + 1))
        self.asked: list[int] = []

    def read(self, after: int, limit: int) -> list[int]:
        self.asked.append(after)
        return [number for number in self.numbers if number > after][:limit]


def keep(number: int) -> int:
    return number


@pytest.mark.parametrize(
    ("count", "pages", "asked"),
    [
        (0, [], [0]),
        (2, [[1, 2]], [0]),
        (3, [[1, 2, 3]], [0, 3]),
        (4, [[1, 2, 3], [4]], [0, 3]),
    ],
)
def test_a_short_page_is_the_last(count: int, pages: list[list[int]], asked: list[int]) -> None:
    numbers = Numbers(count)

    assert list(read_pages(numbers.read, key=keep, start=0, size=3)) == pages
    assert numbers.asked == asked


def test_rows_come_one_by_one_from_a_given_key() -> None:
    assert list(read_rows(Numbers(7).read, key=keep, start=2, size=2)) == [3, 4, 5, 6, 7]


def test_rows_that_are_removed_meanwhile_hide_no_others() -> None:
    numbers = Numbers(6)
    rows = []
    for row in read_rows(numbers.read, key=keep, start=0, size=2):
        rows.append(row)
        numbers.numbers.remove(row)

    assert rows == [1, 2, 3, 4, 5, 6]


def test_nothing_is_read_before_it_is_needed() -> None:
    numbers = Numbers(9)
    rows = read_rows(numbers.read, key=keep, start=0, size=2)

    assert [next(rows), next(rows)] == [1, 2]
    assert numbers.asked == [0]
