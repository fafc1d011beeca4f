"""All errors that DataBuild raises on purpose.

    DataBuildError
    ├── InvalidRequestError               the caller asked for something impossible
    │   ├── UnknownPartitionError         no job produces a ref
    │   ├── AmbiguousPartitionError       more than one job produces a ref
    │   ├── InvalidPatternError           a partition pattern cannot be read
    │   ├── OverlappingPatternsError      two patterns match the same refs
    │   ├── DependencyCycleError          partitions need each other
    │   ├── InvalidCatalogError           the job catalog cannot be read
    │   ├── TooManyPartitionsError        a request is over the limit of partitions
    │   ├── NothingDownstreamError        nothing that can be built was made from given partitions
    │   ├── BuildNotFoundError            no build has the given id
    │   ├── BuildPrunedError              the requested part of a build was pruned
    │   ├── AdoptionRefusedError          data cannot be adopted: it exists, or a build claims it
    │   ├── PromotionRefusedError         data of an environment cannot be promoted to the base
    │   ├── EnvironmentNotFoundError      no such environment
    │   ├── EnvironmentInUseError         an environment cannot be removed: builds run there
    │   ├── JobRunNotFoundError           no job run has the given id
    │   ├── JobNotFoundError              the graph has no job with the given label
    │   ├── BuildConflictError            the id of a request belongs to a different request
    │   └── BuildStateError               a build is in the wrong state for a request
    ├── JobConfigurationError             a job's `config` failed or returned an invalid result
    ├── LookupFaultError                  the graph's lookup failed or returned an invalid result
    ├── PlanChangedError                  a plan is out of date
    ├── ExecutorError                     an engine cannot be used
    ├── StorageError                      a place for files cannot be used
    ├── ServiceError                      a service refused or failed a request
    │   ├── OverloadedError               it is at a limit
    │   ├── ShuttingDownError             it accepts no new requests
    │   ├── UnauthenticatedError          it cannot identify the caller
    │   ├── PermissionDeniedError         the caller lacks the role
    │   ├── RequestTooLargeError          the request is too large
    │   ├── DeadlineExceededError         the answer did not arrive in time
    │   ├── ServiceUnreachableError       there is no answer
    │   ├── SlowReaderError               the caller reads a stream too slowly
    │   └── HttpRequestError              the path, method or media type is wrong
    ├── BuildFailedError                  a build did not succeed, and the caller asked to raise
    └── OrchestrationError                DataBuild failed; a retry may help
        ├── EventLogError                 the event log could not be read or written
        │   └── SchemaTooNewError         the event log was written by a newer DataBuild
        ├── CoordinationError             a build has lost its lease to other builds
        ├── ProcessesLeftError            processes of a dead build cannot be killed
        └── InvalidStateTransitionError   events are out of order (a bug)

A job that fails is not an error: it is an outcome, reported in BuildResult. Each error builds its message from its
facts and keeps them as attributes. No message names a flag: an error has a remedy, which each edge words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

    from databuild.remedies import Remedy


class DataBuildError(Exception):
    """The root of all errors that DataBuild raises on purpose.

    Attributes:
        remedy: The next step; None if there is none, or if the message names it.
    """

    remedy: Remedy | None = None

    def with_remedy(self, remedy: Remedy) -> Self:
        """Sets the remedy and returns the error."""
        self.remedy = remedy
        return self


class InvalidRequestError(DataBuildError):
    """The caller asked for something impossible."""


class UnknownPartitionError(InvalidRequestError):
    """No job of the graph produces a ref.

    Args:
        ref: The ref.
        nearest: The most similar pattern of the graph; None if no pattern is similar.
        needed_by: The ref that needs it; None if the request names it.
        fault: The fault of the ref itself, in words; empty if there is none.
    """

    def __init__(self, ref: str, *, nearest: str | None = None, needed_by: str | None = None, fault: str = "") -> None:
        self.ref = ref
        self.nearest = nearest
        self.needed_by = needed_by
        self.fault = fault
        message = f"no job produces the partition {ref!r}"
        if needed_by is not None:
            message += f", which {needed_by!r} needs"
        if fault:
            message += f"; {fault}"
        elif nearest is not None:
            message += f"; did you mean the pattern {nearest!r}?"
        super().__init__(message)


class AmbiguousPartitionError(InvalidRequestError):
    """More than one job, or task, produces a ref.

    Args:
        ref: The ref.
        producers: Job labels, or tasks in words.
    """

    def __init__(self, ref: str, producers: Sequence[str]) -> None:
        self.ref = ref
        self.producers = tuple(producers)
        super().__init__(f"the partition {ref!r} has more than one producer: {', '.join(self.producers)}")


class TooManyPartitionsError(InvalidRequestError):
    """A request is over the limit of partitions.

    Args:
        limit: The maximum number of partitions.
        message: A message that replaces the general one.
    """

    def __init__(self, limit: int, message: str = "") -> None:
        self.limit = limit
        super().__init__(message or f"the request asks for more than {limit:,} partitions; split it into several")


class NothingDownstreamError(InvalidRequestError):
    """A request for what was made from partitions finds nothing to build.

    Args:
        refs: The partitions.
        left_out: The partitions that were made from them, but which no job produces any more.
    """

    def __init__(self, refs: Sequence[str], left_out: Sequence[str] = ()) -> None:
        self.refs = tuple(refs)
        self.left_out = tuple(left_out)
        fault = f"there is nothing to build: no available partition was made from {_first_of(refs)}"
        if left_out:
            fault += f", except {_first_of(left_out)}, which no job of the graph produces any more"
        super().__init__(f"{fault}; `downstream` lists what was made from a partition")


class InvalidPatternError(InvalidRequestError):
    """A partition pattern, a range or an expression over its fields is not valid.

    Args:
        pattern: The text.
        fault: The fault, in words.
        job_label: The job whose attribute has the text; empty if it is not known.
    """

    def __init__(self, pattern: str, fault: str, *, job_label: str = "") -> None:
        self.pattern = pattern
        self.fault = fault
        super().__init__(f"{f'{job_label}: ' if job_label else ''}{pattern!r}: {fault}")

    def in_job(self, job_label: str) -> InvalidPatternError:
        """Returns the error with the job whose attribute has the text."""
        return InvalidPatternError(self.pattern, self.fault, job_label=job_label)


class OverlappingPatternsError(InvalidRequestError):
    """Two patterns match the same refs.

    Args:
        first: The job label and the pattern.
        second: The other job label and pattern.
        example: A ref that both patterns match.
    """

    def __init__(self, first: tuple[str, str], second: tuple[str, str], example: str) -> None:
        self.first = first
        self.second = second
        self.example = example
        super().__init__(
            f"the patterns {first[1]!r} of {first[0]} and {second[1]!r} of {second[0]} overlap: both match {example!r}"
        )


class DependencyCycleError(InvalidRequestError):
    """Partitions need each other.

    Args:
        refs: The refs of the cycle: each needs the next, and the last needs the first.
    """

    def __init__(self, refs: Sequence[str]) -> None:
        self.refs = tuple(refs)
        super().__init__("partitions need each other: " + " -> ".join((*self.refs, self.refs[0])))


class InvalidCatalogError(InvalidRequestError):
    """The job catalog cannot be read; build the graph again with Bazel.

    Args:
        path: The path of the catalog.
        fault: The fault, in words.
    """

    def __init__(self, path: str, fault: str) -> None:
        self.path = path
        self.fault = fault
        super().__init__(f"job catalog {path}: {fault}")


class BuildNotFoundError(InvalidRequestError):
    """No build has the given id.

    Args:
        build_request_id: The id, a prefix of an id, or `latest`.
        candidates: The ids with this prefix, if there is more than one.
        event_log: The event log without builds, in words and without any secret; empty to leave it out.
    """

    def __init__(self, build_request_id: str, *, candidates: Sequence[str] = (), event_log: str = "") -> None:
        self.build_request_id = build_request_id
        self.candidates = tuple(candidates)
        if candidates:
            message = f"{build_request_id!r} is the prefix of several builds: {', '.join(self.candidates)}"
        elif build_request_id == "latest":
            message = f"there are no builds yet{f' in {event_log}' if event_log else ''}"
        else:
            message = f"there is no build {build_request_id!r}; `builds` lists the builds"
        super().__init__(message)


class JobRunNotFoundError(InvalidRequestError):
    """No job run has the given id."""

    def __init__(self, job_run_id: str) -> None:
        self.job_run_id = job_run_id
        super().__init__(f"there is no job run {job_run_id!r}; `explain` lists those of a partition")


class JobNotFoundError(InvalidRequestError):
    """The graph has no job with the given label.

    Args:
        job_label: The label.
        labels: The labels of the graph.
    """

    def __init__(self, job_label: str, labels: Sequence[str]) -> None:
        self.job_label = job_label
        self.labels = tuple(labels)
        super().__init__(f"the graph has no job {job_label!r}; it has {', '.join(self.labels)}")


class BuildConflictError(InvalidRequestError):
    """The id of a request belongs to a build of a different request.

    Args:
        build_request_id: The id.
        difference: The difference between the requests, in words.
    """

    def __init__(self, build_request_id: str, difference: str) -> None:
        self.build_request_id = build_request_id
        self.difference = difference
        super().__init__(
            f"build {build_request_id} exists already, for a different request ({difference}); choose another id, or "
            "leave it out"
        )


class BuildStateError(InvalidRequestError):
    """A build is in the wrong state for a request.

    Args:
        build_request_id: The build.
        status: Its status.
        fault: The words that follow the id in the message.
    """

    def __init__(self, build_request_id: str, status: str, fault: str) -> None:
        self.build_request_id = build_request_id
        self.status = status
        self.fault = fault
        super().__init__(f"the build {build_request_id} {fault}")


class BuildPrunedError(InvalidRequestError):
    """The requested part of a build was pruned.

    Args:
        build_request_id: The build.
        consequence: A clause about the part that no longer exists.
    """

    def __init__(self, build_request_id: str, consequence: str) -> None:
        self.build_request_id = build_request_id
        self.consequence = consequence
        super().__init__(
            f"build {build_request_id} was pruned: {consequence}; `status {build_request_id}` shows what is kept"
        )


class AdoptionRefusedError(InvalidRequestError):
    """Data cannot be adopted because it exists, or because a build claims the partition; nothing was adopted.

    Args:
        conflicts: The build that claims the partition, by ref; empty if the partition is available.
    """

    def __init__(self, conflicts: Mapping[str, str]) -> None:
        self.conflicts = dict(conflicts)
        ref, build = next(iter(self.conflicts.items()))
        fault = f"build {build} claims it" if build else "it is available already"
        more = f", nor can {len(conflicts) - 1} more" if len(conflicts) > 1 else ""
        super().__init__(f"the partition {ref!r} cannot be adopted, since {fault}{more}; nothing was adopted")
        self.remedy = "ADOPT_WITH_FORCE"


class PromotionRefusedError(InvalidRequestError):
    """Partitions of an environment cannot be promoted to the base; nothing was promoted.

    Args:
        faults: The reason for each partition, by ref.
    """

    def __init__(self, faults: Mapping[str, str]) -> None:
        self.faults = dict(faults)
        ref, fault = next(iter(self.faults.items()))
        more = f", nor can {len(faults) - 1} more" if len(faults) > 1 else ""
        super().__init__(f"the partition {ref!r} cannot be promoted: {fault}{more}; nothing was promoted")


class EnvironmentNotFoundError(InvalidRequestError):
    """There is no such environment.

    Args:
        environment: The name.
        known: The names of those that exist.
    """

    def __init__(self, environment: str, *, known: Sequence[str] = ()) -> None:
        self.environment = environment
        self.known = tuple(known)
        there = f"there are {', '.join(known)}" if known else "there are none; the first build in one makes it"
        super().__init__(f"there is no environment {environment!r}; {there}")


class EnvironmentInUseError(InvalidRequestError):
    """An environment cannot be removed while builds run there.

    Args:
        environment: The environment.
        builds: The builds.
    """

    def __init__(self, environment: str, builds: Sequence[str]) -> None:
        self.environment = environment
        self.builds = tuple(builds)
        super().__init__(
            f"the environment {environment!r} cannot be removed while builds run there: {', '.join(builds)}; cancel "
            "them, or wait for their end"
        )


class RemovalRefusedError(InvalidRequestError):
    """Data cannot be forgotten or deleted; nothing was removed.

    Args:
        faults: The fault of each partition, in words, by ref.
    """

    def __init__(self, faults: Mapping[str, str]) -> None:
        self.faults = dict(faults)
        ref, fault = next(iter(self.faults.items()))
        more = f", nor can {len(faults) - 1} more" if len(faults) > 1 else ""
        super().__init__(f"the partition {ref!r} cannot be removed, since {fault}{more}; nothing was removed")


class JobConfigurationError(DataBuildError):
    """A job's `config` failed or returned an invalid result.

    Args:
        job_label: The label of the job.
        fault: The fault, in words.
        refs: The refs of the call.
        output: The end of its standard error.
    """

    def __init__(self, job_label: str, fault: str, *, refs: Sequence[str] = (), output: str = "") -> None:
        self.job_label = job_label
        self.fault = fault
        self.refs = tuple(refs)
        self.output = output
        super().__init__(f"config of {job_label}{_call_of(refs)}: {fault}{_output_lines(output)}")


class LookupFaultError(DataBuildError):
    """The lookup of a graph failed or returned an invalid result.

    Args:
        path: The lookup executable.
        fault: The fault, in words.
        refs: The refs of the call.
        output: The end of its standard error.
    """

    def __init__(self, path: str, fault: str, *, refs: Sequence[str] = (), output: str = "") -> None:
        self.path = path
        self.fault = fault
        self.refs = tuple(refs)
        self.output = output
        super().__init__(f"lookup {path}{_call_of(refs)}: {fault}{_output_lines(output)}")


class PlanChangedError(DataBuildError):
    """A plan is out of date: planning would now give another result.

    Args:
        differences: The changes since the plan was made, one sentence each.
    """

    def __init__(self, differences: Sequence[str]) -> None:
        self.differences = tuple(differences)
        super().__init__(
            "the plan is out of date; create a new plan:\n" + "\n".join(f"  {line}" for line in differences)
        )


class ExecutorError(DataBuildError):
    """An engine that runs jobs cannot be reached, or refuses this client, or is configured in an unsuitable way.

    Args:
        uri: The address of the engine.
        fault: The fault, in words, with the next step.
    """

    def __init__(self, uri: str, fault: str) -> None:
        self.uri = uri
        self.fault = fault
        super().__init__(f"the executor {uri} cannot be used: {fault}")


class StorageError(DataBuildError):
    """A place for files, such as a bucket, cannot be reached, or refuses this client, or is full.

    Args:
        uri: The URI of the file or directory, without credentials.
        fault: The fault, in words.
    """

    def __init__(self, uri: str, fault: str) -> None:
        self.uri = uri
        self.fault = fault
        super().__init__(f"{uri} cannot be used: {fault}")


class ServiceError(DataBuildError):
    """A service refused or failed a request."""


class OverloadedError(ServiceError):
    """The service is at a limit; retry later.

    Args:
        fault: The limit, in words.
    """

    def __init__(self, fault: str) -> None:
        self.fault = fault
        super().__init__(f"the service is busy: {fault}; retry later")


class ShuttingDownError(ServiceError):
    """The service is shutting down and accepts no new requests."""

    def __init__(self) -> None:
        super().__init__("the service is shutting down and accepts no new requests; retry when it is running again")


class UnauthenticatedError(ServiceError):
    """The service cannot identify the caller.

    Args:
        fault: The missing or wrong part, in words.
    """

    def __init__(self, fault: str) -> None:
        self.fault = fault
        super().__init__(fault)
        self.remedy = "SEND_TOKEN"


class PermissionDeniedError(ServiceError):
    """The caller lacks the role for a request."""


class RequestTooLargeError(ServiceError):
    """A request is larger than the service accepts.

    Args:
        limit: The maximum size in bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"the request is larger than {limit} bytes")


