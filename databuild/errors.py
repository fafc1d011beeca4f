"""Every error DataBuild raises on purpose.

    DataBuildError
    ├── InvalidRequestError               the caller asked for something impossible
    │   ├── UnknownPartitionError         no job produces a ref
    │   ├── AmbiguousPartitionError       more than one job produces a ref
    │   ├── InvalidPatternError           a partition pattern cannot be read
    │   ├── OverlappingPatternsError      two patterns match the same refs
    │   ├── DependencyCycleError          partitions need each other
    │   ├── InvalidCatalogError           the job catalog cannot be read
    │   ├── TooManyPartitionsError        a request asks for more partitions than are taken at once
    │   ├── BuildNotFoundError            no build has an id
    │   ├── BuildPrunedError              what is asked of a build was pruned
    │   ├── AdoptionRefusedError          data cannot be adopted, since it is there already
    │   ├── JobRunNotFoundError           no job run has an id
    │   ├── JobNotFoundError              the graph has no job of a label
    │   ├── BuildConflictError            an id is that of another request
    │   └── BuildStateError               a build is not where it would have to be
    ├── JobConfigurationError             a job's `config` failed, or answered nonsense
    ├── LookupFaultError                  the graph's lookup failed, or answered nonsense
    ├── PlanChangedError                  the world moved under a plan
    ├── ServiceError                      a service does not do what it was asked
    │   ├── OverloadedError               it has too much to do already
    │   ├── ShuttingDownError             it takes no new requests, since it is about to end
    │   ├── UnauthenticatedError          it does not know who asks
    │   ├── PermissionDeniedError         who asks may not
    │   ├── RequestTooLargeError          the request is larger than it takes
    │   ├── DeadlineExceededError         the answer takes longer than it may
    │   ├── ServiceUnreachableError       nobody answers
    │   ├── SlowReaderError               who asked reads the answer too slowly
    │   └── HttpRequestError              there is nothing there, or not in that form
    ├── BuildFailedError                  a build did not succeed, and the caller wants that to raise
    └── OrchestrationError                our failure: a retry may help
        ├── EventLogError                 the event log could not be read or written
        │   └── SchemaTooNewError         the event log was written by a newer DataBuild
        ├── CoordinationError             builds could not agree on who builds what
        ├── ProcessesLeftError            processes of a dead build cannot be ended
        └── InvalidStateTransitionError   a build was driven out of order (a bug)

A job that fails is not an error: it is an outcome, reported in BuildResult. Each error builds its own message from its
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
        remedy: The next step that would help; None if there is none, or the message names it.
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
        ref: The ref that nobody produces.
        nearest: The known pattern that looks most like it, if any does.
        needed_by: The ref whose job asked for it, unless the request did.
        fault: What is wrong with the ref itself, in words; empty where that is not known.
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
        producers: Who produces it: job labels, or tasks in words.
    """

    def __init__(self, ref: str, producers: Sequence[str]) -> None:
        self.ref = ref
        self.producers = tuple(producers)
        super().__init__(f"the partition {ref!r} is produced by more than one: {', '.join(self.producers)}")


class TooManyPartitionsError(InvalidRequestError):
    """A request asks for more partitions than are taken at once.

    Args:
        limit: How many are.
        message: What is said, where more is known.
    """

    def __init__(self, limit: int, message: str = "") -> None:
        self.limit = limit
        super().__init__(message or f"the request asks for more than {limit:,} partitions; split it into several")


class InvalidPatternError(InvalidRequestError):
    """A partition pattern, or a range made with one, cannot be read.

    Args:
        pattern: The text that was given.
        fault: What is wrong with it, in words.
    """

    def __init__(self, pattern: str, fault: str) -> None:
        self.pattern = pattern
        self.fault = fault
        super().__init__(f"{pattern!r}: {fault}")


class OverlappingPatternsError(InvalidRequestError):
    """Two patterns match the same refs.

    Args:
        first: Label and pattern of the one.
        second: Label and pattern of the other.
        example: A ref that both match.
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
        refs: The refs of the cycle, each needing the next and the last needing the first.
    """

    def __init__(self, refs: Sequence[str]) -> None:
        self.refs = tuple(refs)
        super().__init__("partitions need each other: " + " -> ".join((*self.refs, self.refs[0])))


class InvalidCatalogError(InvalidRequestError):
    """The job catalog cannot be read; build the graph again with Bazel.

    Args:
        path: Where the catalog was read from.
        fault: What is wrong with it, in words.
    """

    def __init__(self, path: str, fault: str) -> None:
        self.path = path
        self.fault = fault
        super().__init__(f"job catalog {path}: {fault}")


