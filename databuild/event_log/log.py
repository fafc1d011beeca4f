"""The interface of an event log: appends, claims, leases and pruning. Reads are in `reads.py`.

Appends are asynchronous, since they wait for the disk.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from databuild.event_log.coordination import Claim, ClaimRequest, LeaseOwner
    from databuild.event_log.cursors import Cursors
    from databuild.event_log.reads import Reader
    from databuild.v1.events_pb2 import BuildEvent


class Observer(Protocol):
    """Receives events when they are durable. It is called on the event loop of the log, so it must be quick."""

    def notify(self, events: Sequence[BuildEvent]) -> None:
        """Receives events of one build, in order. An error is logged; it does not stop the build or other observers."""
        ...

    def close(self) -> None:
        """Is called when the event log is closed; no events follow."""
        ...


class EventLog(Protocol):
    """An append-only log of build events, with read models that change in the same transaction."""

    def append(self, events: Sequence[BuildEvent]) -> Awaitable[None]:
        """Appends events of one build, all or none. They are durable when the result has been awaited.

        Appends become durable in their order, so a caller may append several times and await only the last. Many
        pending appends share one transaction.

        Raises:
            InvalidStateTransitionError: (when awaited) The lifecycle does not allow the events; none was written.
            EventLogError: (when awaited) The events could not be written.
        """
        ...

    def claim(self, requests: Sequence[ClaimRequest]) -> Awaitable[Sequence[Claim]]:
        """Claims the outputs of job runs; each request gets all of its refs and resources or none.

        A ref that the same build already holds is granted again. Earlier appends are taken into account. A claim ends
        with the event that gives its partition a final status in the build, or with the build. Resources are released
        by the event that ends their job run. Builds that wait for a resource take turns.

        Raises:
            CoordinationError: (when awaited) The lease of the build expired, and another build has ended it.
            EventLogError: (when awaited) The claims could not be written.
        """
        ...

    def renew_lease(
        self, build_request_id: str, holder: str, seconds: float, owner: LeaseOwner | None = None
    ) -> Awaitable[None]:
        """Acquires or renews the lease of a build, by the clock of the store.

        Args:
            build_request_id: The build.
            holder: The process of its orchestrator.
            seconds: The time until the lease expires.
            owner: The owner, if another process may take the lease over. It can be taken only from the previous holder
                that it names.

        Raises:
            CoordinationError: (when awaited) The build has ended, or its lease has an owner and another holder.
            EventLogError: (when awaited) The lease could not be written.
        """
        ...

    def remove_lease(self, build_request_id: str, holder: str) -> Awaitable[None]:
        """Removes the lease of a process that died before its build was recorded.

        Changes nothing if the log has the build, or if another process holds the lease.

        Args:
            build_request_id: The build.
            holder: The process that has died.

        Raises:
            EventLogError: (when awaited) The lease could not be removed.
        """
        ...

    def observe(self, observer: Observer) -> None:
        """Notifies an observer of events that are appended through this object, when they are durable."""
        ...

    def reader(self) -> Reader:
        """Returns a reader that sees everything that is durable. It may be used by one thread at a time.

        It connects when it first reads, so that many queued builds need no connection each.
        """
        ...

    def follow(self) -> Reader:
        """Returns a reader like `reader`, for a follower that reads all events as they come.

        From now on this object may keep the newest events that it has written in memory, so that the reader need not
        read them from the store.
        """
        ...

    def pruner(self) -> Pruner:
        """Returns a pruner. It may be used by one thread at a time, concurrently with appends and reads."""
        ...

    def cursors(self) -> Cursors:
        """Returns the cursors of exporters. They may be used by one thread, concurrently with appends and reads."""
        ...

    async def close(self) -> None:
        """Writes all pending operations, and releases the store."""
        ...


class Pruner(Protocol):
    """Removes events and rows of builds that have ended, and keeps their effect on partitions.

    Every method raises EventLogError if the store fails. Finished steps stay finished, and the next call continues from
    there. Transactions are short, so that builds can run meanwhile.
    """

    def prune(self, build_request_ids: Collection[str], time: float) -> None:
        """Removes the events of builds, and their rows of partitions and job runs except those of current data.

        The rows of the builds themselves stay. Builds that have not ended are skipped. Events of operations (taints,
        adoptions, ...) are never removed.

        Args:
            build_request_ids: The builds.
            time: The `pruned_time` of the builds, in seconds since the epoch.
        """
        ...

    def resume(self) -> None:
        """Finishes interrupted prunings, and removes rows of pruned builds whose data has been replaced since."""
        ...

    def vacuum(self) -> int:
        """Returns unused space to the file system, if the store can, and returns the number of bytes."""
        ...

    def close(self) -> None:
        """Releases the store."""
        ...
