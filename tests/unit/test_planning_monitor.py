"""The progress of planning: the jobs that are answering."""

from __future__ import annotations

from databuild.graph.partition_graph import PartitionGraph
from databuild.graph.planning_monitor import PlanningMonitor
from databuild.model.pacing import Pace
from tests.support.planning import Told, any_catalog


def test_a_job_is_configuring_while_any_of_its_calls_runs() -> None:
    told = Told()
    monitor = PlanningMonitor(any_catalog(), PartitionGraph(), {}, Pace(), told)
    for label in ("//:b", "//:a", "//:a"):
        monitor.call_started(label)
    for label in ("//:a", "//:b", "//:a"):
        monitor.call_ended(label)
    monitor.call_started("//:b")

    assert [(one.config_calls, one.configuring_jobs) for one in told.progress] == [
        (1, ("//:b",)),
        (2, ("//:a", "//:b")),
        (3, ("//:a", "//:b")),
        (3, ("//:a", "//:b")),
        (3, ("//:a",)),
        (3, ()),
        (4, ("//:b",)),
    ]
