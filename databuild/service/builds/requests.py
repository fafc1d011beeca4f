"""What a caller asks for, and whether it is what an earlier request with the same id asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from databuild.errors import BuildConflictError, InvalidRequestError
from databuild.event_log.reads import BuildReads
from databuild.graph.catalog import JobCatalog
from databuild.model.build_request_id import check_build_request_id, new_build_request_id
from databuild.model.job_graph import Plan
from databuild.orchestration.build.settings import BuildRequest
from databuild.orchestration.coordination.build_ids import LATEST
from databuild.service.resources.limits import Limits
from databuild.v1 import plan_pb2

_DIFFERENCES: Final = (
    ("requested", "other partitions"),
    ("retry_of", "a retry of another build"),
    ("jobs", "another number of jobs"),
    ("keep_going", "keep_going"),
    ("force", "force"),
    ("reuse_stale", "what becomes of stale partitions"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """A build as a caller asks for it.

    Attributes:
        build_request_id: The id that it is to have; empty lets the service choose.
        partitions: Refs or ranges of refs; none stand for the graph's default partitions.
        jobs: How many job runs may run at once; 0 lets the service choose.
        keep_going: Whether to go on with what does not depend on a failure.
        force: Whether to build what was requested even if it is fresh.
        reuse_stale: Whether to use stale partitions as they are.
        plan: The plan to run exactly, which also says what is requested; None to plan anew.
    """

    build_request_id: str = ""
    partitions: tuple[str, ...] = ()
    jobs: int = 0
    keep_going: bool = False
    force: bool = False
    reuse_stale: bool = False
    plan: Plan | None = None


def requested_partitions(catalog: JobCatalog, partitions: tuple[str, ...], limits: Limits) -> tuple[str, ...]:
    """Returns the refs that texts ask for, ranges expanded; without any, the graph's default partitions.

    Raises:
        InvalidRequestError: Nothing is asked for, or something that is not there.
    """
    texts = partitions or catalog.default_partitions
    if not texts:
        message = f"no partition is named, and {catalog.graph_label} has no default_partitions"
        raise InvalidRequestError(message)
    return catalog.expand(texts, limits.max_partitions)


def build_request(submission: Submission, requested: tuple[str, ...], limits: Limits, retry_of: str) -> BuildRequest:
    """Returns the request of a build.

    Args:
        submission: What the caller asks for.
        requested: The refs that this means.
        limits: What is allowed.
        retry_of: The build that it retries; empty for none.

    Raises:
        InvalidRequestError: It asks for what cannot be.
    """
    told = submission.build_request_id
    if told:
        check_build_request_id(told)
    if told == LATEST:
        raise InvalidRequestError(f"{LATEST!r} cannot be the id of a build: it means the newest one")
    if not 0 <= submission.jobs <= limits.max_jobs:
        raise InvalidRequestError(f"jobs is {submission.jobs}, and can be at most {limits.max_jobs}")
    plan = submission.plan
    return BuildRequest(
        build_request_id=told or new_build_request_id(),
        requested=requested,
        jobs=submission.jobs or limits.default_jobs,
        keep_going=submission.keep_going,
        force=plan.force if plan else submission.force,
        reuse_stale=plan.reuse_stale if plan else submission.reuse_stale,
        plan=plan,
        retry_of=retry_of,
    )


def difference(one: BuildRequest, other: BuildRequest) -> str:
    """Returns what two requests differ in, in words; empty where they ask for the same."""
    return ", ".join(words for name, words in _DIFFERENCES if getattr(one, name) != getattr(other, name))


def recorded_request(reader: BuildReads, build_request_id: str) -> BuildRequest | None:
    """Returns what a build was asked for, as its first event says; None where there is no such build.

    Raises:
        BuildConflictError: The build was pruned, so that nothing tells any more.
    """
    build = reader.build(build_request_id)
    if build is not None and build.pruned_time:
        raise BuildConflictError(build_request_id, "it was pruned, so that nothing tells whether this is the same")
    events = reader.events(build_request_id, limit=1)
    if not events or not events[0].HasField("build_request"):
        return None
    received = events[0].build_request
    options = received.options
    return BuildRequest(
        build_request_id=build_request_id,
        requested=tuple(ref.str for ref in received.requested),
        jobs=options.jobs,
        keep_going=options.keep_going,
        force=options.plan.force,
        reuse_stale=options.plan.stale == plan_pb2.STALE_POLICY_REUSE,
        retry_of=received.retry_of_build_request_id,
    )