class DeadlineExceededError(ServiceError):
    """The answer did not arrive in time.

    Args:
        seconds: The time limit.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"there was no answer within {seconds:g} seconds; a build that was started continues")


class ServiceUnreachableError(ServiceError):
    """There is no answer at the address of a service.

    Args:
        endpoint: The address.
        fault: The fault, in words.
    """

    def __init__(self, endpoint: str, fault: str) -> None:
        self.endpoint = endpoint
        self.fault = fault
        step = "; is this its port for HTTP instead of gRPC?" if "http1.x server" in fault else ""
        super().__init__(f"the service at {endpoint} cannot be reached: {fault}{step}")


class SlowReaderError(ServiceError):
    """The caller reads a stream too slowly.

    Args:
        seconds: The time limit for one message.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"the caller read nothing of the stream for {seconds:g} seconds; request the rest again")


class HttpRequestError(ServiceError):
    """The path, method or media type of an HTTP request is wrong.

    Args:
        status: The HTTP status: 404, 405 or 415.
        fault: The fault, in words.
    """

    def __init__(self, status: int, fault: str) -> None:
        self.status = status
        super().__init__(fault)


class BuildFailedError(DataBuildError):
    """A build did not succeed; raised only if the caller asks for it.

    Args:
        build_request_id: The build.
        status: `FAILED` or `CANCELLED`.
        fault: The reason, in words; empty if it is unknown.
    """

    def __init__(self, build_request_id: str, status: str, fault: str = "") -> None:
        self.build_request_id = build_request_id
        self.status = status
        self.fault = fault
        super().__init__(f"build {build_request_id} {status}" + (f": {fault}" if fault else ""))


