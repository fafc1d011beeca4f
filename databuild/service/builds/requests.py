"""What a caller asks for, and whether it is what an earlier request with the same id asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from databuild.errors import BuildConflictError, InvalidRequestError
from databuild.event_log.reads import BuildReads
from databuild.graph.catalog import JobCatalog
from databuild.model.build_options import BuildOptions
from databuild.model.build_request_id import check_build_request_id, new_build_request_id
from databuild.model.job_graph import Plan
from databuild.orchestration.build.settings import BuildRequest
from databuild.orchestration.coordination.build_ids import LATEST
from databuild.service.resources.limits import Limits


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """A build as a caller asks for it.

    Attributes:
        build_request_id: The id that it is to have; empty lets the service choose.
        partitions: Refs or ranges of refs; none stand for the graph's default partitions.
        options: The options; without `jobs`, the service chooses the number.
        plan: The plan to run exactly, which also says what is requested; None to plan anew.
    """

    build_request_id: str = ""
    partitions: tuple[str, ...] = ()
    options: BuildOptions = BuildOptions()
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
    options = submission.options
    if not 0 <= options.jobs <= limits.max_jobs:
        raise InvalidRequestError(f"jobs is {options.jobs}, and can be at most {limits.max_jobs}")
    options = replace(options, jobs=options.jobs or limits.default_jobs)
    plan = submission.plan
    return BuildRequest(
        build_request_id=told or new_build_request_id(),
        requested=requested,
        options=options.with_planning(plan.options) if plan else options,
        plan=plan,
        retry_of=retry_of,
    )


def difference(one: BuildRequest, other: BuildRequest) -> str:
    """Returns what two requests differ in, in words; empty where they ask for the same."""
    partitions = ["other partitions"] if one.requested != other.requested else []
    retried = ["a retry of another build"] if one.retry_of != other.retry_of else []
    return ", ".join([*partitions, *retried, *one.options.differences(other.options)])


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
    return BuildRequest(
        build_request_id=build_request_id,
        requested=tuple(ref.str for ref in received.requested),
        options=BuildOptions.from_message(received.options),
        retry_of=received.retry_of_build_request_id,
    )
