"""How far planning is: numbers for people, which no event holds."""

from __future__ import annotations

from typing import NamedTuple


class PlanningProgress(NamedTuple):
    """How far the planning of one build is.

    Attributes:
        levels: How many levels of the job graph are known, from what was requested to what that needs.
        partitions: How many partitions were considered.
        config_calls: How many times jobs were asked for their configurations.
        asking: The labels of the jobs that are being asked now.
    """

    levels: int = 0
    partitions: int = 0
    config_calls: int = 0
    asking: tuple[str, ...] = ()

    def text(self) -> str:
        """Returns it in a few words."""
        words = [
            f"{self.levels:,} {'level' if self.levels == 1 else 'levels'}",
            f"{self.partitions:,} {'partition' if self.partitions == 1 else 'partitions'} considered",
            f"{self.config_calls:,} config {'call' if self.config_calls == 1 else 'calls'}",
        ]
        if self.asking:
            more = f" and {len(self.asking) - 1} more" if len(self.asking) > 1 else ""
            words.append(f"asking {self.asking[0]}{more}")
        return ", ".join(words)
