"""The job catalog: every job of a graph, as Bazel wrote it, and which of them produces a ref."""

from __future__ import annotations

import contextlib
import difflib
import functools
import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from databuild.errors import (
    AmbiguousPartitionError,
    InvalidCatalogError,
    InvalidRequestError,
    OverlappingPatternsError,
    TooManyPartitionsError,
    UnknownPartitionError,
)
from databuild.graph.labels import stable_label, stable_repository
from databuild.graph.patterns import MAX_REFS, PartitionPattern
from databuild.graph.refs import check_ref, odd_segment, odd_segment_fault

MAX_PARTITIONS: Final = 10_000_000
"""How many partitions one plan may consider where the graph does not say."""


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
        environment: The variables that the target of the executable sets with its own `env`.
        code_digest: The hash over its binary and all of its runfiles.
        outputs: The partition patterns of the refs that it produces; empty only where the graph has a lookup.
        timeout_seconds: How long one job run may take; None for as long as it likes.
        retry: What happens after a failed job run.
        resources: How much of each named resource one job run takes.
        tags: Free words for people and filters.
    """

    label: str
    executable: str
    environment: Mapping[str, str] = field(default_factory=dict)
    code_digest: str = ""
    outputs: tuple[str, ...] = ()
    timeout_seconds: float | None = None
    retry: RetryPolicy = RetryPolicy()
    resources: Mapping[str, int] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class JobCatalog:
    """Every job of one graph.

    Attributes:
        graph_label: The label of the graph.
        jobs: The jobs, by label.
        lookup: The path of the lookup executable; empty where patterns decide.
        lookup_environment: The variables that the target of the lookup sets with its own `env`.
        default_partitions: What is built when nothing is asked for: refs or ranges of refs.
        resources: How much of each named resource the graph may use at once, in all builds that share an event log.
        max_running_jobs: How many job runs of it may run at once in all those builds; 0 for any number.
        runfiles: The runfiles root, with Bazel's own list of how repositories call each other.
        max_partitions: How many partitions one plan may consider.
    """

    graph_label: str
    jobs: Mapping[str, Job]
    lookup: str = ""
    lookup_environment: Mapping[str, str] = field(default_factory=dict)
    default_partitions: tuple[str, ...] = ()
    resources: Mapping[str, int] = field(default_factory=dict)
    max_running_jobs: int = 0
    runfiles: str = ""
    max_partitions: int = MAX_PARTITIONS

    @functools.cached_property
    def _patterns(self) -> tuple[tuple[PartitionPattern, str], ...]:
        return tuple((PartitionPattern(text), job.label) for job in self.jobs.values() for text in job.outputs)

    def find_job(self, label: str) -> str | None:
        """Returns the label of a job of the graph as it is in `jobs`; None where the graph has no such job.

        Args:
            label: The label as a BUILD file of the graph's repository has it, or with a canonical repository name.
        """
        known = stable_label(label)
        repository, _, name = known.partition("//")
        if label.startswith("//"):
            ours = f"{self.graph_label.partition('//')[0]}{known}"
            return next((found for found in (ours, known) if found in self.jobs), None)
        if known not in self.jobs:
            known = f"{self._repositories.get(repository, repository)}//{name}"
        return known if known in self.jobs else None

    @functools.cached_property
    def _repositories(self) -> Mapping[str, str]:
        """The stable name of each repository, with its @, by the name that the graph's repository has for it."""
        ours = self.graph_label.partition("//")[0].removeprefix("@")
        names = {}
        with contextlib.suppress(OSError), open(f"{self.runfiles}/_repo_mapping", encoding="utf-8") as file:  # noqa: PTH123
            for line in file:
                source, apparent, target = line.rstrip("\n").split(",")
                if stable_repository(source) == ours:
                    names[f"@{apparent}"] = "" if target == "_main" else f"@{stable_repository(target)}"
        return names

    def owner(self, ref: str) -> str:
        """Returns the label of the job that produces a ref.

        Raises:
            InvalidRequestError: The text cannot be a ref.
            UnknownPartitionError: No job does; the error has the nearest pattern.
            AmbiguousPartitionError: More than one does.
        """
        check_ref(ref)  # first: a field of a pattern is less strict
        owners = [
            label
            for pattern, label in self._patterns
            if ref.startswith(pattern.prefix) and pattern.match(ref) is not None
        ]
        if odd_segment(ref) is not None:
            self.check_ref(ref)
        if len(owners) == 1:
            return owners[0]
        if owners:
            raise AmbiguousPartitionError(ref, owners)
        faults = (pattern.fault_of(ref) for pattern, _ in self._patterns)
        raise UnknownPartitionError(ref, nearest=self._nearest(ref), fault=next(filter(None, faults), ""))

    def produces(self, ref: str) -> bool:
        """Whether some job produces a ref."""
        return any(True for _ in self._matching(ref)) and not self.fault_of_segments(ref)

    def check_ref(self, ref: str) -> None:
        """Checks that a text can be a ref of this graph, whether or not somebody produces it.

        Raises:
            InvalidRequestError: It cannot; the message says why.
        """
        check_ref(ref)
        if fault := self.fault_of_segments(ref):
            raise InvalidRequestError(f"{ref[:80]!r} is no partition ref: {fault}")

    def fault_of_segments(self, ref: str) -> str:
        """Returns that a ref has an empty segment, `.` or `..` that no pattern allows, in words; empty where not."""
        segment = odd_segment(ref)
        if segment is None or any(pattern.allows_segments(ref) for pattern, _ in self._matching(ref)):
            return ""
        return odd_segment_fault(segment)

    def written_range(self, ref: str) -> tuple[tuple[str, ...], str] | None:
        """Returns that a ref looks like a range and is one partition, since its field has no countable type.

        Returns:
            What is alike for all refs that this is said of once, and a warning; None where it does not look so.
        """
        for pattern, label in self._matching(ref) if ".." in ref else ():
            if (found := pattern.written_range(ref)) is not None:
                name, text, kind = found
                field = f"the field {name!r} of the pattern {pattern.text!r} of {label}"
                warning = f"{ref!r} is one partition, not a range: {field} has no type to count with; "
                return (pattern.text, name, text), f"{warning}as {{{name}:{kind}}} it would make {text!r} a range"
        return None

    def _matching(self, ref: str) -> Iterator[tuple[PartitionPattern, str]]:
        for pattern, label in self._patterns:
            if ref.startswith(pattern.prefix) and pattern.match(ref) is not None:
                yield pattern, label

    def expand(self, texts: Sequence[str], limit: int = MAX_REFS) -> tuple[str, ...]:
        """Returns refs, with each range among the texts replaced by its refs, each ref once, in order.

        Raises:
            InvalidRequestError: A text is no ref, or a range that ends before it begins.
            UnknownPartitionError: No job produces it.
            TooManyPartitionsError: There are more than `limit` refs.
        """
        refs: dict[str, None] = {}
        for text in texts:
            expanded = None
            if ".." in text:
                self.check_ref(text)  # whatever is wrong with it would be wrong with its refs
                ranges = [found for pattern, _ in self._patterns if (found := pattern.expand(text)) is not None]
                expanded = ranges[0] if ranges else None
            if expanded is None:
                if self.lookup:
                    self.check_ref(text)  # whether somebody produces it, planning asks the lookup
                else:
                    self.owner(text)
                expanded = [text]
            refs.update(dict.fromkeys(expanded))
            if len(refs) > limit:
                raise TooManyPartitionsError(limit)
        return tuple(refs)

    def check(self) -> None:
        """Checks that no two patterns overlap.

        Raises:
            OverlappingPatternsError: Two do.
        """
        ordered = sorted(self._patterns, key=lambda pattern: pattern[0].prefix)
        for number, (first, first_label) in enumerate(ordered, start=1):
            for second, second_label in itertools.islice(ordered, number, None):
                if not second.prefix.startswith(first.prefix):
                    break  # nor does any that follows
                if first.apart(second):
                    continue
                from databuild.graph.overlap import overlap

                example = overlap(first, second)
                if example is not None:
                    raise OverlappingPatternsError((first_label, first.text), (second_label, second.text), example)

    def _nearest(self, ref: str) -> str | None:
        by_example = {pattern.example(): pattern.text for pattern, _ in self._patterns}
        nearest = difflib.get_close_matches(ref, by_example, n=1, cutoff=0.4)
        return by_example[nearest[0]] if nearest else None


