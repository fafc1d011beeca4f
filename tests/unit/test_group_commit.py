"""Operations share transactions, and observers are notified of durable events, in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import NoReturn

import pytest

from databuild.errors import EventLogError, InvalidStateTransitionError
from databuild.event_log.coordination import ClaimRequest
from databuild.event_log.group_commit import Append, ClaimAll, GroupCommit, Operation
from databuild.v1 import events_pb2 as ev


class Store:
    """Accepts all operations except the given ones, and remembers the transactions."""

    def __init__(self) -> None:
        self.transactions: list[list[Operation]] = []
        self.refused: list[Operation] = []
        self.error: Exception | None = None

    def write(self, operations: Sequence[Operation]) -> list[Exception | None]:
        self.transactions.append(list(operations))
        if self.error:
            raise self.error
        return [
            InvalidStateTransitionError("build COMPLETED", "anything") if one in self.refused else None
            for one in operations
        ]


class Observer:
    """Remembers its notifications."""

    def __init__(self) -> None:
        self.events: list[ev.BuildEvent] = []
        self.closed = False

    def notify(self, events: Sequence[ev.BuildEvent]) -> None:
        self.events += events

    def close(self) -> None:
        self.closed = True


class FailingObserver(Observer):
    def notify(self, events: Sequence[ev.BuildEvent]) -> NoReturn:
        raise RuntimeError("out of order")


def append(*sequences: int) -> Append:
    return Append([ev.BuildEvent(build_request_id="b", sequence=sequence) for sequence in sequences])


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def commit(store: Store) -> AsyncIterator[GroupCommit]:
    commit = GroupCommit(store)
    yield commit
    await commit.close()


@pytest.fixture
def observer(commit: GroupCommit) -> Observer:
    observer = Observer()
    commit.observe(observer)
    return observer


def sequences(observer: Observer) -> list[int]:
    return [event.sequence for event in observer.events]


async def test_operations_that_are_not_awaited_share_a_transaction_with_one_that_is(
    commit: GroupCommit, store: Store
) -> None:
    commit.submit(append(1))
    await commit.submit(append(2))

    assert store.transactions == [[append(1), append(2)]]


async def test_observers_are_notified_in_order_before_the_append_returns(
    commit: GroupCommit, observer: Observer
) -> None:
    commit.submit(append(1, 2))
    assert sequences(observer) == []

    await commit.submit(append(3))

    assert sequences(observer) == [1, 2, 3]


async def test_observers_are_notified_of_appends_whose_caller_was_cancelled(
    commit: GroupCommit, observer: Observer
) -> None:
    durable = commit.submit(append(1))
    durable.cancel()
    await commit.submit(append(2))

    assert sequences(observer) == [1, 2]


async def test_observers_are_not_notified_of_refused_failed_or_empty_operations(
    commit: GroupCommit, store: Store, observer: Observer
) -> None:
    store.refused = [append(1)]
    with pytest.raises(InvalidStateTransitionError):
        await commit.submit(append(1))
    await commit.submit(ClaimAll([ClaimRequest("b", "b.1.1", ("p",))]))
    await commit.submit(append())
    store.error = EventLogError("the disk is full")
    with pytest.raises(EventLogError):
        await commit.submit(append(2))

    assert sequences(observer) == []


async def test_an_observer_that_fails_stops_neither_the_append_nor_other_observers(
    commit: GroupCommit, caplog: pytest.LogCaptureFixture
) -> None:
    failing, other = FailingObserver(), Observer()
    commit.observe(failing)
    commit.observe(other)

    with caplog.at_level(logging.ERROR, logger="databuild.event_log"):
        await commit.submit(append(1))

    assert sequences(other) == [1]
    assert "failed on events of build b" in caplog.text


async def test_closing_writes_and_notifies_first_and_then_closes_observers(store: Store) -> None:
    commit = GroupCommit(store)
    observer = Observer()
    commit.observe(observer)
    commit.submit(append(1))

    await commit.close()

    assert sequences(observer) == [1]
    assert observer.closed
    with pytest.raises(EventLogError, match="closed"):
        await commit.submit(append(2))


async def test_closing_twice_closes_once(store: Store) -> None:
    commit = GroupCommit(store)
    observer = Observer()
    commit.observe(observer)

    await asyncio.gather(commit.close(), commit.close())

    assert observer.closed
