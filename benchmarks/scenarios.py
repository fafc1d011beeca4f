"""All scenarios. To add one, add a function here and the targets of its rows to targets.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from benchmarks import engines, event_logs, exporters, peer_tools, planning, records, services, stores, workers
from benchmarks.execution import HUGE, execute, execute_huge
from benchmarks.rows import Row
from benchmarks.session import Measurement, Session
from benchmarks.shapes import Chain, Layers, Wide

Scenario = Callable[[Session, Mapping[str, Measurement]], Iterator[Row]]
"""Measures something and yields rows, given the start-up of each program."""


def _chain(session: Session, start_up: Mapping[str, Measurement]) -> Iterator[Row]:
    yield from execute(session, start_up, [Chain(length=session.sizes.chain)])


def _wide(session: Session, start_up: Mapping[str, Measurement]) -> Iterator[Row]:
    yield from execute(session, start_up, [Wide(width=width) for width in session.sizes.wide])


def _layers(session: Session, start_up: Mapping[str, Measurement]) -> Iterator[Row]:
    height, width = session.sizes.layers
    yield from execute(session, start_up, [Layers(height=height, width=width)])


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "chain": _chain,
    "wide": _wide,
    "layers": _layers,
    planning.SCENARIO: planning.plan,
    "event_log": event_logs.load,
    records.SCENARIO: records.read,
    services.SCENARIO: services.serve,
    workers.SCENARIO: workers.serve,
    engines.SCENARIO: engines.compare_clients,
    exporters.SCENARIO: exporters.compare_exporters,
    stores.SCENARIO: stores.check_files,
    HUGE: execute_huge,
    peer_tools.SCENARIO: peer_tools.compare_peers,
    # The server of S3 adds to the peak memory of all processes that are started after it.
    stores.OBJECT_SCENARIO: stores.check_objects,
}
"""The scenarios, by their names in `--shape`."""

USUAL: Final = tuple(name for name in SCENARIOS if name not in {HUGE, peer_tools.SCENARIO, stores.OBJECT_SCENARIO})
"""The scenarios that run if none is named; the others take many minutes, or need other tools."""