class BuildNotFoundError(InvalidRequestError):
    """No build has the id that was given.

    Args:
        build_request_id: The id, or the beginning of one.
        candidates: Ids that begin like it, where it is the beginning of several.
    """

    def __init__(self, build_request_id: str, *, candidates: Sequence[str] = ()) -> None:
        self.build_request_id = build_request_id
        self.candidates = tuple(candidates)
        if candidates:
            message = f"{build_request_id!r} is the beginning of several builds: {', '.join(self.candidates)}"
        else:
            message = f"there is no build {build_request_id!r}; `builds` lists those there are"
        super().__init__(message)


class JobRunNotFoundError(InvalidRequestError):
    """No job run has the id that was given.

    Args:
        job_run_id: The id.
    """

    def __init__(self, job_run_id: str) -> None:
        self.job_run_id = job_run_id
        super().__init__(f"there is no job run {job_run_id!r}; `status` lists those of a build")


class JobNotFoundError(InvalidRequestError):
    """The graph has no job of the label that was given.

    Args:
        job_label: The label.
        labels: Those that there are.
    """

    def __init__(self, job_label: str, labels: Sequence[str]) -> None:
        self.job_label = job_label
        self.labels = tuple(labels)
        super().__init__(f"the graph has no job {job_label!r}; it has {', '.join(self.labels)}")


class BuildConflictError(InvalidRequestError):
    """The id of a request is that of a build that was asked for something else.

    Args:
        build_request_id: The id.
        difference: What is different, in words.
    """

    def __init__(self, build_request_id: str, difference: str) -> None:
        self.build_request_id = build_request_id
        self.difference = difference
        super().__init__(
            f"there is a build {build_request_id} already, and it was not asked for this ({difference}); choose "
            "another id, or leave it out"
        )


class BuildStateError(InvalidRequestError):
    """A build is not where it would have to be for what was asked.

    Args:
        build_request_id: The build.
        status: Where it stands.
        fault: What follows its id in the message.
    """

    def __init__(self, build_request_id: str, status: str, fault: str) -> None:
        self.build_request_id = build_request_id
        self.status = status
        self.fault = fault
        super().__init__(f"the build {build_request_id} {fault}")


class BuildPrunedError(InvalidRequestError):
    """What is asked of a build was pruned.

    Args:
        build_request_id: The build.
        asked: What is not there any more, in words.
    """

    def __init__(self, build_request_id: str, asked: str) -> None:
        self.build_request_id = build_request_id
        self.asked = asked
        super().__init__(
            f"build {build_request_id} was pruned: {asked}; `status {build_request_id}` tells what is left"
        )


class AdoptionRefusedError(InvalidRequestError):
    """Data cannot be adopted, since it is there already or about to be; nothing was adopted.

    Args:
        taken: What stands in the way, by ref: the build that is about to produce it, empty where it is available.
    """

    def __init__(self, taken: Mapping[str, str]) -> None:
        self.taken = dict(taken)
        ref, build = next(iter(self.taken.items()))
        fault = f"build {build} is about to produce it, or does so" if build else "it is available already"
        more = f", nor can {len(taken) - 1} more" if len(taken) > 1 else ""
        super().__init__(f"the partition {ref!r} cannot be adopted, since {fault}{more}; nothing was adopted")
        self.remedy = "ADOPT_WITH_FORCE"


class JobConfigurationError(DataBuildError):
    """A job's `config` failed, or answered something that cannot be used.

    Args:
        job_label: The label of the job.
        fault: What is wrong, in words.
        refs: The refs it was asked for.
        output: The end of what it printed on stderr.
    """

    def __init__(self, job_label: str, fault: str, *, refs: Sequence[str] = (), output: str = "") -> None:
        self.job_label = job_label
        self.fault = fault
        self.refs = tuple(refs)
        self.output = output
        asked = f" (asked for {refs[0]!r}{f' and {len(refs) - 1} more' if len(refs) > 1 else ''})" if refs else ""
        said = f"\n{output.rstrip()}" if output.strip() else ""
        super().__init__(f"config of {job_label}{asked}: {fault}{said}")


class LookupFaultError(DataBuildError):
    """The lookup of a graph failed, or answered something that cannot be used.

    Args:
        path: The lookup executable.
        fault: What is wrong, in words.
        refs: The refs it was asked for.
        output: The end of what it printed on stderr.
    """

    def __init__(self, path: str, fault: str, *, refs: Sequence[str] = (), output: str = "") -> None:
        self.path = path
        self.fault = fault
        self.refs = tuple(refs)
        self.output = output
        asked = f" (asked for {refs[0]!r}{f' and {len(refs) - 1} more' if len(refs) > 1 else ''})" if refs else ""
        said = f"\n{output.rstrip()}" if output.strip() else ""
        super().__init__(f"lookup {path}{asked}: {fault}{said}")


class PlanChangedError(DataBuildError):
    """The world moved under a plan, so that it would no longer be made as it is.

    Args:
        differences: What has changed since, one sentence each.
    """

    def __init__(self, differences: Sequence[str]) -> None:
        self.differences = tuple(differences)
        super().__init__("the plan is out of date; make a new one:\n" + "\n".join(f"  {line}" for line in differences))


