"""Test support: tests of a job without a graph.

    job = JobUnderTest(daily_flights.config, daily_flights.run)

    def test_a_month_is_one_task():
        (config,) = job.configure("daily_flights/date=2013-01-01", "daily_flights/date=2013-01-02")

        assert config.materialize == ()

    def test_every_output_is_reported(tmp_path):
        result = job.execute_for("daily_flights/date=2013-01-01", folder=tmp_path)

        assert result.exit_code == 0
        assert result.finished == ["daily_flights/date=2013-01-01"]

A job that declares its inputs in its BUILD file has a run function alone. Its tests give it outputs and inputs:

    job = JobUnderTest(run, patterns=["carrier_report/month={month:month}", "daily_delays/date={date:date}"])

    def test_a_report_has_a_line_for_each_carrier(tmp_path):
        delays = GivenInput(ref="daily_delays/date=2013-01-01", metadata={"path": "delays.csv"})
        result = job.execute(folder=tmp_path, outputs=["carrier_report/month=2013-01"], inputs=[delays])

The job runs in the process of the test, without Bazel. `check_worker` runs it in processes of their own, and tells
whether a worker can serve it (docs/workers.md). To test a graph, use the rule `databuild_graph_test`.
"""

from databuild.testing.given_task import GivenInput
from databuild.testing.jobs import JobUnderTest, RunResult
from databuild.testing.worker_check import WorkerDifferenceError

__all__ = ["GivenInput", "JobUnderTest", "RunResult", "WorkerDifferenceError"]
