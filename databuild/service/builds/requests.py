"""Requests of builds: their validation, and their comparison with an earlier request with the same id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from databuild.errors import BuildConflictError, InvalidRequestError
from databuild.event_log.reads import BuildReads
from databuild.graph.catalog import JobCatalog
from databuild.model.build_options import BuildOptions
from databuild.model.build_request_id import check_build_request_id, new_build_request_id
from databuild.model.executor_uri import LOCAL
from databuild.model.job_graph import Plan
from databuild.orchestration.build.downstream_request import Requested
from databuild.orchestration.build.settings import BuildRequest
from databuild.orchestration.coordination.build_ids import LATEST
from databuild.service.resources.limits import Limits
from databuild.storage.storage_uri import without_credentials

_FEW: Final = 10
"""The number of refs that are looked up on the event loop; a thread would take longer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """The request of a build as it arrives, before validation.

    Attributes:
        build_request_id: The id of the build; empty if the service chooses one.
        partitions: Refs or ranges of refs; empty for the default partitions of the graph.
        options: The options. If `jobs` is 0, the service chooses the number.
        plan: A plan to run exactly. It names the requested partitions, too. None to make a plan.
        downstream: True to build, instead of `partitions`, what was made from them.
    """

    build_request_id: str = ""
    partitions: tuple[str, ...] = ()
    options: BuildOptions = BuildOptions()
    plan: Plan | None = None
    downstream: bool = False


def requested_partitions(catalog: JobCatalog, partitions: tuple[str, ...], limits: Limits) -> tuple[str, ...]:
    """Returns the requested refs, with ranges expanded.

    Args:
        catalog: The jobs.
        partitions: Refs or ranges of refs; empty for the default partitions of the graph.
        limits: The limit on the number of partitions.

    Raises:
        InvalidRequestError: A partition is not valid, or there is none.
    """
    texts = partitions or catalog.default_partitions
    if not texts:
        message = (
            f"the request has no partitions, and {catalog.graph_label} has no default_partitions; name at least one"
        )
        raise InvalidRequestError(message)
    return catalog.expand(texts, limits.max_partitions)


def few_known_refs(catalog: JobCatalog, partitions: tuple[str, ...], limits: Limits) -> tuple[str, ...] | None:
    """Returns the same as `requested_partitions` if that is quick: a few refs, each of which a job produces; else None.

    Raises:
        InvalidRequestError: A partition is not valid.
    """
    texts = partitions or catalog.default_partitions
    if not 0 < len(texts) <= min(_FEW, limits.max_partitions) or catalog.lookup or any(".." in text for text in texts):
        return None
    # The error about a ref that nobody produces takes long, since it has the nearest pattern.
    return tuple(dict.fromkeys(texts)) if all(map(catalog.find_owner, texts)) else None


def starting_points(catalog: JobCatalog, partitions: tuple[str, ...], limits: Limits) -> tuple[str, ...]:
    """Returns the refs, with ranges expanded, of a request about everything downstream of partitions.

    Raises:
        InvalidRequestError: A partition is not valid, or there is none. No job needs to produce it.
    """
    if not partitions:
        raise InvalidRequestError("the request has no partitions; name at least one")
    return catalog.expand(partitions, limits.max_partitions, produced=False)


def build_request(submission: Submission, requested: Requested, limits: Limits, retry_of: str) -> BuildRequest:
    """Validates a submission.

    Args:
        submission: The request as it arrived.
        requested: The requested refs, and what they were made from.
        limits: The limit on `jobs`, and its default.
        retry_of: The build that this one retries; empty for none.

    Raises:
        InvalidRequestError: The id or an option is not valid.
    """
    chosen_id = submission.build_request_id
    if chosen_id:
        check_build_request_id(chosen_id)
    if chosen_id == LATEST:
        raise InvalidRequestError(f"{LATEST!r} is not a valid build id: it means the newest build")
    options = submission.options
    if not 0 <= options.jobs <= limits.max_jobs:
        raise InvalidRequestError(f"jobs is {options.jobs}; it must be from 0 to {limits.max_jobs}")
    executor = options.executor or limits.default_executor
    if executor == LOCAL:
        executor = ""
    if executor not in {"", limits.default_executor}:
        known = " and ".join(filter(None, (LOCAL, limits.default_executor)))
        raise InvalidRequestError(f"executor is {executor!r}; this service has {known}")
    if options.log_store not in {"", limits.default_log_store}:
        known = limits.default_log_store or "the state directory"
        raise InvalidRequestError(f"log_store is {without_credentials(options.log_store)!r}; this service has {known}")
    # An engine says how many jobs it runs at once when the build connects to it.
    jobs = options.jobs or (limits.default_jobs_on_engine if executor else limits.default_jobs)
    options = options._replace(jobs=jobs, executor=executor, log_store=limits.default_log_store)
    plan = submission.plan
    return BuildRequest(
        build_request_id=chosen_id or new_build_request_id(),
        requested=requested.refs,
        # The plan was made with its own options, so those of the request do not apply.
        options=options.with_planning(plan.options) if plan else options,
        plan=plan,
        retry_of=retry_of,
        downstream_of=requested.downstream_of,
        warnings=requested.warnings,
    )


def describe_difference(earlier: BuildRequest, later: BuildRequest) -> str:
    """Returns the differences between two requests in words; empty if they are equal."""
    same = earlier.requested == later.requested and earlier.downstream_of == later.downstream_of
    partitions = [] if same else ["other partitions"]
    retried = ["a retry of another build"] if earlier.retry_of != later.retry_of else []
    return ", ".join([*partitions, *retried, *earlier.options.differences(later.options)])


def recorded_request(reader: BuildReads, build_request_id: str) -> BuildRequest | None:
    """Returns the request of a build from its first event; None if the build does not exist.

    Raises:
        BuildConflictError: The events of the build have been pruned.
    """
    build = reader.build(build_request_id)
    if build is not None and build.pruned_time:
        raise BuildConflictError(build_request_id, "its events have been pruned, so the requests cannot be compared")
    events = reader.events(build_request_id, limit=1)
    if not events or not events[0].HasField("build_request"):
        return None
    return BuildRequest.from_event(build_request_id, events[0].build_request)
