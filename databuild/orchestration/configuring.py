"""Asks jobs for their configurations by running `JOB config REF...`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from databuild.errors import JobConfigurationError
from databuild.executors.executor import Executor, ProcessResult, ProcessSpec
from databuild.graph.catalog import Job
from databuild.graph.job_protocol import parse_configure_response
from databuild.model.job_graph import JobConfig

_STDERR_BYTES: Final = 4000
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
            env={**job.environment, **self._env, "DATABUILD_JOB_LABEL": job.label},
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
        return parse_configure_response(result.stdout, job_label=job.label, refs=refs)


def _fault(job: Job, result: ProcessResult) -> str:
    if result.timed_out:
        return f"ran longer than its timeout of {job.timeout_seconds:g} seconds"
    if result.exit_code < 0:
        return f"was ended by signal {-result.exit_code}"
    return f"ended with exit code {result.exit_code}"
