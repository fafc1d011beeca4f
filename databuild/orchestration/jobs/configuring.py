"""Asks jobs for their configurations by running `JOB config REF...`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Final

from databuild.errors import JobConfigurationError
from databuild.executors.executor import Executor, ProcessSpec
from databuild.graph.catalog import Job
from databuild.graph.job_protocol import parse_configure_response
from databuild.model.job_graph import JobConfig
from databuild.orchestration.jobs.process_faults import end_of_output, fault_of

_READ_AT_ONCE: Final = 4 * 1024 * 1024
"""Up to how many bytes an answer is read on the event loop; longer ones are read in a thread."""


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
        fault = fault_of(result, job.timeout_seconds)
        if fault is not None:
            raise JobConfigurationError(job.label, fault.message, refs=refs, output=end_of_output(result))
        if len(result.stdout) <= _READ_AT_ONCE:
            configs: Sequence[JobConfig] = parse_configure_response(result.stdout, job_label=job.label, refs=refs)
        else:
            configs = await _parse_apart(result.stdout, job, refs)
        for config in configs:
            # Each attempt at such a task would fail; now its author is told which output it is for.
            environment = {**job.environment, **dict(config.env)}
            if too_large := self._executor.command_fault((job.executable, "exec", *config.args), environment):
                fault_text = f"{config.outputs[0]!r} cannot be run: {too_large}"
                raise JobConfigurationError(job.label, fault_text, refs=refs)
        return configs


async def _parse_apart(printed: bytes, job: Job, refs: Sequence[str]) -> Sequence[JobConfig]:
    """Reads a long answer in a thread, which a cancellation ends soon."""
    cancelled = threading.Event()

    def parse() -> Sequence[JobConfig]:
        return parse_configure_response(printed, job_label=job.label, refs=refs, cancelled=cancelled.is_set)

    try:
        return await asyncio.to_thread(parse)
    finally:
        cancelled.set()
