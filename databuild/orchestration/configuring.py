"""Asks jobs for their configurations by running `JOB config REF...`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Final

from databuild.errors import JobConfigurationError
from databuild.executors.executor import Executor, ProcessResult, ProcessSpec
from databuild.graph.catalog import Job
from databuild.graph.job_protocol import parse_configure_response
from databuild.model.job_graph import JobConfig

_STDERR_BYTES: Final = 4000
_READ_AT_ONCE: Final = 4 * 1024 * 1024
"""Up to how many bytes an answer is read on the event loop; longer ones are read in a thread."""

_REASON_OF_START_FAULT = "build the graph again with Bazel, or make the file executable"


class ProcessConfigure:
    """Runs one process per call."""

    def __init__(self, executor: Executor, *, working_directory: str, env: Mapping[str, str]) -> None:
        """Takes where to run.

        Args:
            executor: Runs the processes.
            working_directory: Their working directory.
            env: Variables that each gets.
        """
        self._executor = executor
        self._working_directory = working_directory
        self._env = dict(env)

    async def __call__(self, job: Job, refs: Sequence[str]) -> Sequence[JobConfig]:
        """Runs `JOB config REF...` once and returns the parsed answer, as `Configure` says."""
        spec = ProcessSpec(
            argv=(job.executable, "config", *refs),
            env={**self._env, "DATABUILD_JOB_LABEL": job.label},
            cwd=self._working_directory,
            timeout_seconds=job.timeout_seconds,
        )
        result = await self._executor.run(spec)
        if result.start_error:
            fault = f"could not be started: {result.start_error}; {_REASON_OF_START_FAULT}"
            raise JobConfigurationError(job.label, fault, refs=refs)
        if result.timed_out or result.exit_code:
            said = result.stderr[-_STDERR_BYTES:].decode(errors="replace")
            raise JobConfigurationError(job.label, _fault(job, result), refs=refs, output=said)
        if len(result.stdout) <= _READ_AT_ONCE:
            return parse_configure_response(result.stdout, job_label=job.label, refs=refs)
        return await _parse_apart(result.stdout, job, refs)


async def _parse_apart(printed: bytes, job: Job, refs: Sequence[str]) -> Sequence[JobConfig]:
    """Reads a long answer in a thread, which a cancellation ends soon."""
    cancelled = threading.Event()

    def parse() -> Sequence[JobConfig]:
        return parse_configure_response(printed, job_label=job.label, refs=refs, cancelled=cancelled.is_set)

    try:
        return await asyncio.to_thread(parse)
    finally:
        cancelled.set()


def _fault(job: Job, result: ProcessResult) -> str:
    if result.timed_out:
        return f"ran longer than its timeout of {job.timeout_seconds:g} seconds"
    if result.exit_code < 0:
        return f"was ended by signal {-result.exit_code}"
    return f"ended with exit code {result.exit_code}"
