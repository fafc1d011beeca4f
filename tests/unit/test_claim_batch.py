"""Verdicts on claims, and the moment when they take effect."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from typing import Any

import pytest

from databuild.errors import EventLogError
from databuild.event_log.coordination import Claim
from databuild.graph.ports import Verdict
from databuild.orchestration.coordination.claim_batch import BatchVerdicts, ClaimBatch

START = [Verdict.START]


def future() -> asyncio.Future[Sequence[Claim]]:
    return asyncio.get_running_loop().create_future()


async def test_verdicts_are_there_as_soon_as_the_claims_are_answered() -> None:
    claims = future()
    claiming = ClaimBatch(claims, lambda _: BatchVerdicts(START))
    before = claiming.done()
    claims.set_result([Claim(1)])

    assert (before, claiming.done()) == (False, True)
    assert await claiming == claiming.result() == START


async def test_verdicts_wait_for_what_must_be_written_first() -> None:
    claims, written = future(), asyncio.get_running_loop().create_future()
    claiming = ClaimBatch(claims, lambda _: BatchVerdicts(START, written))
    claims.set_result([Claim(1)])
    before = claiming.done()
    waiting = asyncio.ensure_future(claiming)
    await asyncio.sleep(0)
    waited = not waiting.done()
    written.set_result(None)

    assert (before, waited, claiming.done()) == (False, True, True)
    assert await waiting == START


async def test_a_failed_write_is_raised_in_the_waiter() -> None:
    claims, written = future(), asyncio.get_running_loop().create_future()
    claiming = ClaimBatch(claims, lambda _: BatchVerdicts(START, written))
    claims.set_result([Claim(1)])
    written.set_exception(EventLogError("it is full"))

    with pytest.raises(EventLogError, match="it is full"):
        await claiming


async def test_claims_are_judged_once_and_without_being_asked() -> None:
    claims = future()
    judged: list[Sequence[Claim]] = []

    def judge(answers: Sequence[Claim]) -> BatchVerdicts:
        judged.append(answers)
        return BatchVerdicts(START)

    claiming = ClaimBatch(claims, judge)
    claims.set_result([Claim(1)])
    await asyncio.sleep(0)
    already = list(judged)
    await claiming

    assert judged == already == [[Claim(1)]]


class Flushing(asyncio.Future[Sequence[Claim]]):
    """Remembers that it was awaited, as the operations of an event log do, which are then written at once."""

    awaited = False

    def __await__(self) -> Generator[Any, None, Sequence[Claim]]:
        self.awaited = True
        return (yield from super().__await__())


@pytest.mark.parametrize("urgent", [True, False])
async def test_only_urgent_claims_are_written_at_once(urgent: bool) -> None:
    claims = Flushing()
    waiting = asyncio.ensure_future(ClaimBatch(claims, lambda _: BatchVerdicts(START), urgent=urgent))
    await asyncio.sleep(0)
    claims.set_result([Claim(1)])

    assert await waiting == START
    assert claims.awaited == urgent
