"""The progress of planning, for displays. No event holds it."""

from __future__ import annotations

from databuild.tuples import NamedTuple


class PlanningProgress(NamedTuple):
    """The progress of the planning of one build.

    Attributes:
        levels: The number of levels of the job graph that are known, from the requested partitions upstream.
        partitions: The number of partitions that were considered.
        config_calls: The number of calls of jobs' `config`.
        configuring_jobs: The labels of the jobs whose `config` is running.
    """

    levels: int = 0
    partitions: int = 0
    config_calls: int = 0
    configuring_jobs: tuple[str, ...] = ()

    def text(self) -> str:
        """Returns a summary such as `3 levels, 120 partitions considered, 4 config calls, configuring //:raw`."""
        parts = [
            f"{self.levels:,} {'level' if self.levels == 1 else 'levels'}",
            f"{self.partitions:,} {'partition' if self.partitions == 1 else 'partitions'} considered",
            f"{self.config_calls:,} config {'call' if self.config_calls == 1 else 'calls'}",
        ]
        if self.configuring_jobs:
            more = f" and {len(self.configuring_jobs) - 1} more" if len(self.configuring_jobs) > 1 else ""
            parts.append(f"configuring {self.configuring_jobs[0]}{more}")
        return ", ".join(parts)
