"""Appends to an event log, claims and leases in it, and prunes it. What can be read is in `reads.py`.

Appending is asynchronous, since it waits for the disk.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from databuild.event_log.coordination import Claim, ClaimRequest, LeaseOwner
    from databuild.event_log.reads import Reader
    from databuild.v1.events_pb2 import BuildEvent


class Observer(Protocol):
    """Learns of events when they are durable. It is called on the event loop of the log, so that it must be quick."""

    def notify(self, events: Sequence[BuildEvent]) -> None:
        """Takes events of one build, in order. An error is logged and stops neither the build nor other observers."""
        ...

    def close(self) -> None:
        """Takes no more: the event log is closed."""
        ...


class EventLog(Protocol):
    """An append-only log of build events, with read models that change in the same transaction."""

    def append(self, events: Sequence[BuildEvent]) -> Awaitable[None]:
        """Takes events of one build, in order, to be written together; the result is awaited for durability.

        What is appended first is durable no later than what is appended after it, so a caller may append several times
        and await only the last. Many waiting appends share one transaction.

        Raises:
            InvalidStateTransitionError: (when awaited) The events may not come next; nothing of them was written.
            EventLogError: (when awaited) They could not be written.
        """
        ...

    def claim(self, requests: Sequence[ClaimRequest]) -> Awaitable[Sequence[Claim]]:
        """Claims the outputs of job runs, each with all of its refs or none; the result is awaited for durability.

        A ref that the same build holds already is granted again. What was appended before is taken into account. Claims
        end with the event that ends their partition in their build, and with the build; resources come back with the
        event that ends their job run. Builds that wait for a resource take turns.

        Raises:
            CoordinationError: (when awaited) The lease of the build has run out, and another build has ended it.
            EventLogError: (when awaited) They could not be written.
        """
        ...

    def renew_lease(
        self, build_request_id: str, holder: str, seconds: float, owner: LeaseOwner | None = None
    ) -> Awaitable[None]:
        """Makes a build count as alive for so many seconds from now on, by the clock of the store.

        Args:
            build_request_id: The build.
            holder: The process of its orchestrator.
            seconds: How long it counts as alive.
            owner: The owner, if another process may take the lease over; only the named previous holder loses it.

        Raises:
            CoordinationError: (when awaited) The build has ended, or its lease has an owner and another holder.
            EventLogError: (when awaited) It could not be written.
        """
        ...

    def observe(self, observer: Observer) -> None:
        """Notifies an observer of events that are appended through this object, once they are durable."""
        ...

    def reader(self) -> Reader:
        """Returns a reader that sees everything that is durable. It may be used from any one thread at a time.

        It connects when it first reads, so that many builds may wait for their turn without a connection each.
        """
        ...

    def pruner(self) -> Pruner:
        """Returns what prunes builds. It may be used from any one thread at a time, beside everything else."""
        ...

    async def close(self) -> None:
        """Writes what is waiting and lets go of the store."""
        ...


class Pruner(Protocol):
    """Turns builds that have ended into what they added up to.

    Every method raises EventLogError where the store fails; what was done until then stays done, and the next call goes
    on from there. Transactions are short, so that builds go on meanwhile.
    """

    def prune(self, build_request_ids: Collection[str], time: float) -> None:
        """Removes events, partitions and job runs of builds, but what partitions rest on; the builds' own rows stay.

        What has not ended is left as it is. Events that are of no build (taints, adoptions, ...) are never removed.

        Args:
            build_request_ids: The builds.
            time: When it is done, in seconds since the epoch; kept as `pruned_time` of the builds.
        """
        ...

    def go_on(self) -> None:
        """Removes what is left of builds that were pruned before and needed no more."""
        ...

    def give_back(self) -> int:
        """Gives room that is not used any more back to the disk, where the store can, and returns how many bytes."""
        ...

    def close(self) -> None:
        """Lets go of the store."""
        ...
