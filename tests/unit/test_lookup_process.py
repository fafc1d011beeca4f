"""Calls of a lookup: its arguments, and its valid and invalid answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

import pytest

from databuild.errors import LookupFaultError
from databuild.executors.executor import ProcessResult, ProcessSpec
from databuild.executors.start_faults import StartFault
from databuild.graph.batches import MAX_BATCH_REFS
from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.ports import Lookup
from databuild.orchestration.jobs.lookup_process import lookup_for
from tests.support.fake_executor import NoProcesses
from tests.support.present import present


def printed(text: bytes) -> ProcessResult:
    return ProcessResult(exit_code=0, stdout=text)


class FakeExecutor(NoProcesses):
    """Answers every process with one result, and remembers their command lines."""

    def __init__(self, result: ProcessResult, max_words: int = 10_000) -> None:
        self.ran: list[Sequence[str]] = []
        self._max_words = max_words
        self._result = result

    def command_fault(self, argv: Sequence[str], _env: Mapping[str, str]) -> str:
        return "too long" if len(argv) > self._max_words else ""

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        self.ran.append(spec.argv)
        self.env = spec.env
        return self._result


def lookup(executor: FakeExecutor) -> Lookup:
    jobs = {label: Job(label=label, executable="") for label in ("//a:one", "//b:b", "@acme_data//jobs:hello")}
    catalog = JobCatalog(graph_label="//:g", jobs=jobs, lookup="/bin/lookup")
    return present(lookup_for(catalog, executor, "/"))


async def test_labels_are_understood_in_each_form_and_what_is_left_out_is_nobodys() -> None:
    executor = FakeExecutor(
        printed(
            json.dumps({"p": "@//a:one", "q": "@@//b", "s": "@@acme_data~//jobs:hello", "unasked": "//c:c"}).encode()
        )
    )

    assert await lookup(executor)(["q", "p", "r", "s"]) == {"p": "//a:one", "q": "//b:b", "s": "@acme_data//jobs:hello"}
    assert executor.ran == [("/bin/lookup", "p", "q", "r", "s")]


async def test_it_runs_with_the_environment_of_its_target() -> None:
    executor = FakeExecutor(printed(b"{}"))
    catalog = JobCatalog(graph_label="//:g", jobs={}, lookup="/bin/lookup", lookup_environment={"A": "1"})

    await present(lookup_for(catalog, executor, "/"))(["p"])

    assert executor.env == {"A": "1"}


async def test_many_refs_are_asked_in_batches() -> None:
    executor = FakeExecutor(printed(b"{}"))

    await lookup(executor)([f"p/{number}" for number in range(MAX_BATCH_REFS + 1)])

    assert sorted(len(argv) for argv in executor.ran) == [2, MAX_BATCH_REFS + 1]


async def test_a_command_line_that_is_too_long_is_divided() -> None:
    executor = FakeExecutor(printed(b"{}"), max_words=3)

    await lookup(executor)(["a", "b", "c", "d", "e"])

    assert [argv[1:] for argv in executor.ran] == [("a", "b"), ("c",), ("d", "e")]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (printed(b"oops"), "'oops', which is not JSON"),
        (printed(b"[1]"), "a JSON list; an object"),
        (
            printed(b'{"p": "//c:c"}'),
            "'//c:c' for 'p', which is not a job of this graph; the jobs are //a:one, //b:b, @acme_data//jobs:hello",
        ),
        (printed(b'{"p": 7}'), "7 for 'p'"),
        (ProcessResult(exit_code=3, stderr=b"no table"), "exit code 3\nno table"),
        (ProcessResult(exit_code=-1, start_fault=StartFault(message="no file")), "could not be started: no file"),
        (ProcessResult(exit_code=-15, timed_out=True), "ran longer than its timeout of 300 seconds"),
    ],
)
async def test_an_unusable_answer_names_the_lookup_and_the_refs(result: ProcessResult, said: str) -> None:
    with pytest.raises(LookupFaultError) as raised:
        await lookup(FakeExecutor(result))(["p"])

    assert str(raised.value).startswith("lookup /bin/lookup (asked for 'p'): ")
    assert said in str(raised.value)


async def test_an_answer_about_a_ref_in_another_unicode_form_is_refused_with_the_form_that_was_asked() -> None:
    executor = FakeExecutor(printed(json.dumps({"caf" + "e\u0301": "//b:b"}).encode()))

    with pytest.raises(LookupFaultError, match=r"caf\\xe9.* normalization form C"):
        await lookup(executor)(["caf\u00e9"])
