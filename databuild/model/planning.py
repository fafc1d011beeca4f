"""The progress of planning, for displays. No event holds it."""

from __future__ import annotations

from typing import NamedTuple


class PlanningProgress(NamedTuple):
    """The progress of the planning of one build.

    Attributes:
        levels: The number of levels of the job graph that are known, from the requested partitions upstream.
        partitions: The number of partitions that were considered.
        config_calls: The number of calls of jobs' `config`.
        asking: The labels of the jobs whose `config` is running.
    """

    levels: int = 0
    partitions: int = 0
    config_calls: int = 0
    asking: tuple[str, ...] = ()

    def text(self) -> str:
        """Returns a summary such as `3 levels, 120 partitions considered, 4 config calls, asking //:raw`."""
        parts = [
            f"{self.levels:,} {'level' if self.levels == 1 else 'levels'}",
            f"{self.partitions:,} {'partition' if self.partitions == 1 else 'partitions'} considered",
            f"{self.config_calls:,} config {'call' if self.config_calls == 1 else 'calls'}",
        ]
        if self.asking:
            more = f" and {len(self.asking) - 1} more" if len(self.asking) > 1 else ""
            parts.append(f"asking {self.asking[0]}{more}")
        return ", ".join(parts)
