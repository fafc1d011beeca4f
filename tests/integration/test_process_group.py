"""Process groups are terminated, zombies do not count, and every wait is bounded."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from databuild.executors.process_group import GroupTermination, kill_groups_with, living_members


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "1000"], process_group=0)
    yield process
    process.kill()
    process.wait()


def until_zombie(pid: int) -> None:
    while Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
        os.sched_yield()


def test_a_zombie_is_no_living_member(child: subprocess.Popen[bytes]) -> None:
    alive = living_members(child.pid)
    child.kill()
    until_zombie(child.pid)

    assert list(alive) == [child.pid]
    assert list(living_members(child.pid)) == []


def test_a_group_without_members_has_none() -> None:
    process = subprocess.Popen(["true"], process_group=0)
    process.wait()

    assert list(living_members(process.pid)) == []


async def test_members_that_cannot_be_killed_are_returned(child: subprocess.Popen[bytes]) -> None:
    group = GroupTermination(child.pid, grace_seconds=lambda: 0.0, kill_seconds=0.0, living=lambda _group: [4711])

    assert list(await group.end_members()) == [4711]


async def test_a_leader_that_cannot_be_ended_is_given_up(child: subprocess.Popen[bytes]) -> None:
    never = asyncio.get_running_loop().create_future()
    group = GroupTermination(child.pid, grace_seconds=lambda: 0.0, kill_seconds=0.0)

    assert not await group.end_leader(never)


async def test_processes_with_a_variable_in_their_environment_are_killed(tmp_path: Path) -> None:
    process = subprocess.Popen(  # noqa: ASYNC220
        ["sleep", "1000"], process_group=0, env={"DATABUILD_TEST": str(tmp_path)}
    )

    left = await kill_groups_with(f"DATABUILD_TEST={tmp_path}".encode())

    assert list(left) == []
    assert process.wait() == -signal.SIGKILL


async def test_groups_that_cannot_be_killed_are_returned(child: subprocess.Popen[bytes]) -> None:
    left = await kill_groups_with(b"A=1", kill_seconds=0.0, find=lambda _variable: [child.pid])

    assert list(left) == [child.pid]
