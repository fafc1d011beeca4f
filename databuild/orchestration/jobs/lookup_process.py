"""Lookup of a graph: finds the jobs that produce refs, by running `LOOKUP REF...`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from databuild.errors import LookupFaultError
from databuild.executors.executor import Executor, ProcessSpec
from databuild.graph.batches import batches, batches_that_fit
from databuild.graph.catalog import JobCatalog
from databuild.graph.refs import nfc
from databuild.orchestration.jobs.process_faults import end_of_output, process_fault

TIMEOUT_SECONDS: Final = 300.0
"""Timeout of one call. A lookup only maps names, so it needs little time."""

_MAX_SHOWN_BYTES: Final = 200


def lookup_for(catalog: JobCatalog, executor: Executor, working_directory: str) -> LookupProcess | None:
    """Returns the lookup of a graph; None if the graph uses the patterns of its jobs."""
    if not catalog.lookup:
        return None
    return LookupProcess(executor, catalog, working_directory=working_directory)


class LookupProcess:
    """Runs one process per batch of refs; implements `graph.ports.Lookup`."""

    def __init__(self, executor: Executor, catalog: JobCatalog, *, working_directory: str) -> None:
        self._executor = executor
        self._catalog = catalog
        self._path = catalog.lookup
        self._working_directory = working_directory

    async def __call__(self, refs: Sequence[str]) -> Mapping[str, str]:
        labels: dict[str, str] = {}
        # Sorted, so that the arguments of each call do not depend on the order in which planning finds refs.
        for batch in batches(sorted(refs)):
            for fitting in batches_that_fit(batch, self._fits):
                labels.update(self._parse(await self._ask(fitting), fitting))
        return labels

    def _fits(self, refs: Sequence[str]) -> bool:
        return not self._executor.command_fault((self._path, *refs), self._catalog.lookup_environment)

    async def _ask(self, refs: Sequence[str]) -> bytes:
        spec = ProcessSpec(
            argv=(self._path, *refs),
            env=self._catalog.lookup_environment,
            cwd=self._working_directory,
            timeout_seconds=TIMEOUT_SECONDS,
        )
        result = await self._executor.run(spec)
        fault = process_fault(result, TIMEOUT_SECONDS)
        if fault is not None:
            raise LookupFaultError(self._path, fault.message, refs=refs, output=end_of_output(result))
        return result.stdout

    def _parse(self, printed: bytes, refs: Sequence[str]) -> Iterator[tuple[str, str]]:
        try:
            answer: Any = json.loads(printed)
        except ValueError as error:
            shown = printed[:_MAX_SHOWN_BYTES].decode(errors="replace")
            raise LookupFaultError(
                self._path, f"it printed {shown!r}, which is not JSON ({error})", refs=refs
            ) from error
        if not isinstance(answer, dict):
            fault = f"it printed a JSON {type(answer).__name__}; an object from refs to job labels is required"
            raise LookupFaultError(self._path, fault, refs=refs)
        for key in answer:
            if (normal := nfc(key)) != key:
                fault = f"it answered about {key!r}, which is {normal!a} in Unicode normalization form C"
                raise LookupFaultError(self._path, fault, refs=refs)
        for ref in refs:
            printed_label = answer.get(ref)
            if printed_label is None:
                continue
            label = self._catalog.find_job(printed_label) if isinstance(printed_label, str) else None
            if label is None:
                jobs = ", ".join(sorted(self._catalog.jobs))
                fault = (
                    f"it answered {printed_label!r} for {ref!r}, which is not a job of this graph; the jobs are {jobs}"
                )
                raise LookupFaultError(self._path, fault, refs=refs)
            yield ref, label
