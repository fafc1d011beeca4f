"""Test support: tests of a job without a graph.

    job = JobUnderTest(daily_flights.config, daily_flights.run)

    def test_a_month_is_one_task():
        (config,) = job.configure("daily_flights/date=2013-01-01", "daily_flights/date=2013-01-02")

        assert config.materialize == ()

    def test_every_output_is_reported(tmp_path):
        result = job.execute_for("daily_flights/date=2013-01-01", folder=tmp_path)

        assert result.exit_code == 0
        assert result.finished == ["daily_flights/date=2013-01-01"]

The job runs in the process of the test, without Bazel. To test a graph, use the rule `databuild_graph_test`.
"""

from databuild.testing.jobs import JobUnderTest, RunResult

__all__ = ["JobUnderTest", "RunResult"]
