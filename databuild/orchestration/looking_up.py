"""Asks a graph's lookup who produces refs, by running `LOOKUP REF...`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from databuild.errors import LookupFaultError
from databuild.executors.executor import Executor, ProcessSpec
from databuild.graph.batches import batches
from databuild.graph.catalog import JobCatalog
from databuild.graph.refs import nfc

TIMEOUT_SECONDS: Final = 300.0
"""How long one call may take: a lookup only maps names."""

_SHOWN: Final = 200
_STDERR_BYTES: Final = 4000


def lookup_of(catalog: JobCatalog, executor: Executor, working_directory: str) -> ProcessLookup | None:
    """Returns the lookup of a graph; None where patterns decide."""
    if not catalog.lookup:
        return None
    return ProcessLookup(executor, catalog.lookup, tuple(catalog.jobs), working_directory=working_directory)


class ProcessLookup:
    """Runs one process per batch of refs."""

    def __init__(self, executor: Executor, path: str, labels: Sequence[str], *, working_directory: str) -> None:
        """Takes what to run.

        Args:
            executor: Runs the processes.
            path: The lookup executable.
            labels: The labels of the graph's jobs, the only ones that it may answer.
            working_directory: The working directory of the processes.
        """
        self._executor = executor
        self._path = path
        self._labels = {canonical(label): label for label in labels}
        self._working_directory = working_directory

    async def __call__(self, refs: Sequence[str]) -> Mapping[str, str]:
        """Returns the label of the job that produces each ref, as `Lookup` says."""
        found: dict[str, str] = {}
        for batch in batches(sorted(refs)):
            found.update(self._checked(await self._ask(batch), batch))
        return found

    async def _ask(self, refs: Sequence[str]) -> bytes:
        spec = ProcessSpec(
            argv=(self._path, *refs), env={}, cwd=self._working_directory, timeout_seconds=TIMEOUT_SECONDS
        )
        result = await self._executor.run(spec)
        fault = ""
        if result.start_error:
            fault = f"could not be started: {result.start_error}; build the graph again with Bazel"
        elif result.timed_out:
            fault = f"ran longer than {TIMEOUT_SECONDS:g} seconds"
        elif result.exit_code:
            fault = f"ended with exit code {result.exit_code}"
        if fault:
            said = result.stderr[-_STDERR_BYTES:].decode(errors="replace")
            raise LookupFaultError(self._path, fault, refs=refs, output=said)
        return result.stdout

    def _checked(self, printed: bytes, refs: Sequence[str]) -> Iterator[tuple[str, str]]:
        try:
            answer: Any = json.loads(printed)
        except ValueError as error:
            shown = printed[:_SHOWN].decode(errors="replace")
            raise LookupFaultError(
                self._path, f"it printed {shown!r}, which is no JSON ({error})", refs=refs
            ) from error
        if not isinstance(answer, dict):
            fault = f"it printed a JSON {type(answer).__name__}, where an object, ref to job label, is needed"
            raise LookupFaultError(self._path, fault, refs=refs)
        for key in answer:
            if (normal := nfc(key)) != key:
                fault = f"it answered about {key!r}, which is {normal!a} in Unicode normalization form C"
                raise LookupFaultError(self._path, fault, refs=refs)
        for ref in refs:
            answered = answer.get(ref)
            if answered is None:
                continue
            label = self._labels.get(canonical(answered)) if isinstance(answered, str) else None
            if label is None:
                jobs = ", ".join(sorted(self._labels.values()))
                fault = f"it answered {answered!r} for {ref!r}, which is no job of this graph; its jobs are {jobs}"
                raise LookupFaultError(self._path, fault, refs=refs)
            yield ref, label


def canonical(label: str) -> str:
    """Returns a label of the main repository in one form: `@//a:a`, `@@//a` and `//a` are all `//a:a`."""
    repository, slashes, rest = label.partition("//")
    if slashes and not repository.strip("@"):
        package, colon, name = rest.partition(":")
        return f"//{package}:{name if colon else package.rpartition('/')[2]}"
    return label