class OrchestrationError(DataBuildError):
    """DataBuild itself failed; a retry may help."""


class EventLogError(OrchestrationError):
    """The event log could not be read or written.

    Args:
        fault: The fault, in words.
        uri: The event log, without any secret.
    """

    def __init__(self, fault: str, *, uri: str = "") -> None:
        self.fault = fault
        self.uri = uri
        super().__init__(f"event log {uri}: {fault}" if uri else f"event log: {fault}")


class SchemaTooNewError(EventLogError):
    """The event log was written by a newer DataBuild.

    Args:
        version: The schema version of the event log.
        max_version: The newest schema version that this program supports.
        uri: The event log, without any secret.
    """

    def __init__(self, version: int, max_version: int, *, uri: str = "") -> None:
        self.version = version
        self.max_version = max_version
        super().__init__(
            f"its schema has version {version}, and this DataBuild supports versions up to {max_version}; use a newer "
            "DataBuild",
            uri=uri,
        )


class CoordinationError(OrchestrationError):
    """A build must stop because its lease expired and another build has ended it.

    Args:
        build_request_id: The build.
        fault: The fault, in words.
    """

    def __init__(self, build_request_id: str, fault: str) -> None:
        self.build_request_id = build_request_id
        self.fault = fault
        super().__init__(
            f"build {build_request_id} cannot continue: {fault}; it did not renew its lease in time, and another build "
            "has ended it; its later results are recorded as late and not used; build again"
        )


