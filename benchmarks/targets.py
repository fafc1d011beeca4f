"""Performance targets in one table. A missed target is no failure, since machines differ."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from benchmarks.databuild_runs import BUILD, BUILD_AGAIN, PLAN, PLAN_DECLARED, STATUS
from benchmarks.engines import BUILD as ENGINE_BUILD
from benchmarks.engines import DASK, PLAIN, REAPI
from benchmarks.engines import SCENARIO as ENGINES
from benchmarks.event_logs import BUILDS, JOBS, POSTGRESQL, SINGLE, SQLITE, UNCLAIMED
from benchmarks.event_logs import SCENARIO as EVENT_LOG
from benchmarks.execution import HUGE
from benchmarks.exporters import EXPORTERS, NONE
from benchmarks.exporters import SCENARIO as EXPORT
from benchmarks.other_tools import NINJA, NINJA_PLAN
from benchmarks.pages import PAGES
from benchmarks.planning import LAYERS
from benchmarks.planning import SCENARIO as PLANNING
from benchmarks.records import COMMANDS
from benchmarks.records import SCENARIO as RECORDS
from benchmarks.rows import Row, Rows
from benchmarks.served_builds import BY_COMMAND_LINE, BY_SERVICE, WATCHED_BY_TEN
from benchmarks.services import FIRST_EVENT, SUBMISSIONS
from benchmarks.services import SCENARIO as SERVICE
from benchmarks.shapes import Sizes
from benchmarks.start_up import BARE_PYTHON
from benchmarks.start_up import SCENARIO as START_UP
from benchmarks.stores import FIND, VERIFY, WITH_CHECK, WITHOUT_CHECK
from benchmarks.stores import LAYERS as STORE_LAYERS
from benchmarks.stores import SCENARIO as STORES
from benchmarks.workers import BUILD as WORKER_BUILD
from benchmarks.workers import PLAN as WORKER_PLAN
from benchmarks.workers import SCENARIO as WORKERS

_MIB = 1 << 20


class _Results:
    """Numbers computed from rows; None if a row is missing."""

    def __init__(self, rows: Rows, sizes: Sizes) -> None:
        self._rows = rows
        self.small, self.middle, self.large = sizes.wide
        self.few, self.many, self.most = sizes.planned
        self.chain = sizes.chain
        self.layers = sizes.planned_layers[0] * sizes.planned_layers[1]
        self.few_records, self.many_records = sizes.records
        self.most_builds = sizes.parallel_builds[-1]
        self.served = sizes.served_tasks
        self.submissions = sizes.submissions
        self.watched_builds = sizes.watched_builds
        self.worker_tasks = sizes.worker_tasks
        self.engine_tasks = sizes.engine_tasks
        self.exported = sizes.exported_tasks
        self.checked = sizes.checked_files
        self.executed_layers = sizes.layers[0] * sizes.layers[1]
        self.tenth_of_huge, self.huge = sizes.huge

    def added_ms(self, size: int, name: str) -> float | None:
        """Milliseconds per task that a contestant adds to a wide graph."""
        row = self._rows.find("wide", size, name)
        return row.added_ms if row else None

    def growth_of_added(self) -> float | None:
        """The time that DataBuild adds per task of the large wide graph, relative to the small one."""
        return _ratio(self.added_ms(self.large, BUILD), self.added_ms(self.small, BUILD))

    def growth_of_huge(self) -> float | None:
        """The time that DataBuild adds per task of the largest wide graph, relative to one of a tenth of its size."""
        few, many = (self._rows.find(HUGE, size, BUILD) for size in (self.tenth_of_huge, self.huge))
        return _ratio(many.added_ms if many else None, few.added_ms if few else None)

    def memory_of_huge(self) -> float | None:
        """The peak memory of a build of the largest wide graph, in MiB."""
        row = self._rows.find(HUGE, self.huge, BUILD)
        return row.peak_memory_bytes / _MIB if row and row.peak_memory_bytes else None

    def plan(self) -> Row | None:
        return self._rows.find(PLANNING, self.many, PLAN)

    def growth_of_plan(self) -> float | None:
        """The time of the larger plan relative to the smaller one."""
        return _time_ratio(self.plan(), self._rows.find(PLANNING, self.few, PLAN))

    def declared_plan_over_ninja(self) -> float | None:
        """The time of a declared plan, relative to `ninja -n` on the same graph."""
        declared, ninja = (self._rows.find(LAYERS, self.layers, name) for name in (PLAN_DECLARED, NINJA_PLAN))
        return _time_ratio(declared, ninja)

    def growth_of_declared_plan(self) -> float | None:
        """The time of the largest declared plan, relative to one of a tenth of its size."""
        return _time_ratio(self._declared_plan(self.most), self._declared_plan(self.many))

    def memory_of_declared_plan(self) -> float | None:
        """The peak memory of the largest declared plan, in MiB."""
        row = self._declared_plan(self.most)
        return row.peak_memory_bytes / _MIB if row and row.peak_memory_bytes else None

    def added_by_declared_chain(self) -> float | None:
        """Milliseconds per partition that planning a declared chain takes beyond start-up."""
        row = self._rows.find("chain", self.chain, PLAN_DECLARED)
        return row.added_ms if row else None

    def _declared_plan(self, size: int) -> Row | None:
        return self._rows.find(PLANNING, size, PLAN_DECLARED)

    def time_of_most_builds(self, backend: str) -> float | None:
        """The time per event of many parallel builds, relative to one insert per transaction."""
        return self._time_of_events(self.most_builds, backend, BUILDS, SINGLE)

    def time_of_claims(self, backend: str) -> float | None:
        """The time per event of one build, relative to a build without claims."""
        return self._time_of_events(1, backend, JOBS, UNCLAIMED)

    def _time_of_events(self, builds: int, backend: str, mode: str, baseline: str) -> float | None:
        rows = (self._rows.find(EVENT_LOG, builds, f"{backend}: {name}") for name in (mode, baseline))
        rate, baseline_rate = (row.events_per_second if row else None for row in rows)
        return _ratio(baseline_rate, rate)

    def growth_of_reading(self, command: str) -> float | None:
        """The time of a command with many records, relative to few records."""
        many, few = (self._rows.find(RECORDS, size, command) for size in (self.many_records, self.few_records))
        return _time_ratio(many, few)

    def growth_by_service(self, way: str) -> float | None:
        """The time of a build by the service, relative to the command line, both without start-up."""
        service, command_line = (self._rows.find(SERVICE, self.served, name) for name in (way, BY_COMMAND_LINE))
        return _time_ratio(service, command_line)

    def time_by_workers(self) -> float | None:
        """The time of a build by workers, relative to starts of an interpreter for each task."""
        row = self._rows.find(WORKERS, self.worker_tasks, WORKER_BUILD)
        return row.raw_ratio if row else None

    def added_by_config_of_workers(self) -> float | None:
        """Milliseconds per partition of a chain that `config` by workers takes."""
        row = self._rows.find(WORKERS, self.chain, WORKER_PLAN)
        return row.added_ms if row else None

    def time_of_submission(self) -> float | None:
        """Milliseconds per submission, of many over parallel connections."""
        row = self._rows.find(SERVICE, self.submissions, SUBMISSIONS)
        return row.seconds / row.tasks * 1e3 if row else None

    def time_to_first_event(self) -> float | None:
        """Milliseconds from a submission to its first event, of the median."""
        row = self._rows.find(SERVICE, self.watched_builds, FIRST_EVENT)
        return row.median_seconds * 1e3 if row else None

    def time_on_engine(self, engine: str) -> float | None:
        """The time of a build on an engine, relative to a plain client that runs the same processes."""
        rows = (self._rows.find(ENGINES, self.engine_tasks, f"{engine}: {name}") for name in (ENGINE_BUILD, PLAIN))
        return _time_ratio(*rows)

    def time_with_exporter(self, name: str) -> float | None:
        """The time of a build with an exporter, relative to one without."""
        return _time_ratio(*(self._rows.find(EXPORT, self.exported, row) for row in (name, NONE)))

    def verification_over_find(self) -> float | None:
        """The time of a verification of files, relative to `find` with stat."""
        return _time_ratio(*(self._rows.find(STORES, self.checked, name) for name in (VERIFY, FIND)))

    def time_with_check(self) -> float | None:
        """The time of a build that looks for its inputs, relative to one that does not."""
        rows = (self._rows.find(STORE_LAYERS, self.executed_layers, name) for name in (WITH_CHECK, WITHOUT_CHECK))
        return _time_ratio(*rows)

    def start_ups_of_status(self) -> float | None:
        """The time of `status`, relative to a bare interpreter."""
        return _time_ratio(self._rows.find(START_UP, 1, STATUS), self._rows.find(START_UP, 1, BARE_PYTHON))


def _time_ratio(row: Row | None, baseline: Row | None) -> float | None:
    return _ratio(row.seconds if row else None, baseline.seconds if baseline else None)


def _ratio(number: float | None, baseline: float | None) -> float | None:
    # A difference of two measurements that is close to zero may be negative; a ratio to it is meaningless.
    return number / baseline if number is not None and baseline is not None and baseline > 0 else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One target: an upper limit of a number.

    Attributes:
        text: The description of the number; names in braces are replaced by sizes.
        unit: The unit of the number and its limit.
        measured: Returns the number.
        limit: The limit, or a function that returns it.
    """

    text: str
    unit: str
    measured: Callable[[_Results], float | None]
    limit: float | Callable[[_Results], float | None]


