"""Which scenarios there are. A further one is a function here, and its rows' targets in targets.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from benchmarks import event_logs, planning, records, services
from benchmarks.execution import execute
from benchmarks.rows import Row
from benchmarks.shapes import Chain, Layers, Wide
from benchmarks.sitting import Measured, Sitting

Scenario = Callable[[Sitting, Mapping[str, Measured]], Iterator[Row]]
"""Measures something and yields rows, given the start-up of each program."""


def _chain(sitting: Sitting, start_up: Mapping[str, Measured]) -> Iterator[Row]:
    yield from execute(sitting, start_up, [Chain(length=sitting.sizes.chain)])


def _wide(sitting: Sitting, start_up: Mapping[str, Measured]) -> Iterator[Row]:
    yield from execute(sitting, start_up, [Wide(width=width) for width in sitting.sizes.wide])


def _layers(sitting: Sitting, start_up: Mapping[str, Measured]) -> Iterator[Row]:
    height, width = sitting.sizes.layers
    yield from execute(sitting, start_up, [Layers(height=height, width=width)])


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "chain": _chain,
    "wide": _wide,
    "layers": _layers,
    planning.SCENARIO: planning.plan,
    "event_log": event_logs.load,
    records.SCENARIO: records.read,
    services.SCENARIO: services.serve,
}
"""By the name that `--shape` knows."""
