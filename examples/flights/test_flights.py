"""Tests of the jobs of the flights example, without a graph."""

from pathlib import Path

import pytest

from databuild.job import ConfigError
from databuild.testing import JobUnderTest
from examples.flights import carrier_report, daily_delays, daily_flights, daily_weather, year_summary

FLIGHTS = JobUnderTest(daily_flights.config, daily_flights.run)
WEATHER = JobUnderTest(daily_weather.config, daily_weather.run)
DELAYS = JobUnderTest(daily_delays.config, daily_delays.run)


def test_the_configuration_does_not_depend_on_the_requested_days() -> None:
    (alone,) = FLIGHTS.configure("daily_flights/date=2013-01-02")
    (among_others,) = FLIGHTS.configure("daily_flights/date=2013-01-02", "daily_flights/date=2013-01-03")

    assert alone == among_others
    assert len(alone.outputs) == 31


def test_another_year_is_refused() -> None:
    with pytest.raises(ConfigError, match="only flights of 2013"):
        FLIGHTS.configure("daily_flights/date=2014-01-01")


def test_a_report_needs_every_day_of_its_month() -> None:
    (config,) = JobUnderTest(carrier_report.config, carrier_report.run).configure("carrier_report/month=2013-02")

    assert config.materialize[-1] == "daily_delays/date=2013-02-28"


def test_the_year_needs_365_days() -> None:
    (config,) = JobUnderTest(year_summary.config, year_summary.run).configure("year_summary/year=2013")

    assert sum(ref.startswith("daily_delays/") for ref in config.materialize) == 365


def test_842_flights_left_on_the_first_of_january(tmp_path: Path) -> None:
    env = {"FLIGHTS_DATA": str(tmp_path / "data")}
    flights = FLIGHTS.execute_for("daily_flights/date=2013-01-01", folder=tmp_path, env=env)
    weather = WEATHER.execute_for("daily_weather/date=2013-01-01", folder=tmp_path, env=env)
    delays = DELAYS.execute_for("daily_delays/date=2013-01-01", folder=tmp_path, env=env)

    assert (flights.exit_code, weather.exit_code, delays.exit_code) == (0, 0, 0)
    assert flights.metadata("daily_flights/date=2013-01-01")["rows"] == 842
    assert delays.metadata("daily_delays/date=2013-01-01")["rows"] == 842
    assert len(flights.finished) == 31
    assert all(check["passed"] for check in flights.of("check"))


def test_the_same_content_has_the_same_digest(tmp_path: Path) -> None:
    env = {"FLIGHTS_DATA": str(tmp_path / "data")}
    once = WEATHER.execute(["2013-02"], folder=tmp_path, env=env)
    again = WEATHER.execute(["2013-02"], folder=tmp_path, env=env)

    assert once.of("partition") == again.of("partition")
