"""What DataBuild means to reach, in one table. Nothing fails where a target is missed: machines differ."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from benchmarks.databuild_runs import BUILD, BUILD_AGAIN, PLAN, STATUS
from benchmarks.event_logs import BUILDS, JOBS, POSTGRESQL, SINGLE, SQLITE, UNCLAIMED
from benchmarks.event_logs import SCENARIO as EVENT_LOG
from benchmarks.other_tools import NINJA
from benchmarks.pages import PAGES
from benchmarks.planning import SCENARIO as PLANNING
from benchmarks.records import COMMANDS
from benchmarks.records import SCENARIO as RECORDS
from benchmarks.rows import Row, Rows
from benchmarks.served_builds import BY_COMMAND_LINE, BY_SERVICE
from benchmarks.services import SCENARIO as SERVICE
from benchmarks.shapes import Sizes
from benchmarks.start_up import BARE_PYTHON
from benchmarks.start_up import SCENARIO as START_UP

_MIB = 1 << 20


class _Found:
    """Numbers of rows; None where something was not measured."""

    def __init__(self, rows: Rows, sizes: Sizes) -> None:
        self._rows = rows
        self.small, self.middle, self.large = sizes.wide
        self.few, self.many = sizes.planned
        self.few_records, self.many_records = sizes.records
        self.most_builds = sizes.builds_at_once[-1]
        self.served = sizes.served_tasks

    def added_ms(self, size: int, what: str) -> float | None:
        """Milliseconds per task that something adds to a wide graph."""
        row = self._rows.find("wide", size, what)
        return row.added_ms if row else None

    def growth_of_added(self) -> float | None:
        """What DataBuild adds per task of the large wide graph, over what it adds per task of the small one."""
        return _ratio(self.added_ms(self.large, BUILD), self.added_ms(self.small, BUILD))

    def plan(self) -> Row | None:
        """The larger plan."""
        return self._rows.find(PLANNING, self.many, PLAN)

    def growth_of_plan(self) -> float | None:
        """The time of the larger plan over that of the smaller one."""
        both = (self.plan(), self._rows.find(PLANNING, self.few, PLAN))
        large, small = (row.seconds if row else None for row in both)
        return _ratio(large, small)

    def time_of_most_builds(self, backend: str) -> float | None:
        """The time of an event of many builds at once, over that of one insert per transaction."""
        return self._time_of_events(self.most_builds, backend, BUILDS, SINGLE)

    def time_of_claims(self, backend: str) -> float | None:
        """The time of an event of one build, over that of one without claims."""
        return self._time_of_events(1, backend, JOBS, UNCLAIMED)

    def _time_of_events(self, builds: int, backend: str, what: str, other: str) -> float | None:
        """The time that an event of builds takes in an event log, over that in another row of the same event log."""
        both = (self._rows.find(EVENT_LOG, builds, f"{backend}: {name}") for name in (what, other))
        one, two = (row.events_per_second if row else None for row in both)
        return _ratio(two, one)

    def growth_of_reading(self, command: str) -> float | None:
        """The time of a command beside many records, over that beside few."""
        both = (self._rows.find(RECORDS, size, command) for size in (self.many_records, self.few_records))
        many, few = (row.seconds if row else None for row in both)
        return _ratio(many, few)

    def growth_by_service(self) -> float | None:
        """The time of a build by the service, over that by the command line, start-up aside."""
        both = (self._rows.find(SERVICE, self.served, what) for what in (BY_SERVICE, BY_COMMAND_LINE))
        one, other = (row.seconds if row else None for row in both)
        return _ratio(one, other)

    def start_ups_of_status(self) -> float | None:
        """The time of `status` over that of a bare interpreter."""
        both = (self._rows.find(START_UP, 1, STATUS), self._rows.find(START_UP, 1, BARE_PYTHON))
        status, bare = (row.seconds if row else None for row in both)
        return _ratio(status, bare)


def _ratio(number: float | None, of: float | None) -> float | None:
    # What is next to nothing may come out below zero, and says nothing then.
    return number / of if number is not None and of is not None and of > 0 else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One target: something that is to be at most so much.

    Attributes:
        text: What is measured; names in braces are sizes.
        unit: The unit of both numbers.
        measured: Returns what was measured.
        limit: What it may be at most, or what returns that.
    """

    text: str
    unit: str
    measured: Callable[[_Found], float | None]
    limit: float | Callable[[_Found], float | None]


