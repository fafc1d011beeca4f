"""Claims, leases and resource use: what builds that share an event log tell each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


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
    """How much of a resource one build holds.

    Attributes:
        resource: The resource.
        build_request_id: The build.
        amount: How much of it the build's job runs hold.
        waiting: True if a recent request of the build for more was refused.
    """

    resource: str
    build_request_id: str
    amount: int
    waiting: bool


TAKEN_OVER: Final = "another process has taken it over"
"""Reason of a CoordinationError: the lease of a queued build has another holder now."""


class Lease(NamedTuple):
    """A build counts as alive until its lease expires.

    Attributes:
        build_request_id: The build.
        expires: Seconds since the epoch, by the clock of the store.
        holder: The process of its orchestrator, as `databuild.event_log.liveness` names it.
        submitter: The user who submitted the build to the queue of a service; empty for other builds.
    """

    build_request_id: str
    expires: float
    holder: str
    submitter: str = ""


class Queued(NamedTuple):
    """Marks a build of a service's queue: another service can continue it as long as nothing of it has run.

    Attributes:
        submitter: The user who submitted the build; never empty.
        left_by: The dead holder of the lease that is taken over; empty if none is.
    """

    submitter: str
    left_by: str = ""
