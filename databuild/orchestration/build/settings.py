"""The request of a build, and the settings of the process that runs it."""

from __future__ import annotations

from databuild.model.build_options import BuildOptions
from databuild.model.job_graph import Plan
from databuild.tuples import NamedTuple
from databuild.v1 import events_pb2 as ev


class BuildRequest(NamedTuple):
    """The request of one build.

    Attributes:
        build_request_id: The id of the build.
        requested: The requested partitions, ranges expanded.
        options: The options; `jobs` is at least 1, or 0 on an engine for as many as it runs at once.
        plan: The plan that must still be up to date; None to accept any plan.
        retry_of: The id of the build that this one retries; empty for none.
        downstream_of: The partitions that the requested ones were made from, if the request named those instead.
        warnings: Warnings about the request, one sentence each.
        traceparent: The trace context of the caller (W3C Trace Context), which the build continues; empty for none.
    """

    build_request_id: str
    requested: tuple[str, ...]
    options: BuildOptions = BuildOptions(jobs=1)
    plan: Plan | None = None
    retry_of: str = ""
    downstream_of: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    traceparent: str = ""

    @classmethod
    def from_event(cls, build_request_id: str, received: ev.BuildRequestEvent) -> BuildRequest:
        """Returns the request of a build from its first event, which does not have the plan."""
        return cls(
            build_request_id=build_request_id,
            requested=tuple(ref.str for ref in received.requested),
            options=BuildOptions.from_message(received.options),
            retry_of=received.retry_of_build_request_id,
            downstream_of=tuple(ref.str for ref in received.downstream_of),
            warnings=tuple(received.warnings),
            traceparent=received.traceparent,
        )


class Settings(NamedTuple):
    """Settings that all builds of a process share.

    Attributes:
        working_directory: The working directory of jobs.
        origin: The source of builds and the machine of the process, which each build records; None if unknown.
        log_directory: The folder with one folder of job logs for each build.
        environment: The environment of the builds, whose event log it is; empty for the base.
        base_log_directory: In an environment, the folder of the job logs of the base; else empty.
        config_calls: The maximum number of `config` processes at once.
        gc_while_planning: False for a process with one build or plan. Its parts live as long as the process, and a
            search for garbage among them takes a tenth of the time of planning.
        lease_seconds: The duration of a lease. A build that does not renew its lease in time counts as dead.
        cancel_poll_seconds: Interval at which the event log is read for requests to cancel the build.
        claim_poll_seconds: Interval at which the event log is read for the end of claims of other builds.
        engine_outage_seconds: The time for which a build that is continued waits for an engine that cannot be reached.
        input_check_seconds: The time after which the inputs of a task that is about to start are looked for again.
        engine_retry_seconds: The time before the second attempt to reach it. It doubles with each further attempt.
        bazel_invocation_id: The id of the invocation of `bazel run` that has started the process; empty if unknown.
    """

    working_directory: str
    log_directory: str
    environment: str = ""
    base_log_directory: str = ""
    origin: ev.BuildOrigin | None = None
    config_calls: int = 2
    gc_while_planning: bool = True
    lease_seconds: float = 30.0
    cancel_poll_seconds: float = 0.5
    claim_poll_seconds: float = 0.1
    engine_outage_seconds: float = 300.0
    engine_retry_seconds: float = 1.0
    input_check_seconds: float = 60.0
    bazel_invocation_id: str = ""

    def environment_folder(self, environment: str) -> str:
        """Returns the folder of an environment, beside the folder of the job logs of the base."""
        return f"{self.log_directory.rpartition('/')[0]}/environments/{environment}"

    def in_environment(self, environment: str) -> Settings:
        """Returns the settings of the builds of an environment, given those of the base."""
        folder = f"{self.environment_folder(environment)}/logs"
        return self._replace(environment=environment, log_directory=folder, base_log_directory=self.log_directory)
