"""Asks jobs for their configurations by running `JOB config REF...`."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from databuild.errors import JobConfigurationError
from databuild.executors.executor import Executor, ProcessSpec
from databuild.graph.catalog import Job
from databuild.graph.job_protocol import parse_configure_response
from databuild.model.job_graph import JobConfig

_STDERR_BYTES: Final = 4000
_REASON_OF_START_FAULT = "build the graph again with Bazel, or make the file executable"


class ProcessConfigure:
    """Runs one process per call; what it prints on stderr is kept until the folder is removed."""

    def __init__(self, executor: Executor, *, folder: str, working_directory: str, env: Mapping[str, str]) -> None:
        """Takes where to run.

        Args:
            executor: Runs the processes.
            folder: An existing folder for what the processes print.
            working_directory: Their working directory.
            env: Variables that each gets.
        """
        self._executor = executor
        self._folder = folder
        self._working_directory = working_directory
        self._env = dict(env)
        self._calls = itertools.count(1)

    async def __call__(self, job: Job, refs: Sequence[str]) -> Sequence[JobConfig]:
        """Runs `JOB config REF...` once and returns the parsed answer, as `Configure` says."""
        base = os.path.join(self._folder, f"config.{next(self._calls)}")  # noqa: PTH118 - a string is all that is needed
        spec = ProcessSpec(
            argv=(job.executable, "config", *refs),
            env={**self._env, "DATABUILD_JOB_LABEL": job.label},
            cwd=self._working_directory,
            stdout=base + ".stdout",
            stderr=base + ".stderr",
            timeout_seconds=job.timeout_seconds,
        )
        result = await self._executor.run(spec)
        if result.start_error:
            fault = f"could not be started: {result.start_error}; {_REASON_OF_START_FAULT}"
            raise JobConfigurationError(job.label, fault, refs=refs)
        printed = Path(spec.stdout).read_bytes()
        if result.timed_out or result.exit_code:
            said = Path(spec.stderr).read_bytes()[-_STDERR_BYTES:].decode(errors="replace")
            fault = (
                f"ran longer than {job.timeout_seconds} seconds"
                if result.timed_out
                else f"ended with exit code {result.exit_code}"
            )
            raise JobConfigurationError(job.label, fault, refs=refs, output=said)
        configs = parse_configure_response(printed, job_label=job.label, refs=refs)
        Path(spec.stdout).unlink()
        if not Path(spec.stderr).stat().st_size:
            Path(spec.stderr).unlink()
        return configs
