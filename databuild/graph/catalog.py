"""The job catalog: every job of a graph, as written by Bazel, and the lookup of a ref's job by patterns."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from databuild.errors import (
    AmbiguousPartitionError,
    InvalidCatalogError,
    InvalidPatternError,
    InvalidRequestError,
    OverlappingPatternsError,
    TooManyPartitionsError,
    UnknownPartitionError,
)
from databuild.graph.labels import stable_label, stable_repository
from databuild.graph.patterns import MAX_REFS, PartitionPattern
from databuild.graph.refs import check_ref, unsafe_segment, unsafe_segment_fault
from databuild.model.executor_uri import LOCAL
from databuild.tuples import EMPTY, NamedTuple

if TYPE_CHECKING:
    from databuild.graph.declared.declaration import Declaration, DeclaredJob
    from databuild.graph.series import Series

MAX_PARTITIONS: Final = 10_000_000
"""Default maximum number of partitions of one plan."""

DEFAULT_INFRASTRUCTURE_RETRIES: Final = 2
"""Default maximum number of attempts after an engine lost a job run."""


class RetryPolicy(NamedTuple):
    """Retries of a failed job run, with exponential back-off.

    Attributes:
        retries: The maximum number of attempts after the first.
        backoff_seconds: The delay before the first retry.
        multiplier: The factor by which the delay grows with each further retry.
        max_backoff_seconds: The maximum delay.
        infrastructure_retries: The maximum number of attempts after engines lost runs; these do not count as retries.
    """

    retries: int = 0
    backoff_seconds: float = 0.0
    multiplier: float = 2.0
    max_backoff_seconds: float = 300.0
    infrastructure_retries: int = DEFAULT_INFRASTRUCTURE_RETRIES

    def delay(self, failed_attempts: int) -> float:
        """Returns the delay before the next attempt, in seconds."""
        return min(self.backoff_seconds * self.multiplier ** (failed_attempts - 1), self.max_backoff_seconds)


class WorkerLimits(NamedTuple):
    """The limits of the workers of a job; 0 for none.

    Attributes:
        max_requests: The number of requests after which a worker is replaced.
        max_memory_bytes: The resident memory above which a worker is replaced after a request.
    """

    max_requests: int = 0
    max_memory_bytes: int = 0


class _JobFields(NamedTuple):
    label: str
    executable: str
    environment: Mapping[str, str] = EMPTY
    code_digest: str = ""
    outputs: tuple[str, ...] = ()
    timeout_seconds: float | None = None
    retry: RetryPolicy = RetryPolicy()
    resources: Mapping[str, int] = EMPTY
    tags: tuple[str, ...] = ()
    declaration: Declaration | None = None
    always_local: bool = False
    exec_properties: Mapping[str, str] = EMPTY
    code_files: str = ""
    worker: WorkerLimits | None = None
    retention_seconds: float | None = None
    history: int = 0
    check: bool = False


class Job(_JobFields):
    """One job of a graph.

    Attributes:
        label: The Bazel label.
        executable: The path of the executable.
        environment: The variables that the target of the executable sets with its own `env`.
        code_digest: A hash of the binary and all of its runfiles.
        outputs: The partition patterns of the refs that the job produces; may be empty only if the graph has a lookup.
        timeout_seconds: The maximum duration of one job run; None for no limit.
        retry: The retries after a failed job run.
        resources: The amount of each named resource that one job run needs.
        tags: Words of the author's choice, for people and filters.
        declaration: The templates of its inputs and arguments; None for a job with `config`.
        always_local: True if it runs on the machine of the orchestrator even in builds on an engine.
        exec_properties: Requirements on machines of engines, in their words.
        code_files: The path of the list of its runfiles; empty if there is none.
        worker: The limits of the workers that serve it; None if each of its runs is a process.
        retention_seconds: The age at which a cleaning deletes its data; None for never.
        history: The number of earlier partitions whose numbers its task descriptions have.
        check: True if its program has the sub-command `check`.
    """

    @functools.cached_property
    def patterns(self) -> tuple[PartitionPattern, ...]:
        """The partition patterns of `outputs`, with the bounds of the declaration."""
        bounds = self.declaration.bounds if self.declaration is not None else {}
        return tuple(PartitionPattern(text, bounds) for text in self.outputs)

    def command(self, args: Sequence[str]) -> tuple[str, ...]:
        """Returns the command line of a run. Only a program that has `config` knows the sub-command `exec`."""
        return (self.executable, *args) if self.declaration is not None else (self.executable, "exec", *args)


class _CatalogFields(NamedTuple):
    graph_label: str
    jobs: Mapping[str, Job]
    lookup: str = ""
    lookup_environment: Mapping[str, str] = EMPTY
    default_partitions: tuple[str, ...] = ()
    resources: Mapping[str, int] = EMPTY
    max_running_jobs: int = 0
    runfiles: str = ""
    max_partitions: int = MAX_PARTITIONS
    executor: str = LOCAL
    log_store: str = ""
    notify: tuple[str, ...] = ()
    notify_on: tuple[str, ...] = ()
    exporters: tuple[str, ...] = ()
    bes_results_url: str = ""
    extensions: Mapping[str, Sequence[str]] = EMPTY
    exec_properties: Mapping[str, str] = EMPTY


class JobCatalog(_CatalogFields):
    """Every job of one graph.

    Attributes:
        graph_label: The label of the graph.
        jobs: The jobs, by label.
        lookup: The path of the lookup executable; empty if patterns decide.
        lookup_environment: The variables that the target of the lookup sets with its own `env`.
        default_partitions: The refs or ranges of refs that a request without partitions builds.
        resources: The amount of each named resource, shared by all builds that share an event log.
        max_running_jobs: The maximum number of job runs at once in all those builds; 0 for no limit.
        runfiles: The runfiles root, which has Bazel's `_repo_mapping` file.
        max_partitions: The maximum number of partitions of one plan.
        executor: The address of the engine that runs the jobs unless a build says otherwise, or `local`.
        log_store: The URI of the place of job logs unless a build says otherwise; empty for the state directory.
        notify: The URLs that get notifications unless a build or service says otherwise.
        notify_on: The occasions of notifications; empty for the default ones.
        exporters: The URIs of the exporters of events unless a build or service says otherwise.
        bes_results_url: The URL of the pages of a Build Event Service, unless a build says otherwise; empty for none.
        extensions: The directories of the packages of each extension of DataBuild among the runfiles, by its name.
        exec_properties: Requirements on machines of engines for jobs that do not set them.
    """

    @functools.cached_property
    def patterns(self) -> tuple[tuple[PartitionPattern, str], ...]:
        """The patterns of all jobs, each with the label of its job."""
        return tuple((pattern, job.label) for job in self.jobs.values() for pattern in job.patterns)

    @functools.cached_property
    def _by_first_segment(self) -> Mapping[str, Sequence[tuple[PartitionPattern, str]]]:
        """The patterns that a ref may match, by its first segment; those that may match any are under ``."""
        any_segment = [entry for entry in self.patterns if "/" not in entry[0].prefix]
        segments = {pattern.prefix.partition("/")[0] for pattern, _ in self.patterns if "/" in pattern.prefix}
        return {"": any_segment} | {
            segment: [entry for entry in self.patterns if entry[0].prefix.startswith(f"{segment}/")] + any_segment
            for segment in segments
        }

    @functools.cached_property
    def declared(self) -> Mapping[str, DeclaredJob]:
        """The declared jobs, by label.

        Raises:
            InvalidPatternError: A template of a job is invalid.
        """
        declarations = {label: job.declaration for label, job in self.jobs.items() if job.declaration is not None}
        if not declarations:
            return {}
        from databuild.graph.declared.declaration import DeclaredJob

        declared = {}
        for label, declaration in declarations.items():
            try:
                declared[label] = DeclaredJob(label, self.jobs[label].patterns, declaration)
            except InvalidPatternError as error:
                raise error.in_job(label) from None
        return declared

    def find_job(self, label: str) -> str | None:
        """Returns a job's label in the form that `jobs` has; None if the graph has no such job.

        Args:
            label: The label as written in a BUILD file of the graph's repository, or with a canonical repository name.
        """
        stable = stable_label(label)
        repository, _, name = stable.partition("//")
        if label.startswith("//"):
            # In a BUILD file of the graph's repository, a label without a repository means that repository. In the
            # answer of a lookup, it may as well mean the main repository.
            in_graph_repository = f"{self.graph_label.partition('//')[0]}{stable}"
            return next((candidate for candidate in (in_graph_repository, stable) if candidate in self.jobs), None)
        if stable not in self.jobs:
            stable = f"{self._repositories.get(repository, repository)}//{name}"
        return stable if stable in self.jobs else None

    @functools.cached_property
    def _repositories(self) -> Mapping[str, str]:
        """The stable name of each repository, with its @, by its apparent name in the graph's repository."""
        # The format of the file: https://bazel.build/external/overview#repository_mapping
        graph_repository = self.graph_label.partition("//")[0].removeprefix("@")
        names = {}
        with contextlib.suppress(OSError), open(f"{self.runfiles}/_repo_mapping", encoding="utf-8") as file:  # noqa: PTH123
            for line in file:
                source, apparent, target = line.rstrip("\n").split(",")
                if stable_repository(source) == graph_repository:
                    names[f"@{apparent}"] = "" if target == "_main" else f"@{stable_repository(target)}"
        return names

    def owner(self, ref: str) -> str:
        """Returns the label of the job that produces a ref.

        Raises:
            InvalidRequestError: The text is not a valid ref.
            UnknownPartitionError: No job produces it; the error has the nearest pattern.
            AmbiguousPartitionError: More than one job produces it.
        """
        if (owner := self.find_owner(ref)) is not None:
            return owner
        faults = (pattern.explain_mismatch(ref) for pattern, _ in self.patterns)
        raise UnknownPartitionError(ref, nearest=self._nearest(ref), fault=next(filter(None, faults), ""))

    def find_owner(self, ref: str) -> str | None:
        """Returns the label of the job that produces a ref; None if no job does.

        Raises:
            InvalidRequestError: The text is not a valid ref.
            AmbiguousPartitionError: More than one job produces it.
        """
        check_ref(ref)  # before matching: the regular expression of a field may accept invalid refs
        owners = [label for _, label in self._matching(ref)]
        if unsafe_segment(ref) is not None:
            self.check_ref(ref)
        if len(owners) > 1:
            raise AmbiguousPartitionError(ref, owners)
        return owners[0] if owners else None

    def fields_of(self, ref: str, job_label: str = "") -> Mapping[str, tuple[str, str]]:
        """Returns the type and the text of each field of a ref, by name; empty if no pattern matches it.

        Args:
            ref: The ref.
            job_label: The job that produces it; empty to use the patterns of all jobs.
        """
        for pattern, label in self._candidates(ref):
            if job_label in {"", label} and (texts := pattern.match(ref)) is not None:
                kinds = pattern.fields.items()
                return {name: ("str" if kind.startswith("/") else kind, texts[name]) for name, kind in kinds}
        return {}

    def pattern_of(self, ref: str) -> tuple[PartitionPattern, Mapping[str, str]] | None:
        """Returns the pattern of a ref and the text of each field, by name; None if no pattern matches it."""
        for pattern, _ in self._candidates(ref):
            if (texts := pattern.match(ref)) is not None:
                return pattern, texts
        return None

    @functools.cached_property
    def folders(self) -> Mapping[str, str]:
        """For each pattern, by its text, the literal folder that only its refs are below; empty if there is none."""
        folders = {}
        prefixes = {pattern.text: pattern.prefix for pattern, _ in self.patterns}
        for text, prefix in prefixes.items():
            folder = prefix[: prefix.rfind("/") + 1]
            others = (other for name, other in prefixes.items() if name != text)
            is_own = not any(other.startswith(folder) or folder.startswith(other) for other in others)
            folders[text] = folder.rstrip("/") if is_own else ""
        return folders

    def series_of(self, ref: str) -> Series | None:
        """Returns the partitions that differ from a ref in the date only; None if its pattern has no date."""
        from databuild.graph.series import series_of

        for pattern, _ in self._matching(ref):
            return series_of(pattern, ref)
        return None

    def owners(self, ref: str) -> tuple[str, ...]:
        """Returns the labels of the jobs with a pattern that matches a text, which need not be a valid ref."""
        return tuple(label for _, label in self._matching(ref))

    def is_bounded(self, job_label: str) -> bool:
        """Returns True if a job declares bounds, so that its inputs cannot lead further and further for ever."""
        declaration = self.jobs[job_label].declaration
        return declaration is not None and bool(declaration.bounds)

    def may_produce(self, ref: str) -> bool:
        """Returns True if a job of the graph produces a ref; with a lookup, for every ref."""
        return bool(self.lookup) or bool(self.owners(ref))

    def check_ref(self, ref: str) -> None:
        """Checks the form of a ref, but not whether a job produces it.

        Raises:
            InvalidRequestError: The text is not a valid ref of this graph.
        """
        check_ref(ref)
        if fault := self.segment_fault(ref):
            raise InvalidRequestError(f"{ref[:80]!r} is not a partition ref: {fault}")

    def segment_fault(self, ref: str) -> str:
        """Describes a segment of a ref (empty, `.` or `..`) that no pattern allows; empty if there is none."""
        segment = unsafe_segment(ref)
        if segment is None or any(pattern.allows_unsafe_segments(ref) for pattern, _ in self._matching(ref)):
            return ""
        return unsafe_segment_fault(segment)

    def range_lookalike(self, ref: str) -> tuple[tuple[str, ...], str] | None:
        """Warns of a ref that looks like a range but is one partition, since its field has no countable type.

        Returns:
            A key that is equal for refs with the same warning, and the warning; None if the ref does not look so.
        """
        for pattern, label in self._matching(ref) if ".." in ref else ():
            if (lookalike := pattern.range_lookalike(ref)) is not None:
                name, text, kind = lookalike
                field = f"the field {name!r} of the pattern {pattern.text!r} of {label}"
                warning = f"{ref!r} is one partition, not a range: {field} has no type to count with; "
                return (pattern.text, name, text), f"{warning}as {{{name}:{kind}}} it would make {text!r} a range"
        return None

    def patterns_of_segment(self, segment: str) -> Sequence[tuple[PartitionPattern, str]]:
        """Returns the patterns that a text with a first segment may match, each with the label of its job."""
        return self._by_first_segment.get(segment) or self._by_first_segment[""]

    def _candidates(self, ref: str) -> Iterator[tuple[PartitionPattern, str]]:
        """Yields the patterns that a text may match, judged by its beginning."""
        patterns = self.patterns_of_segment(ref.partition("/")[0])
        return (entry for entry in patterns if ref.startswith(entry[0].prefix))

    def _matching(self, ref: str) -> Iterator[tuple[PartitionPattern, str]]:
        for pattern, label in self._candidates(ref):
            if pattern.match(ref) is not None:
                yield pattern, label

    def expand(self, texts: Sequence[str], limit: int = MAX_REFS, *, produced: bool = True) -> tuple[str, ...]:
        """Replaces each range by its refs. Returns each ref once, in order.

        Args:
            texts: Refs and ranges of refs.
            limit: The maximum number of refs.
            produced: False to accept refs that no job produces, such as those of QUERY inputs.

        Raises:
            InvalidRequestError: A text is not a valid ref, or a range that ends before it begins.
            UnknownPartitionError: No job produces a ref. With a lookup, planning finds that out.
            TooManyPartitionsError: There are more than `limit` refs.
        """
        expanded: dict[str, None] = {}
        for text in texts:
            text_refs: Sequence[str] | None = None
            if ".." in text:
                self.check_ref(text)  # an invalid character in a range would be in each of its refs
                ranges = [refs for pattern, _ in self.patterns if (refs := pattern.expand(text)) is not None]
                text_refs = ranges[0] if ranges else None
            if text_refs is None:
                if self.lookup or not produced:
                    self.check_ref(text)
                else:
                    self.owner(text)
                text_refs = [text]
            expanded.update(dict.fromkeys(text_refs))
            if len(expanded) > limit:
                raise TooManyPartitionsError(limit)
        return tuple(expanded)

    def check(self) -> None:
        """Checks that the templates of declared jobs are valid, and that no two patterns overlap.

        Raises:
            InvalidPatternError: A template is invalid.
            OverlappingPatternsError: Two patterns match the same ref.
        """
        _ = self.declared
        # Sorted by prefix, the patterns that can overlap with one stand directly after it: their prefixes begin with
        # its prefix. So most of the pairs need not be compared.
        ordered = sorted(self.patterns, key=lambda pattern: pattern[0].prefix)
        for number, (first, first_label) in enumerate(ordered, start=1):
            for second, second_label in itertools.islice(ordered, number, None):
                if not second.prefix.startswith(first.prefix):
                    break
                if first.is_disjoint(second):
                    continue
                from databuild.graph.overlap import shortest_common_ref

                example = shortest_common_ref(first, second)
                if example is not None:
                    raise OverlappingPatternsError((first_label, first.text), (second_label, second.text), example)

    def _nearest(self, ref: str) -> str | None:
        import difflib

        by_example = {pattern.example(): pattern.text for pattern, _ in self.patterns}
        nearest = difflib.get_close_matches(ref, by_example, n=1, cutoff=0.4)
        return by_example[nearest[0]] if nearest else None


