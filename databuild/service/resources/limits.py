"""How much the service takes on, so that no caller can exhaust it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What is allowed at once and in one request.

    Attributes:
        builds: How many builds run at once; further ones wait for their turn.
        queued_builds: How many builds may wait; further ones are refused.
        jobs: How many job runs of one build run at once, where its request does not say.
        max_jobs: How many a request may ask for.
        partitions: How many partitions one request may ask for, ranges expanded.
        request_bytes: How large one request may be.
        page: How many rows one page may have.
        search_candidates: Maximum number of partitions that one page of a search by pattern reads.
        lineage_partitions: How many partitions are looked through for those that were made from another.
        plans: How many plans are made at once; further ones wait.
        answer_seconds: How long an answer may take that is not a stream.
        send_seconds: How long who reads a stream may take for one piece of it before they are let go.
        connections: How many connections over HTTP may be open at once; further ones are told so and closed.
        requests: How many requests are served at once, over each of HTTP and gRPC; further ones are refused.
    """

    builds: int = 4
    queued_builds: int = 10_000
    jobs: int = 1
    max_jobs: int = 1000
    partitions: int = 100_000
    request_bytes: int = 16 * 1024 * 1024
    page: int = 1000
    search_candidates: int = 20_000
    lineage_partitions: int = 50_000
    plans: int = 2
    connections: int = 4000
    requests: int = 1000
    answer_seconds: float = 300.0
    send_seconds: float = 60.0