class ServiceError(DataBuildError):
    """A service does not do what it was asked."""


class OverloadedError(ServiceError):
    """The service has too much to do already; ask again later.

    Args:
        fault: What there is too much of, in words.
    """

    def __init__(self, fault: str) -> None:
        self.fault = fault
        super().__init__(f"the service is busy: {fault}; ask again later")


class ShuttingDownError(ServiceError):
    """The service takes no new requests, since it is about to end."""

    def __init__(self) -> None:
        super().__init__("the service is shutting down and takes no new requests; ask again when it is back")


class UnauthenticatedError(ServiceError):
    """The service does not know who asks.

    Args:
        fault: What is missing or wrong, in words.
    """

    def __init__(self, fault: str) -> None:
        self.fault = fault
        super().__init__(f"{fault}; send a token as `Authorization: Bearer TOKEN`")


class PermissionDeniedError(ServiceError):
    """Who asks may not have what they ask for."""


class RequestTooLargeError(ServiceError):
    """A request is larger than the service takes.

    Args:
        limit: How many bytes it takes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"the request has more than {limit} bytes")


class DeadlineExceededError(ServiceError):
    """The answer takes longer than it may.

    Args:
        seconds: How long it may.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"there was no answer within {seconds:g} seconds; what was started goes on")


class ServiceUnreachableError(ServiceError):
    """Nobody answers at the address of a service.

    Args:
        endpoint: The address.
        fault: What went wrong, in words.
    """

    def __init__(self, endpoint: str, fault: str) -> None:
        self.endpoint = endpoint
        self.fault = fault
        super().__init__(f"the service at {endpoint} cannot be reached: {fault}")


class SlowReaderError(ServiceError):
    """Who asked for a stream reads it too slowly.

    Args:
        seconds: How long one piece of it may take.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"nothing of the stream was read for {seconds:g} seconds; ask for the rest of it again")


class HttpRequestError(ServiceError):
    """What is asked for over HTTP is not there, or not in that form.

    Args:
        status: The HTTP status: 404, 405 or 415.
        fault: What is wrong, in words.
    """

    def __init__(self, status: int, fault: str) -> None:
        self.status = status
        super().__init__(fault)


class BuildFailedError(DataBuildError):
    """A build did not succeed; raised only where a caller asks for that.

    Args:
        build_request_id: The build.
        status: How it ended: `FAILED` or `CANCELLED`.
        fault: Why, in words; empty where that is not known.
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
        fault: What went wrong, in words.
        uri: The event log, without any secret.
    """

    def __init__(self, fault: str, *, uri: str = "") -> None:
        self.fault = fault
        self.uri = uri
        super().__init__(f"event log {uri}: {fault}" if uri else f"event log: {fault}")


class SchemaTooNewError(EventLogError):
    """The event log was written by a newer DataBuild.

    Args:
        found: The schema version of the event log.
        known: The newest schema version that this program knows.
        uri: The event log, without any secret.
    """

    def __init__(self, found: int, known: int, *, uri: str = "") -> None:
        self.found = found
        self.known = known
        super().__init__(
            f"its schema has version {found}, and this DataBuild knows versions up to {known}; use a newer DataBuild",
            uri=uri,
        )


class CoordinationError(OrchestrationError):
    """A build may not go on, since others have taken it for dead.

    Args:
        build_request_id: The build.
        fault: What is the matter, in words.
    """

    def __init__(self, build_request_id: str, fault: str) -> None:
        self.build_request_id = build_request_id
        self.fault = fault
        super().__init__(
            f"build {build_request_id} cannot go on: {fault}; it was not heard of for longer than its lease, and "
            "another build has ended it; what it made since is recorded as late, and not used: build again"
        )


class ProcessesLeftError(OrchestrationError):
    """Processes of a build that has died cannot be ended, and may still write its partitions.

    Args:
        build_request_id: The build that has died.
        processes: Their process groups.
    """

    def __init__(self, build_request_id: str, processes: Sequence[int]) -> None:
        self.build_request_id = build_request_id
        self.processes = tuple(processes)
        super().__init__(
            f"processes of build {build_request_id}, which has died, wait in the kernel and cannot be ended, and may "
            f"still write: process groups {', '.join(map(str, self.processes))}; see what they wait for (a file system "
            "that does not answer?), or restart the machine, and build again"
        )


class InvalidStateTransitionError(OrchestrationError):
    """A build was driven out of order; nothing was written.

    Args:
        current: What stands now, such as `build EXECUTING`.
        requested: What was asked to come next.
    """

    def __init__(self, current: str, requested: str) -> None:
        self.current = current
        self.requested = requested
        super().__init__(f"{requested} cannot follow {current}")


InvalidStateTransition = InvalidStateTransitionError
