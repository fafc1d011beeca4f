"""Calls of `config`: command lines that fit, and answers that make a further call unnecessary."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

import pytest

from databuild.errors import JobConfigurationError
from databuild.executors.executor import ProcessResult, ProcessSpec
from databuild.graph.catalog import Job
from databuild.orchestration.jobs.config_process import ConfigProcess
from tests.support.build_world import config
from tests.support.fake_executor import NoProcesses

JOB = Job(label="//:j", executable="/bin/job", environment={"A": "1"})


class FakeExecutor(NoProcesses):
    """Answers for each ref and its companions. A command line has a maximum number of words."""

    def __init__(self, max_words: int, **together: str) -> None:
        self.asked: list[str] = []
        self._max_words = max_words
        self._together = together

    def command_fault(self, argv: Sequence[str], env: Mapping[str, str]) -> str:
        assert env["A"] == "1"
        return "too long" if len(argv) > self._max_words else ""

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        refs = spec.argv[2:]
        self.asked.append("".join(refs))
        configs = [config([ref, *self._together.get(ref, ())]) for ref in refs]
        return ProcessResult(exit_code=0, stdout=json.dumps({"configs": configs}).encode())


async def ask(executor: FakeExecutor, refs: str) -> list[str]:
    configs = await ConfigProcess(executor, working_directory="/", env={})(JOB, refs)
    return ["".join(config.outputs) for config in configs]


async def test_refs_that_fit_are_asked_in_one_call() -> None:
    executor = FakeExecutor(max_words=6)

    assert await ask(executor, "abcd") == ["a", "b", "c", "d"]
    assert executor.asked == ["abcd"]


async def test_refs_that_do_not_fit_are_asked_in_more() -> None:
    executor = FakeExecutor(max_words=4)

    assert await ask(executor, "abcde") == ["a", "b", "c", "d", "e"]
    assert executor.asked == ["ab", "c", "de"]


async def test_refs_that_were_answered_are_not_asked_again() -> None:
    executor = FakeExecutor(max_words=4, a="cde")

    assert await ask(executor, "abcdef") == ["acde", "b", "f"]
    assert executor.asked == ["a", "b", "f"]


async def test_a_command_that_never_fits_is_started_and_explains_itself() -> None:
    with pytest.raises(JobConfigurationError, match="too long"):
        await ask(FakeExecutor(max_words=1), "a")
