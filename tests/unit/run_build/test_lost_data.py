"""Data that is removed at any time is rebuilt, with as few runs as possible."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databuild.event_log.verify import verify
from databuild.executors.executor import ProcessResult
from databuild.model.results import FailFast, Success
from databuild.model.store_check import StoreCheckOptions
from databuild.orchestration.stores.selection import Selection
from databuild.orchestration.stores.verification import verify_part
from tests.support.build_world import AtExecution, World
from tests.support.file_jobs import Files
from tests.support.present import present


@pytest.fixture
def files(world: World, tmp_path: Path) -> Files:
    return Files(world, tmp_path)


def check(world: World) -> None:
    assert verify(world.log.reader()).reported == ()


async def test_data_that_is_removed_before_planning_is_made_again(world: World, files: Files) -> None:
    await world.build("b1", "raw/1")
    files.remove("raw/1")
    files.made.clear()

    assert await world.build("b2", "clean/1") == Success(jobs_completed=2)
    assert files.made == ["raw/1", "clean/1"]
    assert world.statuses("b2") == {"clean/1": "AVAILABLE", "raw/1": "AVAILABLE"}
    check(world)


@pytest.mark.parametrize("nobody_makes_it", [False, True])
async def test_data_that_is_removed_between_planning_and_the_start_is_made_again(
    world: World, tmp_path: Path, nobody_makes_it: bool
) -> None:
    world.settings = world.settings._replace(input_check_seconds=0.0)
    files = Files(world, tmp_path, reports=False)
    await world.build("b1", "raw/1")
    files.made.clear()

    def lose() -> None:
        files.remove("raw/1")
        if nobody_makes_it:
            world.executor.answer = ProcessResult(exit_code=1, stderr=b"no config any more\n")

    world.log.observe(AtExecution(lose))

    result = await world.build("b2", "clean/1")
    if nobody_makes_it:
        assert isinstance(result, FailFast)
        assert world.statuses("b2") == {"clean/1": "FAILED", "raw/1": "FAILED"}
        (run,) = world.log.reader().job_runs("b2")
        assert (run.job_run_id, run.status) == ("b2.1.0", "SKIPPED")
        assert "'raw/1' is missing, and cannot be made" in present(run.failure).message
    else:
        assert result == Success(jobs_completed=2)
        assert files.made == ["raw/1", "clean/1"]
        assert world.runs("b2") == [("b2.2.1", "COMPLETED"), ("b2.1.1", "COMPLETED")]
    check(world)


async def test_data_that_is_removed_while_the_task_runs_is_made_again(world: World, files: Files) -> None:
    await world.build("b1", "raw/1")
    files.made.clear()
    files.before["clean/1"] = lambda: files.remove("raw/1")

    assert await world.build("b2", "clean/1") == Success(jobs_completed=2)
    assert files.made == ["raw/1", "clean/1"]
    assert world.runs("b2") == [("b2.1.1", "FAILED"), ("b2.2.1", "COMPLETED"), ("b2.1.2", "COMPLETED")]
    check(world)


async def test_data_that_the_build_has_made_is_made_again(world: World, files: Files) -> None:
    files.before["clean/1"] = lambda: files.remove("raw/1")

    assert await world.build("b1", "clean/1") == Success(jobs_completed=3)
    assert files.made == ["raw/1", "raw/1", "clean/1"]
    check(world)


async def test_data_that_is_removed_after_the_build_is_made_when_it_is_needed(world: World, files: Files) -> None:
    await world.build("b1", "clean/1")
    files.remove("raw/1")
    files.made.clear()

    assert await world.build("b2", "clean/1") == Success(jobs_completed=0)
    assert await world.build("b3", "clean/1", verify="all") == Success(jobs_completed=1)
    assert files.made == ["raw/1"]  # to the same content, so that nothing downstream runs
    check(world)


async def test_without_a_check_a_job_that_does_not_report_fails(world: World, tmp_path: Path) -> None:
    files = Files(world, tmp_path, reports=False)
    await world.build("b1", "raw/1")
    files.remove("raw/1")

    assert not isinstance(await world.build("b2", "clean/1", verify="none"), Success)
    assert isinstance(await world.build("b3", "clean/1"), Success)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("build"), st.sampled_from(["raw/1", "raw/2", "clean/1", "clean/2"])),
        st.tuples(st.just("build all"), st.sampled_from(["clean/1", "clean/2"])),
        st.tuples(st.just("remove"), st.sampled_from(["raw/1", "raw/2", "clean/1", "clean/2"])),
        st.tuples(st.just("verify"), st.just("")),
    ),
    max_size=12,
)


@given(actions=ACTIONS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_builds_agree_with_the_true_store(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("world")
    world = World(folder)
    files = Files(world, folder)
    known: set[str] = set()  # the partitions that the log believes to be there
    for number, (action, ref) in enumerate(actions):
        files.made.clear()
        raw = ref.replace("clean", "raw")
        there = {one for one in known if files.path(one).exists()}
        if action == "remove":
            files.remove(ref)
        elif action == "verify":
            event_log, reader = world.log, world.log.reader()
            part = verify_part(reader, Selection((), tuple), StoreCheckOptions(), author="ann")
            for event in part.events:
                await event_log.append([event])
            assert {finding.ref for finding in part.check.findings} == known - there
            known = there
        else:
            everything = action == "build all"
            result = await world.build(f"b{number}", ref, verify="all" if everything else "inputs")
            expected = []
            seen = there if everything else known
            # Inputs are looked for only if a task needs them.
            if raw not in seen or (ref not in seen and raw not in there):
                expected.append(raw)
            if ref not in seen and ref != raw:
                expected.append(ref)
            assert isinstance(result, Success)
            assert files.made == expected
            known |= {raw, ref}
            if everything:
                assert files.path(raw).exists()
                assert files.path(ref).exists()
    assert verify(world.log.reader()).reported == ()
    await world.log.close()
