"""Resources of job runs: those within one build, and those that builds share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from databuild.event_log.coordination import Need
from databuild.graph.catalog import JobCatalog

RUNNING_JOBS: Final = "running jobs"
"""The resource of which each job run needs 1, if the graph has `max_running_jobs`."""

_SLOTS: Final = ""
"""The slots of one build as a resource; its name cannot be that of a resource of a graph."""


class Resources:
    """The resources of a graph for one build.

    Attributes:
        limits: The amount of each resource within the build.
        needs: The amount of each resource within the build that one run of a job needs, by job label.
        shared: The resources shared by builds that one run of a job needs, by job label.
    """

    def __init__(self, catalog: JobCatalog, jobs: int) -> None:
        """Computes limits and needs; `jobs` is the number of tasks of the build that run at once."""
        total = dict(catalog.resources)
        if catalog.max_running_jobs:
            total[RUNNING_JOBS] = catalog.max_running_jobs
        every_run = {RUNNING_JOBS: 1} if catalog.max_running_jobs else {}
        needs = {label: {**job.resources, **every_run} for label, job in catalog.jobs.items()}
        self.limits: Mapping[str, int] = {**total, _SLOTS: jobs}
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
