"""Configurations of jobs, by running `JOB config REF...` or by asking a worker."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from databuild.errors import DataBuildError, JobConfigurationError
from databuild.executors.executor import Executor, ProcessSpec
from databuild.graph.batches import batches_that_fit
from databuild.graph.catalog import Job
from databuild.graph.job_protocol import configs_of_response, parse_configure_response
from databuild.model.job_graph import JobConfig
from databuild.orchestration.jobs.process_faults import end_of_output, process_fault
from databuild.orchestration.jobs.worker_spec import worker_spec
from databuild.v1.events_pb2 import ConfigCall
from databuild.v1.job_pb2 import JobConfigureResponse

MAX_CALLS: Final = 1000
"""The maximum number of calls that the events of a build record. A chain of partitions has a call for each."""

_MAX_FAULT: Final = 300

_MAX_EVENT_LOOP_BYTES: Final = 4 * 1024 * 1024
"""Maximum size of an answer that is parsed on the event loop. Larger answers are parsed in a thread."""


class ConfigCalls:
    """Collects the calls of `config` of a build that its next event records, until there are `MAX_CALLS`."""

    def __init__(self) -> None:
        self._left = MAX_CALLS
        self._calls: list[ConfigCall] = []

    def add(self, call: ConfigCall) -> None:
        if self._left:
            self._left -= 1
            self._calls.append(call)

    def take(self) -> Sequence[ConfigCall]:
        """Returns the calls since the last time, by job label and time: concurrent calls end in any order."""
        calls, self._calls = self._calls, []
        return sorted(calls, key=lambda call: (call.job_label, call.time.ToNanoseconds()))


class ConfigProcess:
    """Implements `graph.ports.Configure`. A call runs more than one process if its refs do not fit."""

    def __init__(
        self,
        executor: Executor,
        *,
        working_directory: str,
        env: Mapping[str, str],
        on_call: Callable[[ConfigCall], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Runs nothing yet.

        Args:
            executor: Runs the processes.
            working_directory: The working directory of the processes.
            env: Environment variables of all processes, besides those of their jobs.
            on_call: Called with each call that has ended.
            clock: Returns the time in seconds since the epoch.
        """
        self._executor = executor
        self._working_directory = working_directory
        self._env = dict(env)
        self._on_call = on_call
        self._clock = clock

    async def __call__(self, job: Job, refs: Sequence[str]) -> Sequence[JobConfig]:
        env = {**job.environment, **self._env, "DATABUILD_JOB_LABEL": job.label}

        def fits(batch: Sequence[str]) -> bool:
            return not self._executor.command_fault((job.executable, "config", *batch), env)

        if fits(refs):
            return await self._ask(job, refs, env)
        configs: list[JobConfig] = []
        answered: set[str] = set()
        for batch in batches_that_fit(refs, fits):
            unanswered = [ref for ref in batch if ref not in answered]
            if unanswered:
                answer = await self._ask(job, unanswered, env)
                configs += answer
                answered.update(output for config in answer for output in config.outputs)
        return configs

    async def _ask(self, job: Job, refs: Sequence[str], env: Mapping[str, str]) -> Sequence[JobConfig]:
        if self._on_call is None:
            return await self._call(job, refs, env)
        began, fault = self._clock(), ""
        try:
            return await self._call(job, refs, env)
        except DataBuildError as error:
            fault = str(error).partition("\n")[0][:_MAX_FAULT]
            raise
        finally:
            call = ConfigCall(
                job_label=job.label, duration_seconds=max(self._clock() - began, 0.0), refs=len(refs), fault=fault
            )
            call.time.FromNanoseconds(int(began * 1e9))
            self._on_call(call)

    async def _call(self, job: Job, refs: Sequence[str], env: Mapping[str, str]) -> Sequence[JobConfig]:
        spec = ProcessSpec(
            argv=(job.executable, "config", *refs),
            env=env,
            cwd=self._working_directory,
            timeout_seconds=job.timeout_seconds,
            worker=worker_spec(job, refs, configure=True),
        )
        result = await self._executor.run(spec)
        fault = process_fault(result, job.timeout_seconds)
        if fault is not None:
            raise JobConfigurationError(job.label, fault.message, refs=refs, output=end_of_output(result))
        answer = result.stdout if result.configured is None else result.configured
        size = len(answer) if isinstance(answer, bytes) else answer.ByteSize()
        if size <= _MAX_EVENT_LOOP_BYTES:
            configs = _parse(answer, job, refs)
        else:
            configs = await _parse_in_thread(answer, job, refs)
        for config in configs:
            # A command that is too large fails at each attempt. This error comes earlier, and names the output.
            environment = {**job.environment, **dict(config.env)}
            if too_large := self._executor.command_fault(job.command(config.args), environment):
                message = f"{config.outputs[0]!r} cannot be built: {too_large}"
                raise JobConfigurationError(job.label, message, refs=refs)
        return configs


def _parse(
    answer: bytes | JobConfigureResponse, job: Job, refs: Sequence[str], cancelled: Callable[[], bool] | None = None
) -> Sequence[JobConfig]:
    if isinstance(answer, bytes):
        return parse_configure_response(answer, job_label=job.label, refs=refs, cancelled=cancelled)
    return configs_of_response(answer, job_label=job.label, refs=refs, cancelled=cancelled)


async def _parse_in_thread(answer: bytes | JobConfigureResponse, job: Job, refs: Sequence[str]) -> Sequence[JobConfig]:
    """Parses an answer in a thread. If the caller is cancelled, the thread stops soon."""
    cancelled = threading.Event()
    try:
        return await asyncio.to_thread(_parse, answer, job, refs, cancelled.is_set)
    finally:
        cancelled.set()
