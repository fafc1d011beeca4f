"""What job runs take of resources: within one build, and of what builds share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from databuild.event_log.coordination import Need
from databuild.graph.catalog import JobCatalog

RUNNING_JOBS: Final = "running jobs"
"""The resource of which every job run takes one, where a graph limits how many run at once."""

_PLACES: Final = ""


class Resources:
    """The resources of a graph, as one build sees them.

    What takes of a resource that builds share is not scheduled ahead, so that no build holds what it cannot use yet.

    Attributes:
        limits: How much there is of each resource within the build.
        needs: How much of each resource within the build one run of a job takes, by job label.
        shared: What one run of a job takes of what builds share, by job label.
    """

    def __init__(self, catalog: JobCatalog, jobs: int) -> None:
        """Takes the graph, and how many tasks of the build run at once."""
        total = dict(catalog.resources)
        if catalog.max_running_jobs:
            total[RUNNING_JOBS] = catalog.max_running_jobs
        everywhere = {RUNNING_JOBS: 1} if catalog.max_running_jobs else {}
        needs = {label: {**job.resources, **everywhere} for label, job in catalog.jobs.items()}
        self.limits: Mapping[str, int] = {**total, _PLACES: jobs}
        self.needs: Mapping[str, Mapping[str, int]] = {
            label: {**need, _PLACES: 1} for label, need in needs.items() if need
        }
        self.shared: Mapping[str, tuple[Need, ...]] = {
            label: tuple(
                Need(f"{name} of {catalog.graph_label}", count, total[name])
                for name, count in sorted(need.items())
                if name in total  # what is not, execution refuses
            )
            for label, need in needs.items()
            if need
        }
