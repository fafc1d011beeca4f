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
from databuild.orchestration.jobs.process_faults import end_of_output, fault_of

TIMEOUT_SECONDS: Final = 300.0
"""How long one call may take: a lookup only maps names."""

_SHOWN: Final = 200


def lookup_of(catalog: JobCatalog, executor: Executor, working_directory: str) -> ProcessLookup | None:
    """Returns the lookup of a graph; None where patterns decide."""
    if not catalog.lookup:
        return None
    return ProcessLookup(executor, catalog, working_directory=working_directory)


class ProcessLookup:
    """Runs one process per batch of refs."""

    def __init__(self, executor: Executor, catalog: JobCatalog, *, working_directory: str) -> None:
        """Takes what to run.

        Args:
            executor: Runs the processes.
            catalog: The graph, which has a lookup.
            working_directory: The working directory of the processes.
        """
        self._executor = executor
        self._catalog = catalog
        self._path = catalog.lookup
        self._working_directory = working_directory

    async def __call__(self, refs: Sequence[str]) -> Mapping[str, str]:
        """Returns the label of the job that produces each ref, as `Lookup` says."""
        found: dict[str, str] = {}
        for batch in batches(sorted(refs)):
            found.update(self._checked(await self._ask(batch), batch))
        return found

    async def _ask(self, refs: Sequence[str]) -> bytes:
        spec = ProcessSpec(
            argv=(self._path, *refs),
            env=self._catalog.lookup_environment,
            cwd=self._working_directory,
            timeout_seconds=TIMEOUT_SECONDS,
        )
        result = await self._executor.run(spec)
        fault = fault_of(result, TIMEOUT_SECONDS)
        if fault is not None:
            raise LookupFaultError(self._path, fault.message, refs=refs, output=end_of_output(result))
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
            label = self._catalog.find_job(answered) if isinstance(answered, str) else None
            if label is None:
                jobs = ", ".join(sorted(self._catalog.jobs))
                fault = f"it answered {answered!r} for {ref!r}, which is no job of this graph; its jobs are {jobs}"
                raise LookupFaultError(self._path, fault, refs=refs)
            yield ref, label
