"""The job catalog: every job of a graph, as Bazel wrote it, and which of them produces a ref."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """What happens after a failed job run.

    Attributes:
        retries: How many more times to try.
        backoff_seconds: How long to wait before the first retry.
        multiplier: By what the wait grows with each further retry.
        max_backoff_seconds: The longest wait.
    """

    retries: int = 0
    backoff_seconds: float = 0.0
    multiplier: float = 2.0
    max_backoff_seconds: float = 300.0

    def delay(self, failed_attempts: int) -> float:
        """Returns how many seconds to wait after that many failed attempts."""
        return min(self.backoff_seconds * self.multiplier ** (failed_attempts - 1), self.max_backoff_seconds)


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One job of a graph.

    Attributes:
        label: Its Bazel label.
        executable: The path of its executable.
        code_digest: The hash over its binary and all of its runfiles.
        outputs: The partition patterns of the refs that it produces; empty only where the graph has a lookup.
        timeout_seconds: How long one job run may take; None for as long as it likes.
        retry: What happens after a failed job run.
        resources: How much of each named resource one job run takes.
        worker: Whether it has a `worker` sub-command.
        tags: Free words for people and filters.
    """

    label: str
    executable: str
    code_digest: str = ""
    outputs: tuple[str, ...] = ()
    timeout_seconds: float | None = None
    retry: RetryPolicy = RetryPolicy()
    resources: Mapping[str, int] = field(default_factory=dict)
    worker: bool = False
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class JobCatalog:
    """Every job of one graph.

    Attributes:
        graph_label: The label of the graph.
        jobs: The jobs, by label.
        lookup: The path of the lookup executable; empty where patterns decide.
        default_partitions: What is built when nothing is asked for: refs or ranges of refs.
        resources: How much of each named resource the graph may use at once.
    """

    graph_label: str
    jobs: Mapping[str, Job]
    lookup: str = ""
    default_partitions: tuple[str, ...] = ()
    resources: Mapping[str, int] = field(default_factory=dict)
