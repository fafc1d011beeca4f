"""What an event log offers: appending, and reading what the events add up to.

Appending is asynchronous, since it waits for the disk; reading is synchronous, since each read is a short keyed query
and the commands that only read must not pay for an event loop. Code on an event loop reads in a thread.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from databuild.event_log.tables import Table
    from databuild.model.records import (
        BuildPartitionRecord,
        BuildRecord,
        JobRunRecord,
        LogSizes,
        PartitionRecord,
    )
    from databuild.v1.events_pb2 import BuildEvent


class Need(NamedTuple):
    """How much of a resource a job run takes, and how much of it there is for all builds together."""

    resource: str
    amount: int
    limit: int


class ClaimRequest(NamedTuple):
    """What a job run asks for right before it starts: to be the only one that produces its outputs, and resources."""

    build_request_id: str
    job_run_id: str
    refs: tuple[str, ...]
    needs: tuple[Need, ...] = ()


class Claim(NamedTuple):
    """The answer to a ClaimRequest: all of it was granted, or nothing.

    Attributes:
        token: The fencing token, greater than that of every earlier claim; 0 where nothing was granted.
        held_by: The build that holds a ref, by ref, where another does.
        versions: The version of the data that there is, by ref, where there is any.
        short_of: The resource that there is too little of, or that it is another build's turn to take.
    """

    token: int
    held_by: Mapping[str, str] = {}
    versions: Mapping[str, str] = {}
    short_of: str = ""


class ResourceUse(NamedTuple):
    """What one build has of one resource.

    Attributes:
        resource: The resource.
        build_request_id: The build.
        amount: How much of it the build's job runs hold.
        waiting: Whether the build asked for more a moment ago, in vain.
    """

    resource: str
    build_request_id: str
    amount: int
    waiting: bool


LEASE_TAKEN_OVER: Final = "another process has taken it over"
"""The reason that a process is told when it renews a lease that another process has taken over."""


class Lease(NamedTuple):
    """Until when a build counts as alive without being heard of.

    Attributes:
        build_request_id: The build.
        expires: Seconds since the epoch, by the clock of the store.
        holder: The process of its orchestrator, as `databuild.event_log.liveness` names it.
        owner: The owner, if another process may take the lease over before anything has run; else empty.
    """

    build_request_id: str
    expires: float
    holder: str
    owner: str = ""


class LeaseOwner(NamedTuple):
    """The owner of a lease that another process may take over when its holder has died and nothing has run yet.

    Attributes:
        name: The owner; never empty.
        previous_holder: The dead holder from which the lease is taken over; empty for a new lease.
    """

    name: str
    previous_holder: str = ""


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


class Reader(Protocol):
    """Reads the read models and the events. Each call sees one consistent state.

    Every method raises EventLogError where the store cannot be read. Pages are by key: `after` is the last key of the
    page before, and a page has at most `limit` rows.
    """

    def build(self, build_request_id: str) -> BuildRecord | None:
        """Returns one build."""
        ...

    def builds_beginning(self, prefix: str, limit: int = 10) -> Sequence[str]:
        """Returns ids of builds that begin with a prefix, newest first."""
        ...

    def builds(self, *, status: str | None = None, before: str | None = None, limit: int = 20) -> Sequence[BuildRecord]:
        """Returns builds, newest first; `before` is the id of the last build of the page before."""
        ...

    def build_partitions(
        self, build_request_id: str, *, status: str | None = None, after: str = "", limit: int = 1000
    ) -> Sequence[BuildPartitionRecord]:
        """Returns the partitions of one build with their statuses in it, by ref."""
        ...

    def job_runs(
        self, build_request_id: str, *, status: str | None = None, after: int = 0, limit: int = 1000
    ) -> Sequence[JobRunRecord]:
        """Returns the job runs of one build, in the order in which they were first heard of.

        Args:
            build_request_id: The build.
            status: Only runs of this status.
            after: The `number` of the last run of the page before.
            limit: How many to return at most.
        """
        ...

    def job_run(self, job_run_id: str) -> JobRunRecord | None:
        """Returns one job run."""
        ...

    def partition_records(self, refs: Collection[str]) -> Mapping[str, PartitionRecord]:
        """Returns what is known of partitions, by ref; a ref of which nothing is known is absent."""
        ...

    def partitions(
        self,
        *,
        prefix: str = "",
        contains: str = "",
        status: str | None = None,
        after: str = "",
        limit: int = 100,
    ) -> Sequence[PartitionRecord]:
        """Returns partition records by ref: those that begin with `prefix`, contain `contains` and have `status`.

        `status` is one of the names of `partition_counts`.
        """
        ...

    def partition_counts(self) -> Mapping[str, int]:
        """Returns how many partitions there are of each newest status (`TAINTED` apart)."""
        ...

    def produced_by(self, ref: str, *, limit: int = 20) -> Sequence[JobRunRecord]:
        """Returns the job runs that were to produce a partition, newest first: its history."""
        ...

    def runs_of_job(self, job_label: str, *, limit: int = 20) -> Sequence[JobRunRecord]:
        """Returns the job runs of a job that were started, newest first."""
        ...

    def claimed(self, refs: Collection[str]) -> Mapping[str, str]:
        """Returns the build that claims a ref, by ref; a ref that nobody claims is absent."""
        ...

    def claims_of(self, build_request_id: str) -> Mapping[str, str]:
        """Returns the job run for which a build claims a ref, by ref."""
        ...

    def leases(self) -> Sequence[tuple[Lease, bool]]:
        """Returns the leases of builds that have not ended, and whether each has run out, by build."""
        ...

    def resource_use(self) -> Sequence[ResourceUse]:
        """Returns what the builds that have not ended hold of resources and wait for, by resource and build."""
        ...

    def events(self, build_request_id: str, *, after_sequence: int = 0, limit: int = 1000) -> Sequence[BuildEvent]:
        """Returns events of one build, in order."""
        ...

    def all_events(self, *, after_position: int = 0, limit: int = 1000) -> Iterator[tuple[int, BuildEvent]]:
        """Returns events of all builds in the order in which they were written, each with its position."""
        ...

    def size(self) -> int:
        """Returns how many bytes the log takes, which is known without looking through it."""
        ...

    def sizes(self) -> LogSizes:
        """Returns how large the log is; counts its events, which takes a while where there are many millions."""
        ...

    def bytes_of_events(self, build_request_ids: Collection[str]) -> int:
        """Returns how many bytes the events of builds take, without what the store adds."""
        ...

    def rows(self, table: Table, *, after: Sequence[Any] = (), limit: int = 1000) -> Sequence[tuple[Any, ...]]:
        """Returns rows of a table as they are kept, by key; `after` is the key of the last row of the page before."""
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """Returns a context in which every call but `wait` sees the same state, however long it takes."""
        ...

    def wait(self, seconds: float) -> bool:
        """Waits until events may have come since the last call, at most so long, and returns whether some may have.

        The first call returns at once. Look again after a call that returned False, too: what a writer that died had no
        time to tell of comes without news.
        """
        ...

    def close(self) -> None:
        """Lets go of the store."""
        ...
