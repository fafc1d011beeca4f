"""Limits of the service, so that no caller can exhaust it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The limits of one service, and the defaults of what a request may leave out.

    Attributes:
        max_builds: The number of builds that run at once. Further builds wait in the queue.
        max_queued_builds: The number of builds in the queue. Further builds are refused.
        default_jobs: The number of concurrent job runs of a build whose request does not set it.
        default_jobs_on_engine: The same number for a build on an engine; 0 for as many as the engine runs at once.
        default_executor: The address of the engine that runs the jobs of a build whose request does not set it; empty
            for this machine. A request may set this engine or `local`.
        default_log_store: The URI of the place of the logs of all builds; empty for the state directory.
        max_jobs: The number of concurrent job runs that a request may set.
        max_partitions: The number of partitions in one request, after ranges are expanded.
        max_request_bytes: The size of a request.
        max_page_rows: The number of rows in a page.
        max_search_candidates: The number of partitions that are read for one page of a search by pattern.
        max_downstream_partitions: The length of a transitive list of downstream partitions, over all of its pages.
        max_plans: The number of plans that are made at once. Further plans wait.
        max_connections: The number of open HTTP connections. Further ones get an error response and are closed.
        max_requests: The number of requests in progress, for HTTP and for gRPC each. Further requests are refused.
        previews: False to show no previews of data.
        answer_timeout_seconds: The time for a response that is not a stream.
        send_timeout_seconds: The time in which a client has to accept one message of a stream, or be disconnected.
    """

    max_builds: int = 4
    max_queued_builds: int = 10_000
    default_jobs: int = 1
    default_jobs_on_engine: int = 0
    default_executor: str = ""
    default_log_store: str = ""
    max_jobs: int = 1000
    max_partitions: int = 100_000
    max_request_bytes: int = 16 * 1024 * 1024
    max_page_rows: int = 1000
    max_search_candidates: int = 20_000
    max_downstream_partitions: int = 100_000
    max_plans: int = 2
    max_connections: int = 4000
    max_requests: int = 1000
    previews: bool = True
    answer_timeout_seconds: float = 300.0
    send_timeout_seconds: float = 60.0