def load_catalog(path: str, runfiles: str) -> JobCatalog:
    """Reads a job catalog from its file.

    Args:
        path: The path of a JobCatalog (catalog.proto) as protobuf JSON, written by Bazel.
        runfiles: The runfiles root. Paths in the file are relative to it.

    Raises:
        InvalidCatalogError: The file cannot be read, or is not a job catalog.
        InvalidPatternError: A pattern is invalid.
        OverlappingPatternsError: Two jobs produce the same refs.
    """
    # Parsed as plain JSON: importing protobuf would slow the start of commands that only read.
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
            executor=_get(catalog, "executor", "") or LOCAL,
            log_store=_get(catalog, "log_store", ""),
            notify=tuple(_get(catalog, "notify", ())),
            notify_on=tuple(_get(catalog, "notify_on", ())),
            exporters=tuple(_get(catalog, "exporters", ())),
            bes_results_url=_get(catalog, "bes_results_url", ""),
            extensions={
                name: tuple(_resolved(path, runfiles) for path in _get(extension, "import_paths", []))
                for name, extension in _get(catalog, "extensions", {}).items()
            },
            exec_properties=dict(_get(catalog, "exec_properties", {})),
        )
    except OSError as error:
        raise InvalidCatalogError(path, f"{error.strerror}; build the graph again with Bazel") from error
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise InvalidCatalogError(
            path, f"it is not a job catalog ({error}); build the graph again with Bazel"
        ) from error
    if len(loaded.jobs) != len(jobs):
        raise InvalidCatalogError(path, "two jobs have the same label")
    loaded.check()
    return loaded


