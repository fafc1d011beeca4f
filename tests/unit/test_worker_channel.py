"""The messages of workers in a stream of bytes, and the memory of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databuild.executors.memory_pressure import MemoryPressure
from databuild.executors.workers.channel import MAX_MESSAGE_BYTES, ChannelError, MessageBuffer
from databuild.job.wire import write_framed


class Frames:
    """A stream to which `databuild.job` writes messages."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> int:
        self.written += data
        return len(data)

    def flush(self) -> None:
        pass


@given(st.lists(st.binary(max_size=300), max_size=5), st.lists(st.integers(1, 400), max_size=20))
@settings(deadline=None)
def test_messages_arrive_whole_however_the_bytes_do(messages: list[bytes], sizes: list[int]) -> None:
    frames = Frames()
    for message in messages:
        write_framed(frames, message)  # type: ignore[arg-type]
    buffer = MessageBuffer()
    received: list[bytes] = []
    rest = frames.written
    for size in [*sizes, len(rest)]:
        received += buffer.add(rest[:size])
        rest = rest[size:]

    assert received == messages
    assert buffer.incomplete == b""


def test_an_incomplete_message_is_shown() -> None:
    buffer = MessageBuffer()

    assert list(buffer.add(b"\x09incompl")) == []
    assert buffer.incomplete == b"\x09incompl"


@pytest.mark.parametrize("data", [b"\xff" * 5, b"\xff\xff\xff\xff\x7f", b"\x81\x80\x80\x80\x04"])
def test_a_length_beyond_the_limit_is_no_message(data: bytes) -> None:
    with pytest.raises(ChannelError, match="does not begin with the length of a message"):
        list(MessageBuffer().add(data))
    assert MAX_MESSAGE_BYTES == 1 << 30


@pytest.mark.parametrize(("available", "is_short"), [(60, False), (50, False), (49, True)])
def test_memory_of_the_machine_is_short(tmp_path: Path, available: int, is_short: bool) -> None:
    (tmp_path / "meminfo").write_text(f"MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: {available} kB\n")

    pressure = MemoryPressure(meminfo=str(tmp_path / "meminfo"), own_groups=str(tmp_path / "none"))

    assert pressure.is_short(0.0) == is_short


@pytest.mark.parametrize(
    ("limit", "usage", "inactive", "is_short"),
    [("1000", 940, 0, False), ("1000", 960, 0, True), ("1000", 960, 100, False), ("max", 960, 0, False)],
)
def test_memory_of_the_control_group_is_short(
    tmp_path: Path, limit: str, usage: int, inactive: int, is_short: bool
) -> None:
    (tmp_path / "own").write_text("0::/\n")
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text(f"{usage}\n")
    (tmp_path / "memory.stat").write_text(f"anon 1\ninactive_file {inactive}\n")

    pressure = MemoryPressure(
        meminfo=str(tmp_path / "none"), cgroup_root=str(tmp_path), own_groups=str(tmp_path / "own")
    )

    assert pressure.is_short(0.0) == is_short


def test_memory_is_read_once_per_second(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 1000 kB\nMemAvailable: 900 kB\n")
    pressure = MemoryPressure(meminfo=str(meminfo), own_groups=str(tmp_path / "none"))
    first = pressure.is_short(0.0)
    meminfo.write_text("MemTotal: 1000 kB\nMemAvailable: 1 kB\n")

    assert (first, pressure.is_short(0.9), pressure.is_short(1.0)) == (False, False, True)
