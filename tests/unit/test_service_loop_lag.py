"""The service measures the delay of its event loop."""

from __future__ import annotations

import asyncio

import pytest

from databuild.service.resources.loop_lag import LoopLag
from tests.support.waiting import turns


class LateLoop:
    """The clock and the sleep of an event loop whose sleeps are late by the given seconds."""

    def __init__(self, *lags: float) -> None:
        self.now = 1000.0
        self._lags = list(lags)

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        if not self._lags:
            await asyncio.Event().wait()
        self.now += seconds + self._lags.pop(0)


async def measured(*lags: float) -> float:
    loop = LateLoop(*lags)
    lag = LoopLag(clock=loop.clock, sleep=loop.sleep)
    async with lag.measure():
        await turns()
    return lag.seconds


async def test_the_longest_delay_of_the_event_loop_is_remembered() -> None:
    assert await measured(0.0, 0.25, 0.125) == pytest.approx(0.25)


async def test_a_delay_is_forgotten_after_two_minutes() -> None:
    assert await measured(0.5, 60.0, 60.0, 0.0, 0.125) == pytest.approx(60.0)
    assert await measured(0.5, *[0.01] * 5) == pytest.approx(0.5)
