"""Tests of the Python jobs of the flights example, without a graph."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from databuild.testing import JobUnderTest, RunResult
from examples.flights import daily_flights, daily_weather


def execute(module: ModuleType, folder: Path, *outputs: str, days_before: Sequence[int] = ()) -> RunResult:
    job = JobUnderTest(module.run, patterns=["{dataset}/date={date:date}"])
    history = [{"rows": rows} for rows in days_before]
    result = job.execute(folder=folder, outputs=outputs, env={"DATABUILD_DATA_ROOT": str(folder)}, history=history)
    assert result.error is None
    return result


def test_842_flights_left_on_the_first_of_january(tmp_path: Path) -> None:
    ref = "daily_flights/date=2013-01-01"
    result = execute(daily_flights, tmp_path, ref)

    assert result.metadata(ref)["rows"] == 842
    assert [check["passed"] for check in result.of("check")] == [True, True]


def test_thanksgiving_has_unusually_few_flights(tmp_path: Path) -> None:
    result = execute(daily_flights, tmp_path, "daily_flights/date=2013-11-28", days_before=[1014, 989, 942, 896, 744])

    (unusual,) = [check for check in result.of("check") if not check["passed"]]
    assert unusual["severity"] == "SEVERITY_WARNING"
    assert unusual["message"] == "rows is 634, 33 % below the median 942 of the last 5; 30 % is usual"


def test_one_run_reports_each_of_its_days(tmp_path: Path) -> None:
    days = [f"daily_flights/date=2013-01-{day:02}" for day in (1, 2, 31)]

    assert execute(daily_flights, tmp_path, *days).finished == days


def test_the_same_content_has_the_same_digest(tmp_path: Path) -> None:
    once = execute(daily_weather, tmp_path, "daily_weather/date=2013-02-03")
    again = execute(daily_weather, tmp_path, "daily_weather/date=2013-02-03")

    assert [one["content_digest"] for one in once.of("partition")] == [
        one["content_digest"] for one in again.of("partition")
    ]
