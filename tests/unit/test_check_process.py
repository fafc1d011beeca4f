"""Calls of `check` of jobs: their arguments and environment, and valid and invalid answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence

import pytest
from google.protobuf import json_format

from databuild.executors.executor import ProcessResult, ProcessSpec
from databuild.executors.start_faults import StartFault
from databuild.graph.batches import MAX_BATCH_REFS
from databuild.graph.catalog import Job
from databuild.orchestration.jobs.check_process import CheckAnswer, CheckProcess, FoundFacts, parse_check_response
from databuild.v1.job_pb2 import JobCheckResponse
from tests.support.fake_executor import NoProcesses

JOB = Job(label="//:job", executable="/bin/job", environment={"A": "1"}, timeout_seconds=3.0)


def printed(answer: object) -> ProcessResult:
    return ProcessResult(exit_code=0, stdout=answer if isinstance(answer, bytes) else json.dumps(answer).encode())


class FakeExecutor(NoProcesses):
    """Answers every process with one result, and remembers its processes and how many ran at once."""

    def __init__(self, result: ProcessResult, max_words: int = 10_000) -> None:
        self.specs: list[ProcessSpec] = []
        self.most = 0
        self._running = 0
        self._max_words = max_words
        self._result = result

    def command_fault(self, argv: Sequence[str], _env: Mapping[str, str]) -> str:
        return "too long" if len(argv) > self._max_words else ""

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        self.specs.append(spec)
        self._running += 1
        self.most = max(self.most, self._running)
        await asyncio.sleep(0)
        self._running -= 1
        return self._result


async def ask(executor: FakeExecutor, *refs: str, processes: int = 2) -> CheckAnswer:
    check = CheckProcess(executor, working_directory="/here", processes=processes, env={"B": "2"})
    return await check(JOB, refs, "pr-1")


async def test_a_job_answers_about_refs_in_its_environment() -> None:
    executor = FakeExecutor(printed({"found": {"q": {"size_bytes": 7, "version": "x"}, "p": {}}}))

    assert await ask(executor, "q", "p", "r") == CheckAnswer({"q": FoundFacts(7, "x"), "p": FoundFacts()}, {})
    (spec,) = executor.specs
    assert spec.argv == ("/bin/job", "check", "p", "q", "r")
    assert (spec.cwd, spec.timeout_seconds) == ("/here", 600.0)
    assert spec.env == {
        "A": "1",
        "B": "2",
        "DATABUILD_ENVIRONMENT": "pr-1",
        "DATABUILD_JOB_LABEL": "//:job",
        "DATABUILD_JOB_RUN_ID": "",
    }


async def test_many_refs_are_asked_in_batches_with_a_limit_of_processes() -> None:
    executor = FakeExecutor(printed({"found": {}}))

    answer = await ask(executor, *(f"p/{number}" for number in range(MAX_BATCH_REFS * 4 + 1)), processes=3)

    assert answer == CheckAnswer({}, {})
    assert sorted(len(spec.argv) - 2 for spec in executor.specs) == [1, *[MAX_BATCH_REFS] * 4]
    assert executor.most == 3


async def test_a_command_line_that_is_too_long_is_divided() -> None:
    executor = FakeExecutor(printed({"found": {}}), max_words=4)

    await ask(executor, "a", "b", "c", "d", "e")

    assert [spec.argv[2:] for spec in executor.specs] == [("a", "b"), ("c",), ("d", "e")]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (
            ProcessResult(exit_code=3, stderr=b"Traceback:\n no\n\x1b[1mno  table\n"),
            "ended with exit code 3: ?[1mno table",
        ),
        (ProcessResult(exit_code=3), "ended with exit code 3"),
        (ProcessResult(exit_code=-1, start_fault=StartFault(message="no file")), "could not be started: no file"),
        (ProcessResult(exit_code=-15, timed_out=True), "ran longer than its timeout of 600 seconds"),
        (printed(b"no table"), "printed 'no table', which is not a JobCheckResponse in JSON"),
    ],
)
async def test_after_a_failure_nothing_is_missing(result: ProcessResult, said: str) -> None:
    answer = await ask(FakeExecutor(result), "p", "q")

    (fault,) = answer.faults
    assert fault.startswith(f"`check` of //:job failed: it {said}")
    assert (answer.found, answer.unreadable) == ({}, {"p": fault, "q": fault})


async def test_one_batch_that_fails_says_nothing_about_the_others() -> None:
    class Half(FakeExecutor):
        async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
            return printed({"found": {"a": {}}}) if "a" in spec.argv else ProcessResult(exit_code=1)

    answer = await ask(Half(printed({}), max_words=4), "a", "b", "c", "d")

    assert set(answer.found) == {"a"}
    assert set(answer.unreadable) == {"c", "d"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "printed nothing, which is not"),
        (b"\xff", "which is not a JobCheckResponse"),
        (b"[" * 100_000, "which is not a JobCheckResponse"),
        ([], "no object with `found`"),
        ({}, "no object with `found`"),
        ({"unreadable": {"p": "x"}}, "no object with `found`"),
        ({"found": {}, "missing": ["p"]}, "unknown field 'missing' in the answer; the fields are found, unreadable"),
        ({"found": ["p"]}, '["p"] as `found`, which is no object'),
        ({"found": {}, "unreadable": None}, "null as `unreadable`, which is no object"),
        ({"found": {"x": {}}}, "answered about 'x', which was not asked for"),
        ({"found": {"P": {}}}, "answered about 'P', which was not asked for"),
        ({"found": {}, "unreadable": {"x": ""}}, "answered about 'x', which was not asked for"),
        ({"found": {"caf" + "e\u0301": {}}}, "which was not asked for; 'caf\\xe9' is its Unicode normalization form C"),
        ({"found": {"p": {}}, "unreadable": {"p": "x"}}, "'p' both as found and as unreadable"),
        ({"found": {}, "unreadable": {"p": 1}}, "1 as the reason why 'p' is unreadable"),
        ({"found": {"p": None}}, "null about 'p'; an object is required, such as {}"),
        ({"found": {"p": True}}, "true about 'p'"),
        ({"found": {"p": {"uri": "x"}}}, "'uri' in the entry of 'p'; the fields are size_bytes, version"),
        ({"found": {"p": {"size_bytes": -1}}}, "-1 as the size_bytes of 'p'"),
        ({"found": {"p": {"size_bytes": 1.5}}}, "1.5 as the size_bytes"),
        ({"found": {"p": {"size_bytes": True}}}, "true as the size_bytes"),
        ({"found": {"p": {"size_bytes": "-1"}}}, '"-1" as the size_bytes'),
        ({"found": {"p": {"size_bytes": 2**63}}}, "as the size_bytes"),
        ({"found": {"p": {"version": 3}}}, "3 as the version of 'p'"),
        ({"found": {"p": {"version": "\ud800"}}}, "as the version of 'p'"),
    ],
)
def test_an_answer_that_is_not_valid_is_refused(answer: object, said: str) -> None:
    with pytest.raises(ValueError, match=r"printed|answered") as raised:
        parse_check_response(printed(answer).stdout, ["p", "q", "caf\u00e9"])

    assert said in str(raised.value)


def test_an_answer_has_the_format_of_the_message() -> None:
    message = JobCheckResponse(unreadable={"r": "a lock\n is held", "s": ""})
    message.found["p"].CopyFrom(type(message.found["p"])(size_bytes=5, version="7"))
    message.found["q"].SetInParent()
    text = json_format.MessageToJson(message).encode()

    answer = parse_check_response(text, ["p", "q", "r", "s", "t"])
    assert answer.found == {"p": FoundFacts(5, "7"), "q": FoundFacts()}
    assert answer.unreadable == {"r": "a lock is held", "s": "its job gave no reason"}
    assert b'"sizeBytes": "5"' in text
