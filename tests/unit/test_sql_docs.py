"""The queries of docs/sql_jobs.md run, with the results that the page shows."""

from __future__ import annotations

import re
from pathlib import Path

from databuild.sql.testing.case import Case, run_case
from tests.support.sql import SqlRun, make_query

PAGE = (Path(__file__).parents[2] / "docs" / "sql_jobs.md").read_text()
ORDERS = """\
ordered_at,product,amount
2024-02-28T09:15:00,tea,12.50
2024-02-29T10:00:00,tea,7.50
2024-02-29T16:45:00,coffee,20.00
"""


def blocks(language: str) -> list[str]:
    """Returns the code blocks of a language, in order."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language]


def test_the_first_query_sums_the_orders_of_a_day(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    query = make_query(blocks("sql")[0], datasets={}, fields=["date"], sources={"orders": ["orders.csv"]})
    job = SqlRun(tmp_path)

    job.produce(query, fields={"date": "2024-02-29"}, field_types={"date": "date"})

    assert job.rows() == [("coffee", 1, 20.0), ("tea", 1, 7.5)]


def test_the_second_query_reads_the_case_of_the_page(tmp_path: Path) -> None:
    (case_rows,) = [block for block in blocks("") if block.startswith("date,")]
    (tmp_path / "case.csv").write_text(case_rows)
    (tmp_path / "expected.csv").write_text("date,amount,amount_so_far\n2024-02-28,12.5,12.5\n2024-02-29,7.5,20\n")
    checks = dict(re.findall(r'checks = \{"(has_sales)": "(.*?)"\}', PAGE))
    query = make_query(
        blocks("sql")[1],
        checks=checks,
        datasets={"daily_sales": "daily_sales"},
        output="weekly_sales/week={week:week}",
    )
    case = Case(
        output="weekly_sales/week=2024-W09",
        inputs={"daily_sales": [str(tmp_path / "case.csv")]},
        expected=str(tmp_path / "expected.csv"),
        ordered=True,
        types={"date": "DATE"},
        failing_checks=(),
    )

    assert len(query.checks) == 1
    assert run_case(query, case).faults == []


def test_every_check_of_the_page_is_valid() -> None:
    checks = re.findall(r'"(\w+)": "(SELECT .*?)"', PAGE)

    assert len(checks) == 4
    for name, sql in checks:
        make_query("SELECT 1", checks={name: sql}, datasets={"daily_delays": "daily_delays"})