def load_catalog(path: str, runfiles: str) -> JobCatalog:
    """Reads the catalog that Bazel wrote.

    Args:
        path: The file: a JobCatalog (catalog.proto) as protobuf JSON.
        runfiles: The runfiles root that the paths in it are relative to.

    Raises:
        InvalidCatalogError: It cannot be read.
        InvalidPatternError: A pattern in it cannot be read.
        OverlappingPatternsError: Two jobs produce the same refs.
    """
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            catalog = json.load(file)
        jobs = [_job(job, runfiles) for job in _get(catalog, "jobs", [])]
        loaded = JobCatalog(
            graph_label=_get(catalog, "graph_label", ""),
            jobs={job.label: job for job in jobs},
            lookup=_resolved(_get(catalog, "lookup", ""), runfiles),
            lookup_environment=dict(_get(catalog, "lookup_environment", {})),
            default_partitions=tuple(_get(catalog, "default_partitions", [])),
            resources={name: int(count) for name, count in _get(catalog, "resources", {}).items()},
            runfiles=runfiles,
            max_running_jobs=int(_get(catalog, "max_running_jobs", 0)),
            max_partitions=int(_get(catalog, "max_partitions", 0)) or MAX_PARTITIONS,
        )
    except OSError as error:
        raise InvalidCatalogError(path, f"{error.strerror}; build the graph again with Bazel") from error
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise InvalidCatalogError(path, f"it is no job catalog ({error}); build the graph again with Bazel") from error
    if len(loaded.jobs) != len(jobs):
        raise InvalidCatalogError(path, "two jobs have the same label")
    loaded.check()
    return loaded