TARGETS: Final = (
    Target(
        text="wide {middle:,}: added per task, no more than ninja adds",
        unit="ms",
        measured=lambda results: results.added_ms(results.middle, BUILD),
        limit=lambda results: results.added_ms(results.middle, NINJA),
    ),
    Target(
        text="wide {middle:,}: added per task, whatever ninja adds",
        unit="ms",
        measured=lambda results: results.added_ms(results.middle, BUILD),
        limit=1.5,
    ),
    Target(
        # No growth; 10 % is the variation between two measurements.
        text="wide: added per task of {large:,}, over that of {small:,}",
        unit="times",
        measured=_Results.growth_of_added,
        limit=1.1,
    ),
    Target(
        text="huge: added per task of {huge:,}, over that of {tenth_of_huge:,}",
        unit="times",
        measured=_Results.growth_of_huge,
        limit=1.1,
    ),
    Target(
        text="huge {huge:,}: peak memory of a build",
        unit="MiB",
        measured=_Results.memory_of_huge,
        limit=1024.0,
    ),
    Target(
        text="wide {middle:,}: a repeat beyond start-up, per partition",
        unit="ms",
        measured=lambda results: results.added_ms(results.middle, BUILD_AGAIN),
        limit=0.1,
    ),
    Target(
        text="planning {many:,}, over planning {few:,}",
        unit="times",
        measured=_Results.growth_of_plan,
        limit=12.0,
    ),
    Target(
        text="planning {many:,}",
        unit="s",
        measured=lambda results: row.seconds if (row := results.plan()) else None,
        limit=5.4,
    ),
    Target(
        text="planning {many:,}: peak memory",
        unit="MiB",
        measured=lambda results: (
            row.peak_memory_bytes / _MIB if (row := results.plan()) and row.peak_memory_bytes else None
        ),
        limit=1024.0,
    ),
    Target(
        text="planning layers of {layers:,} declared, over ninja -n",
        unit="times",
        measured=_Results.declared_plan_over_ninja,
        limit=2.0,
    ),
    Target(
        text="planning {most:,} declared, over {many:,}",
        unit="times",
        measured=_Results.growth_of_declared_plan,
        limit=12.0,
    ),
    Target(
        text="planning {most:,} declared: peak memory",
        unit="MiB",
        measured=_Results.memory_of_declared_plan,
        limit=2048.0,
    ),
    Target(
        text="planning a declared chain of {chain:,} beyond start-up, per partition",
        unit="ms",
        measured=_Results.added_by_declared_chain,
        limit=0.1,
    ),
    *(
        Target(
            text=f"{backend}: an event of {{most_builds}} builds, over one insert a transaction",
            unit="times",
            measured=functools.partial(_Results.time_of_most_builds, backend=backend),
            limit=0.2,
        )
        for backend in (SQLITE, POSTGRESQL)
    ),
    *(
        Target(
            text=f"{backend}: a build of processes that do nothing, over one without claims",
            unit="times",
            measured=functools.partial(_Results.time_of_claims, backend=backend),
            limit=1.1,
        )
        for backend in (SQLITE, POSTGRESQL)
    ),
    *(
        Target(
            text=f"{command}: beside {{many_records:,}} records, over {{few_records:,}}",
            unit="times",
            measured=functools.partial(_Results.growth_of_reading, command=command),
            limit=2.0 if command.startswith("downstream") else 3.0,
        )
        for command in COMMANDS
    ),
    *(
        Target(
            text=f"{page}: beside {{many_records:,}} records, over {{few_records:,}}",
            unit="times",
            measured=functools.partial(_Results.growth_of_reading, command=page),
            limit=2.0,
        )
        for page in PAGES
    ),
    *(
        Target(
            text=f"{{served:,}} tasks: {way}, over one by the command line, start-up aside",
            unit="times",
            measured=functools.partial(_Results.growth_by_service, way=way),
            limit=1.05,
        )
        for way in (BY_SERVICE, WATCHED_BY_TEN)
    ),
    Target(
        text="{submissions:,} submissions over 32 connections, each",
        unit="ms",
        measured=_Results.time_of_submission,
        limit=1.0,
    ),
    Target(
        text="submission to first event, median of {watched_builds:,}",
        unit="ms",
        measured=_Results.time_to_first_event,
        limit=10.0,
    ),
    Target(
        text="build of {worker_tasks:,} in Python by workers, over as many starts of python3 -S",
        unit="times",
        measured=_Results.time_by_workers,
        limit=0.2,
    ),
    Target(
        text="planning a chain of {chain:,} with config by workers, over one of 1, per partition",
        unit="ms",
        measured=_Results.added_by_config_of_workers,
        limit=0.2,
    ),
    *(
        Target(
            text=f"{engine}: build of {{engine_tasks:,}} on the engine, over a plain client",
            unit="times",
            measured=functools.partial(_Results.time_on_engine, engine=engine),
            limit=1.3,
        )
        for engine in (REAPI, DASK)
    ),
    *(
        Target(
            text=f"wide {{exported:,}} with an exporter ({name}), over none",
            unit="times",
            measured=functools.partial(_Results.time_with_exporter, name=name),
            limit=1.1,
        )
        for name in EXPORTERS
    ),
    Target(
        text="verification of {checked:,} files, over find with stat",
        unit="times",
        measured=_Results.verification_over_find,
        limit=3.0,
    ),
    Target(
        text="layers {executed_layers:,} with a look for inputs of other builds, over none",
        unit="times",
        measured=_Results.time_with_check,
        limit=1.05,
    ),
    Target(
        text="status of a finished build, over starting bare Python",
        unit="times",
        measured=_Results.start_ups_of_status,
        limit=3.0,
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The result for a target.

    Attributes:
        target: The description of the target.
        unit: The unit of the number and its limit.
        measured: The number; None if it was not measured.
        limit: The limit; None if it was not measured.
    """

    target: str
    unit: str
    measured: float | None
    limit: float | None

    @property
    def met(self) -> bool | None:
        """True if the target is met; None if the number or its limit was not measured."""
        if self.measured is None or self.limit is None:
            return None
        return self.measured <= self.limit


def judge(rows: Rows, sizes: Sizes) -> list[Verdict]:
    """Compares rows with every target."""
    results = _Results(rows, sizes)
    return [
        Verdict(
            target=target.text.format_map(vars(results)),
            unit=target.unit,
            measured=target.measured(results),
            limit=target.limit(results) if callable(target.limit) else target.limit,
        )
        for target in TARGETS
    ]
