"""Claims, leases and resource use, by which builds that share an event log coordinate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from databuild.tuples import NamedTuple


class Need(NamedTuple):
    """The amount of a resource that a job run takes, and the limit for all builds together."""

    resource: str
    amount: int
    limit: int


class ClaimRequest(NamedTuple):
    """The request of a job run, right before it starts, for resources and to be the only producer of its outputs."""

    build_request_id: str
    job_run_id: str
    refs: tuple[str, ...]
    needs: tuple[Need, ...] = ()


class Claim(NamedTuple):
    """The answer to a ClaimRequest, which is granted completely or not at all.

    Attributes:
        token: The fencing token, greater than that of every earlier claim; 0 if nothing was granted.
        held_by: The other builds that hold refs, by ref.
        versions: The version of the data that exists, by ref; refs without data are absent.
        short_of: A resource that is exhausted, or that another build may take first.
    """

    token: int
    held_by: Mapping[str, str] = {}
    versions: Mapping[str, str] = {}
    short_of: str = ""


class ResourceUse(NamedTuple):
    """The amount of a resource that one build holds.

    Attributes:
        resource: The resource.
        build_request_id: The build.
        amount: The amount that the build's job runs hold.
        waiting: True if a recent request of the build for more was refused.
    """

    resource: str
    build_request_id: str
    amount: int
    waiting: bool


LEASE_TAKEN_OVER: Final = "another process has taken it over"
"""The reason in the error that a process gets when it renews a lease that another process has taken over."""


class Lease(NamedTuple):
    """A build counts as alive until its lease expires.

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
        name: The owner; empty if no other process may take the lease over before the build is executing.
        previous_holder: The dead holder from which the lease is taken over; empty for a new lease.
    """

    name: str
    previous_holder: str = ""