class ProcessesLeftError(OrchestrationError):
    """Processes of a dead build cannot be killed and may still write its partitions.

    Args:
        build_request_id: The dead build.
        processes: The process groups.
    """

    def __init__(self, build_request_id: str, processes: Sequence[int]) -> None:
        self.build_request_id = build_request_id
        self.processes = tuple(processes)
        super().__init__(
            f"processes of the dead build {build_request_id} wait in the kernel, cannot be killed and may still write: "
            f"process groups {', '.join(map(str, self.processes))}; check the file systems that they use, or restart "
            "the machine, and build again"
        )


class InvalidStateTransitionError(OrchestrationError):
    """An event is not allowed in the current state; nothing was written.

    Args:
        current: The current state, such as `build EXECUTING`.
        requested: The event, such as `partition 'raw' AVAILABLE`.
    """

    def __init__(self, current: str, requested: str) -> None:
        self.current = current
        self.requested = requested
        super().__init__(f"{requested} cannot follow {current}")


InvalidStateTransition = InvalidStateTransitionError


def _call_of(refs: Sequence[str]) -> str:
    return f" (asked for {_first_of(refs)})" if refs else ""


def _first_of(refs: Sequence[str]) -> str:
    """Returns the first ref, and the number of the others."""
    more = f" and {len(refs) - 1} more" if len(refs) > 1 else ""
    return f"{refs[0]!r}{more}"


def _output_lines(output: str) -> str:
    return f"\n{output.rstrip()}" if output.strip() else ""
