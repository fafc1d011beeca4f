"""How late the event loop is, is noticed."""

import asyncio
import time

from databuild.service.resources.loop_lag import LoopLag


async def test_what_holds_up_the_event_loop_is_seen_and_remembered():
    lag = LoopLag()
    async with lag.measure():
        await asyncio.sleep(0)
        time.sleep(0.2)  # noqa: ASYNC251
        await asyncio.sleep(0.1)

    assert lag.seconds > 0.1