TARGETS: Final = (
    Target(
        text="wide {middle:,}: added per task, no more than ninja adds",
        unit="ms",
        measured=lambda found: found.added_ms(found.middle, BUILD),
        limit=lambda found: found.added_ms(found.middle, NINJA),
    ),
    Target(
        text="wide {middle:,}: added per task, whatever ninja adds",
        unit="ms",
        measured=lambda found: found.added_ms(found.middle, BUILD),
        limit=1.5,
    ),
    Target(
        # No growth, but for what two measurements differ in.
        text="wide: added per task of {large:,}, over that of {small:,}",
        unit="times",
        measured=_Found.growth_of_added,
        limit=1.1,
    ),
    Target(
        text="wide {middle:,}: a repeat beyond start-up, per partition",
        unit="ms",
        measured=lambda found: found.added_ms(found.middle, BUILD_AGAIN),
        limit=0.1,
    ),
    Target(
        text="planning {many:,}, over planning {few:,}",
        unit="times",
        measured=_Found.growth_of_plan,
        limit=12.0,
    ),
    Target(
        text="planning {many:,}",
        unit="s",
        measured=lambda found: row.seconds if (row := found.plan()) else None,
        limit=5.4,
    ),
    Target(
        text="planning {many:,}: peak memory",
        unit="MiB",
        measured=lambda found: (
            row.peak_memory_bytes / _MIB if (row := found.plan()) and row.peak_memory_bytes else None
        ),
        limit=1024.0,
    ),
    *(
        Target(
            text=f"{backend}: an event of {{most_builds}} builds, over one insert a transaction",
            unit="times",
            measured=functools.partial(_Found.time_of_most_builds, backend=backend),
            limit=0.2,
        )
        for backend in (SQLITE, POSTGRESQL)
    ),
    *(
        Target(
            text=f"{backend}: a build of processes that do nothing, over one without claims",
            unit="times",
            measured=functools.partial(_Found.time_of_claims, backend=backend),
            limit=1.1,
        )
        for backend in (SQLITE, POSTGRESQL)
    ),
    *(
        Target(
            text=f"{command}: beside {{many_records:,}} records, over {{few_records:,}}",
            unit="times",
            measured=functools.partial(_Found.growth_of_reading, command=command),
            limit=3.0,
        )
        for command in COMMANDS
    ),
    *(
        Target(
            text=f"{page}: beside {{many_records:,}} records, over {{few_records:,}}",
            unit="times",
            measured=functools.partial(_Found.growth_of_reading, command=page),
            limit=2.0,
        )
        for page in PAGES
    ),
    Target(
        text="build of {served:,} by the service, over that by the command line, start-up aside",
        unit="times",
        measured=_Found.growth_by_service,
        limit=1.05,
    ),
    Target(
        text="status of a finished build, over starting bare Python",
        unit="times",
        measured=_Found.start_ups_of_status,
        limit=3.0,
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What became of a target.

    Attributes:
        target: The target, in words.
        unit: The unit of the numbers.
        measured: What was measured; None where it was not.
        limit: What it may be at most; None where that was not measured.
    """

    target: str
    unit: str
    measured: float | None
    limit: float | None

    @property
    def met(self) -> bool | None:
        """Whether it is met; None where that is not known."""
        if self.measured is None or self.limit is None:
            return None
        return self.measured <= self.limit


def judge(rows: Rows, sizes: Sizes) -> list[Verdict]:
    """Holds rows against every target."""
    found = _Found(rows, sizes)
    return [
        Verdict(
            target=target.text.format_map(vars(found)),
            unit=target.unit,
            measured=target.measured(found),
            limit=target.limit(found) if callable(target.limit) else target.limit,
        )
        for target in TARGETS
    ]
