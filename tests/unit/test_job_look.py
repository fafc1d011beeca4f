"""Answers of jobs about recorded data: what is missing, changed or unreadable, and whose answers are believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from databuild.graph.catalog import Job, JobCatalog
from databuild.model.records import Location, StoredData
from databuild.model.store_check import StoreFinding
from databuild.orchestration.jobs.check_process import CheckAnswer, FoundFacts
from databuild.orchestration.stores.job_look import JobFindings, JobLook
from tests.support.build_world import RAW, World
from tests.support.table_jobs import Table


class FakeCheck:
    """Answers from mappings, and remembers the calls."""

    def __init__(self, found: Mapping[str, FoundFacts], unreadable: Mapping[str, str] | None = None) -> None:
        self.calls: list[tuple[str, tuple[str, ...], str]] = []
        self._found = found
        self._unreadable = unreadable or {}

    async def __call__(self, job: Job, refs: Sequence[str], environment: str) -> CheckAnswer:
        self.calls.append((job.label, tuple(refs), environment))
        found = {ref: facts for ref, facts in self._found.items() if ref in refs}
        unreadable = {ref: reason for ref, reason in self._unreadable.items() if ref in refs}
        return CheckAnswer(found, unreadable, tuple(unreadable.values()))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def look(world: World, check: FakeCheck, *refs: str, confirm_losses: bool = False) -> JobFindings:
    reader = world.log.reader()
    one = JobLook(world.catalog, reader, "")
    questions = one.questions(sorted(reader.stored_data_of(refs)))
    return await one.ask(questions, check, confirm_losses=confirm_losses)


async def test_answers_are_compared_with_the_records(world: World) -> None:
    uri = "postgresql://h/t"
    table = Table(world)
    table.uris = {f"raw/{number}": uri for number in (1, 2, 3)}
    await world.build("b", *(f"raw/{number}" for number in range(1, 6)))
    table.rows.clear()
    same, other = FoundFacts(version="1"), FoundFacts(8, "7")
    check = FakeCheck({"raw/1": same, "raw/2": other, "raw/3": FoundFacts(9), "raw/4": other}, {})

    result = await look(world, check, "raw/1", "raw/2", "raw/3", "raw/4", "raw/5")

    assert result.findings == (
        StoreFinding("raw/2", "changed", uri, "it was written again"),
        StoreFinding("raw/5", "missing", ""),
    )
    assert result.found == {"raw/2": Location(uri, 8, "7")}
    assert (result.gone, result.faults, len(result.looked_at)) == ("", (), 5)
    assert check.calls == [(RAW, ("raw/1", "raw/2", "raw/3", "raw/4", "raw/5"), "")]


@pytest.mark.parametrize(
    ("recorded", "facts", "change"),
    [
        (Location("x:/p", 5, "1"), FoundFacts(5, "1"), ""),
        (Location("x:/p", 5, "1"), FoundFacts(), ""),
        (Location("x:/p"), FoundFacts(5, "1"), ""),
        (None, FoundFacts(5, "1"), ""),
        (Location("x:/p", 1234, "1"), FoundFacts(5678, "1"), "1,234 bytes are now 5,678"),
        (Location("x:/p", 0, "1"), FoundFacts(1), "0 bytes are now 1"),
        (Location("x:/p", 5, "1"), FoundFacts(5, "2"), "it was written again"),
    ],
)
async def test_changes_are_found_by_size_and_version(
    world: World, recorded: Location | None, facts: FoundFacts, change: str
) -> None:
    await _records(world, "raw/1")
    one = JobLook(world.catalog, world.log.reader(), "")
    questions = one.questions([StoredData("raw/1", "1", recorded)])

    result = await one.ask(questions, FakeCheck({"raw/1": facts}))

    assert [finding.detail for finding in result.findings] == [change] * bool(change)


async def test_what_a_job_cannot_read_is_unreadable(world: World) -> None:
    await _records(world, "raw/1", "raw/2", "raw/3")

    result = await look(world, FakeCheck({"raw/1": FoundFacts()}, {"raw/2": "locked"}), "raw/1", "raw/2", "raw/3")

    assert [(one.ref, one.kind, one.detail) for one in result.findings] == [
        ("raw/2", "unreadable", "locked"),
        ("raw/3", "missing", ""),
    ]
    assert result.faults == ("locked",)


GONE = "`check` of //:raw finds none of {} partitions; its store may be empty or another one than usual"


@pytest.mark.parametrize(
    ("recorded", "asked", "found", "unreadable", "gone"),
    [
        ([1], [1], [], [], 0),
        ([1, 2], [1, 2], [], [], 2),
        ([1, 2], [1, 2], [2], [], 0),
        ([1, 2, 3], [2], [], [], 3),
        ([1, 2, 3], [2], [1], [], 0),
        ([1, 2, 3], [2], [3], [], 0),
        ([1, 2, 3], [2, 3], [], [3], 2),
        ([1, 2, 3], [3], [], [1, 2], 3),
    ],
)
async def test_all_data_of_a_job_is_not_lost_at_once(
    world: World, recorded: list[int], asked: list[int], found: list[int], unreadable: list[int], gone: int
) -> None:
    await _records(world, *(f"raw/{number}" for number in recorded))
    facts = {f"raw/{number}": FoundFacts() for number in found}
    check = FakeCheck(facts, {f"raw/{number}": "locked" for number in unreadable})

    result = await look(world, check, *(f"raw/{number}" for number in asked))
    confirmed = await look(world, check, *(f"raw/{number}" for number in asked), confirm_losses=True)

    kinds = {one.kind for one in result.findings if one.detail != "locked"}
    assert kinds == {"unreadable" if gone else "missing"}
    assert result.gone == (GONE.format(gone) if gone else "")
    assert {one.kind for one in confirmed.findings if one.detail != "locked"} == {"missing"}
    assert confirmed.gone == ""


async def test_only_other_data_of_the_same_job_counts(world: World) -> None:
    table = Table(world)
    table.uris = {"raw/2": "file:///data/raw"}
    await world.build("b", "raw/1", "raw/2", "clean/2")
    check = FakeCheck({})

    result = await look(world, check, "raw/1")

    assert [one.kind for one in result.findings] == ["missing"]
    assert check.calls == [(RAW, ("raw/1",), "")]


async def test_data_of_other_jobs_and_of_unknown_jobs_has_no_question(world: World) -> None:
    await _records(world, "raw/1", "clean/1")
    world.catalog = JobCatalog(graph_label="//:g", jobs={RAW: world.catalog.jobs[RAW]})
    one = JobLook(world.catalog, world.log.reader(), "")

    refs = ("raw/1", "clean/1", "raw/x", "raw/ ", "")
    (question,) = one.questions([StoredData(ref, "1", None) for ref in refs])
    assert [data.ref for data in question.data] == ["raw/1"]
    assert set(one.jobs_of(refs)) == {"raw/1"}


def test_a_hint_names_each_job_once(world: World) -> None:
    Table(world, check=False)
    data = [StoredData(ref, "1", None) for ref in ("raw/1", "raw/2", "clean/1", "other/1", " ")]

    hints = list(JobLook(world.catalog, world.log.reader(), "").hints(data))
    Table(world)

    assert hints == [
        "data of //:clean; with `check = True`, its program can answer whether it exists",
        "data of //:raw; with `check = True`, its program can answer whether it exists",
    ]
    assert list(JobLook(world.catalog, world.log.reader(), "").hints(data)) == []


async def _records(world: World, *refs: str) -> None:
    Table(world)
    await world.build("b", *refs)
