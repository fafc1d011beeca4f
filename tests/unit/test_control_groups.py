"""Limits and counters of control groups, in version 1 and 2, from files like those of the kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from databuild.executors.capacity import capacity_of
from databuild.executors.descriptor_limit import DescriptorLimit
from databuild.executors.executor import Capacity
from databuild.executors.out_of_memory import OomKills
from databuild.executors.running_process import DESCRIPTORS_PER_RUN


@pytest.fixture(params=["2", "1", "inside a container"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Callable[[int], None], dict[str, str]]:
    own = tmp_path / "own"
    if request.param == "1":
        own.write_text("9:pids:/\n4:cpu,memory:/a/b\n0::/\n")
        file = tmp_path / "memory/a/b/memory.oom_control"
        template = "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"
    else:
        own.write_text("0::/a/b\n")
        file = tmp_path / ("a/b/memory.events" if request.param == "2" else "memory.events")
        template = "low 0\nhigh 0\nmax 3\noom 1\noom_kill {}\noom_group_kill 0\n"
    file.parent.mkdir(parents=True, exist_ok=True)

    def count(kills: int) -> None:
        file.write_text(template.format(kills))

    count(2)
    return count, {"cgroup_root": str(tmp_path), "own_groups": str(own)}


def test_kills_since_a_start_are_counted(memory: tuple[Callable[[int], None], dict[str, str]]) -> None:
    count, places = memory
    kills = OomKills(**places)
    kills.sample(10.0)
    count(3)

    assert kills.since(10.5, 20.0) == 1
    assert kills.since(20.5, 21.0) == 0
    assert kills.since(10.5, 21.0) == 1


def test_kills_before_a_start_are_not_its_own(memory: tuple[Callable[[int], None], dict[str, str]]) -> None:
    count, places = memory
    kills = OomKills(**places)
    count(3)
    kills.sample(10.0)

    assert kills.since(10.5, 20.0) == 0


def test_without_a_counter_no_kill_is_reported(tmp_path: Path) -> None:
    kills = OomKills(cgroup_root=str(tmp_path), own_groups=str(tmp_path / "none"))
    kills.sample(1.0)

    assert kills.since(1.0, 2.0) == 0


def test_processes_fit_by_the_limit_that_is_reached_first(tmp_path: Path) -> None:
    limit = DescriptorLimit()
    own = tmp_path / "own"
    own.write_text("0::/a\n")
    (tmp_path / "a").mkdir()

    def capacity() -> Capacity:
        return capacity_of(limit, cgroup_root=str(tmp_path), own_groups=str(own))

    by_files = capacity()
    (tmp_path / "a/pids.max").write_text("max\n")
    unlimited = capacity()
    (tmp_path / "a/pids.max").write_text("132\n")
    by_processes = capacity()

    assert by_files == unlimited
    assert "open files" in by_files.reason
    assert by_processes == (50, "the limit of processes, 132 (pids.max of the control group)")


def test_connections_lower_the_capacity_to_at_least_one() -> None:
    limit = DescriptorLimit()

    connections = 100 * DESCRIPTORS_PER_RUN
    assert capacity_of(limit, connections=connections).processes == capacity_of(limit).processes - 100
    assert capacity_of(limit, connections=limit.highest).processes == 1