def _job(job: Mapping[str, Any], runfiles: str) -> Job:
    retry = _get(job, "retry", {})
    digest_file = _get(job, "code_digest_file", "")
    digest = ""
    if digest_file:
        with open(_resolved(digest_file, runfiles), encoding="ascii") as file:  # noqa: PTH123
            digest = file.read().strip()
    return Job(
        label=job["label"],
        executable=_resolved(job["executable"], runfiles),
        environment=dict(_get(job, "environment", {})),
        code_digest=digest,
        outputs=tuple(_get(job, "outputs", [])),
        timeout_seconds=float(_get(job, "timeout_seconds", 0)) or None,
        retry=RetryPolicy(
            retries=int(_get(retry, "retries", 0)),
            backoff_seconds=float(_get(retry, "backoff_seconds", 0)),
            multiplier=float(_get(retry, "backoff_multiplier", 0)) or 2.0,
            max_backoff_seconds=float(_get(retry, "max_backoff_seconds", 0)) or 300.0,
        ),
        resources={name: int(count) for name, count in _get(job, "resources", {}).items()},
        tags=tuple(_get(job, "tags", [])),
    )


def _get(message: Mapping[str, Any], name: str, default: Any) -> Any:
    """Returns a field of a message in protobuf JSON, by its own name or in camel case."""
    first, *rest = name.split("_")
    return message.get(name, message.get(first + "".join(word.capitalize() for word in rest), default))


def _resolved(path: str, runfiles: str) -> str:
    return os.path.normpath(os.path.join(runfiles, path)) if path else ""  # noqa: PTH118
