"""Resources of job runs: those within one build, and those that builds share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from databuild.event_log.coordination import Need
from databuild.graph.catalog import JobCatalog

RUNNING_JOBS: Final = "running jobs"
"""The resource of which each job run needs 1, if the graph has `max_running_jobs`."""

_SLOTS: Final = ""
_LOCAL_SLOTS: Final = " "
"""The slots of one build as resources, all of them and those on this machine. No graph has resources of these names."""


class Resources:
    """The resources of a graph for one build.

    Attributes:
        needs: The amount of each resource within the build that one run of a job needs, by job label.
        shared: The resources shared by builds that one run of a job needs, by job label.
    """

    def __init__(self, catalog: JobCatalog, *, on_engine: bool = False) -> None:
        """Computes the needs; `on_engine` is True if an engine runs all jobs but those that are always local."""
        total = dict(catalog.resources)
        if catalog.max_running_jobs:
            total[RUNNING_JOBS] = catalog.max_running_jobs
        every_run = {RUNNING_JOBS: 1} if catalog.max_running_jobs else {}
        needs = {label: {**job.resources, **every_run} for label, job in catalog.jobs.items()}
        self._total = total
        if on_engine:
            for label, job in catalog.jobs.items():
                if job.always_local:
                    needs[label][_LOCAL_SLOTS] = 1
        # A job that needs a shared resource also needs a slot. So no more of its tasks are claimed ahead than can run,
        # and no build holds shared resources that it cannot use yet.
        self.needs: Mapping[str, Mapping[str, int]] = {
            label: {**need, _SLOTS: 1} for label, need in needs.items() if need
        }
        self.shared: Mapping[str, tuple[Need, ...]] = {
            label: tuple(
                Need(f"{name} of {catalog.graph_label}", count, total[name])
                for name, count in sorted(need.items())
                if name in total  # execution refuses a resource that the graph does not have
            )
            for label, need in needs.items()
            if need
        }

    def limits(self, jobs: int, local_jobs: int) -> Mapping[str, int]:
        """Returns the amount of each resource within the build.

        Args:
            jobs: The number of tasks that run at once.
            local_jobs: The number of tasks among them that run on this machine at once.
        """
        return {**self._total, _SLOTS: jobs, _LOCAL_SLOTS: local_jobs}
