"""Tests of the jobs of the flights example, without a graph."""

from databuild.testing import GivenInput, JobUnderTest
from examples.flights import daily_delays, daily_flights, daily_weather

PATTERNS = ["{dataset}/date={date:date}"]
DATE = "date=2013-01-01"


def execute(module, folder, *outputs, inputs=()):
    job = JobUnderTest(module.run, patterns=PATTERNS)
    result = job.execute(folder=folder, outputs=outputs, inputs=inputs, env={"FLIGHTS_DATA": str(folder / "data")})
    assert result.error is None
    return result


def test_842_flights_left_on_the_first_of_january(tmp_path):
    refs = [f"daily_flights/{DATE}", f"daily_weather/{DATE}"]
    sources = [execute(module, tmp_path, ref) for module, ref in zip((daily_flights, daily_weather), refs, strict=True)]
    inputs = [GivenInput(ref=ref, metadata=done.metadata(ref)) for ref, done in zip(refs, sources, strict=True)]
    delays = execute(daily_delays, tmp_path, f"daily_delays/{DATE}", inputs=inputs)

    assert inputs[0].metadata["rows"] == 842
    assert delays.metadata(f"daily_delays/{DATE}")["rows"] == 842
    assert all(check["passed"] for done in sources for check in done.of("check"))


def test_one_run_reports_each_of_its_days(tmp_path):
    days = [f"daily_flights/date=2013-01-{day:02}" for day in (1, 2, 31)]

    assert execute(daily_flights, tmp_path, *days).finished == days


def test_the_same_content_has_the_same_digest(tmp_path):
    once = execute(daily_weather, tmp_path, "daily_weather/date=2013-02-03")
    again = execute(daily_weather, tmp_path, "daily_weather/date=2013-02-03")

    assert once.of("partition") == again.of("partition")