def _job(job: Mapping[str, Any], runfiles: str) -> Job:
    retry = _get(job, "retry", {})
    digest_file = _get(job, "code_digest_file", "")
    digest = ""
    if digest_file:
        with open(_resolved(digest_file, runfiles), encoding="utf-8") as file:  # noqa: PTH123
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
            infrastructure_retries=int(_get(retry, "infrastructure_retries", DEFAULT_INFRASTRUCTURE_RETRIES)),
        ),
        resources={name: int(count) for name, count in _get(job, "resources", {}).items()},
        tags=tuple(_get(job, "tags", [])),
        declaration=_declaration(job["declaration"]) if "declaration" in job else None,
        always_local=_get(job, "executor", "") == LOCAL,
        exec_properties=dict(_get(job, "exec_properties", {})),
        code_files=_resolved(_get(job, "code_files", ""), runfiles),
        worker=_worker(job["worker"]) if "worker" in job else None,
        retention_seconds=float(_get(job, "retention_seconds", 0)) or None,
        history=int(_get(job, "history", 0)),
        check=bool(_get(job, "check", False)),
    )


def _worker(limits: Mapping[str, Any]) -> WorkerLimits:
    return WorkerLimits(
        max_requests=int(_get(limits, "max_requests", 0)),
        max_memory_bytes=int(_get(limits, "max_memory_bytes", 0)),
    )


def _declaration(declared: Mapping[str, Any]) -> Declaration:
    from databuild.graph.declared.declaration import Declaration

    return Declaration(
        inputs=tuple(_get(declared, "inputs", [])),
        optional_inputs=tuple(_get(declared, "optional_inputs", [])),
        query_inputs=tuple(_get(declared, "query_inputs", [])),
        args=tuple(_get(declared, "args", [])),
        env=tuple(sorted(_get(declared, "env", {}).items())),
        bounds=dict(_get(declared, "bounds", {})),
        batch_size=int(_get(declared, "batch_size", 0)),
        batch_by=_get(declared, "batch_by", ""),
    )


def _get(message: Mapping[str, Any], name: str, default: Any) -> Any:
    """Returns a field of a message in protobuf JSON, which may have it in snake case or in camel case."""
    first, *rest = name.split("_")
    return message.get(name, message.get(first + "".join(word.capitalize() for word in rest), default))


def _resolved(path: str, runfiles: str) -> str:
    return os.path.normpath(os.path.join(runfiles, path)) if path else ""  # noqa: PTH118
