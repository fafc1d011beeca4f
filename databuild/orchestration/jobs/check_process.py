"""Checks of data by its jobs: which partitions exist, by running `JOB check REF...`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from databuild.executors.executor import Executor, ProcessResult, ProcessSpec
from databuild.graph.batches import batches, batches_that_fit
from databuild.graph.catalog import Job
from databuild.graph.refs import nfc
from databuild.orchestration.jobs.process_faults import end_of_output, process_fault
from databuild.tuples import NamedTuple

TIMEOUT_SECONDS: Final = 600.0
"""Default timeout of one call. The `timeout` of a job limits its runs; a call may be about thousands of partitions."""

_MAX_SHOWN: Final = 300
_MAX_SIZE: Final = 2**63 - 1


class FoundFacts(NamedTuple):
    """Facts about data that exists.

    Attributes:
        size: The size in bytes; None if it is unknown.
        version: The version that the store gives to the data; empty if it is unknown.
    """

    size: int | None = None
    version: str = ""


_NO_FACTS: Final = FoundFacts()


class CheckAnswer(NamedTuple):
    """The answer of a job about partitions. Those in neither mapping are missing.

    Attributes:
        found: The facts about data that exists, by ref.
        unreadable: The reason, by ref, for each partition of which the job cannot say whether it exists.
        faults: The reasons for which calls failed. All partitions of such a call are unreadable.
    """

    found: Mapping[str, FoundFacts]
    unreadable: Mapping[str, str]
    faults: Sequence[str] = ()


class CheckProcess:
    """Runs one process per batch of refs; implements `stores.job_look.Check`."""

    def __init__(
        self,
        executor: Executor,
        *,
        working_directory: str,
        processes: int,
        env: Mapping[str, str] = MappingProxyType({}),
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """Runs nothing yet.

        Args:
            executor: Runs the processes.
            working_directory: The working directory of the processes.
            processes: The maximum number of processes at once.
            env: Environment variables of all processes, besides those of their jobs.
            timeout_seconds: The timeout of one call.
        """
        self._executor = executor
        self._working_directory = working_directory
        self._env = env
        self._timeout_seconds = timeout_seconds
        self._slots = asyncio.Semaphore(processes)

    async def __call__(self, job: Job, refs: Sequence[str], environment: str) -> CheckAnswer:
        env = {
            **job.environment,
            **self._env,
            "DATABUILD_JOB_LABEL": job.label,
            "DATABUILD_ENVIRONMENT": environment,
            # Empty also if a job run has started this process: `databuild.job` tells runs of declared jobs by it.
            "DATABUILD_JOB_RUN_ID": "",
        }

        def fits(batch: Sequence[str]) -> bool:
            return not self._executor.command_fault((job.executable, "check", *batch), env)

        parts = [part for batch in batches(sorted(refs)) for part in batches_that_fit(batch, fits)]
        answers = await asyncio.gather(*(self._ask(job, part, env) for part in parts))
        return CheckAnswer(
            {ref: facts for answer in answers for ref, facts in answer.found.items()},
            {ref: reason for answer in answers for ref, reason in answer.unreadable.items()},
            tuple(dict.fromkeys(fault for answer in answers for fault in answer.faults)),
        )

    async def _ask(self, job: Job, refs: Sequence[str], env: Mapping[str, str]) -> CheckAnswer:
        spec = ProcessSpec(
            argv=(job.executable, "check", *refs),
            env=env,
            cwd=self._working_directory,
            timeout_seconds=self._timeout_seconds,
        )
        async with self._slots:
            result = await self._executor.run(spec)
        fault = process_fault(result, self._timeout_seconds)
        try:
            if fault is not None:
                raise ValueError(fault.message + _last_line(result))
            return parse_check_response(result.stdout, refs)
        except ValueError as error:
            message = f"`check` of {job.label} failed: it {error}"
            return CheckAnswer({}, dict.fromkeys(refs, message), (message,))


def parse_check_response(printed: bytes, refs: Sequence[str]) -> CheckAnswer:
    """Parses the answer of a job, a JobCheckResponse as protobuf JSON.

    Args:
        printed: The standard output of the job.
        refs: The refs that it was asked about.

    Raises:
        ValueError: The output is no answer about these refs. The message is the predicate of a sentence about the job.
    """
    try:
        answer: Any = json.loads(printed.decode())
    except (ValueError, RecursionError) as error:
        shown = printed[:_MAX_SHOWN].decode(errors="replace")
        what = f"printed {shown!r}" if shown.strip() else "printed nothing"
        raise ValueError(f"{what}, which is not a JobCheckResponse in JSON ({error})") from error
    if not isinstance(answer, dict) or "found" not in answer:
        raise ValueError("printed no object with `found`, which has an entry for each partition that exists")
    _check_names(answer, ("found", "unreadable"), "the answer")
    asked = frozenset(refs)
    found = _entries(answer, "found", asked)
    unreadable = _entries(answer, "unreadable", asked)
    if both := found.keys() & unreadable.keys():
        raise ValueError(f"printed {min(both)!r} both as found and as unreadable")
    for ref, reason in unreadable.items():
        if not isinstance(reason, str):
            raise ValueError(f"printed {_shown(reason)} as the reason why {ref!r} is unreadable, which is no text")
    return CheckAnswer(
        {ref: _facts(ref, value) for ref, value in found.items()},
        {ref: _one_line(reason) or "its job gave no reason" for ref, reason in unreadable.items()},
    )


def _entries(answer: Mapping[str, Any], name: str, asked: frozenset[str]) -> Mapping[str, Any]:
    entries = answer.get(name, {})
    if not isinstance(entries, dict):
        raise ValueError(f"printed {_shown(entries)} as `{name}`, which is no object")
    for ref in entries:
        if ref not in asked:
            normal = nfc(ref)
            form = f"; {normal!a} is its Unicode normalization form C" if normal != ref else ""
            raise ValueError(f"answered about {ref[:_MAX_SHOWN]!r}, which was not asked for{form}")
    return entries


def _facts(ref: str, value: object) -> FoundFacts:
    if not isinstance(value, dict):
        raise ValueError(f"printed {_shown(value)} about {ref!r}; an object is required, such as {{}}")
    if not value:  # mostly, and there may be a million
        return _NO_FACTS
    _check_names(value, ("size_bytes", "sizeBytes", "version"), f"the entry of {ref!r}")
    return FoundFacts(_size(ref, value.get("size_bytes", value.get("sizeBytes"))), _version(ref, value.get("version")))


def _size(ref: str, value: object) -> int | None:
    if value is None:
        return None
    # Protobuf JSON has integers of 64 bits as texts, too.
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(_MAX_SIZE)):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_SIZE:
        raise ValueError(f"printed {_shown(value)} as the size_bytes of {ref!r}, which is no number of bytes")
    return value


def _version(ref: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not (value.isprintable() or not value):
        raise ValueError(f"printed {_shown(value)} as the version of {ref!r}, which is no text that can be printed")
    return value


def _check_names(value: Mapping[str, Any], names: Sequence[str], where: str) -> None:
    if unknown := sorted(set(value).difference(names)):
        fields = ", ".join(name for name in names if name.islower())
        raise ValueError(f"printed the unknown field {unknown[0]!r} in {where}; the fields are {fields}")


def _shown(value: object) -> str:
    return json.dumps(value)[:_MAX_SHOWN]


def _last_line(result: ProcessResult) -> str:
    """Returns the last line of the output of a process, where programs print their error, after a colon."""
    lines = end_of_output(result).split("\n")
    line = _one_line(lines[-1])
    return f": {line}" if line else ""


def _one_line(text: str) -> str:
    words = " ".join(text.split())
    return "".join(character if character.isprintable() else "?" for character in words)[:_MAX_SHOWN]
