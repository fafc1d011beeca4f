"""The end of a build whose event log fails."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from databuild.errors import EventLogError
from databuild.event_log.open import open_event_log
from databuild.event_log.sqlite.connection import event_log_error
from databuild.executors.executor import ProcessResult, ProcessSpec
from databuild.graph.catalog import Job, JobCatalog
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest, Settings
from databuild.v1.events_pb2 import BuildEvent
from tests.support.fake_executor import NoProcesses
from tests.support.forwarding_log import ForwardingLog

LABEL = "//:a"


class FakeExecutor(NoProcesses):
    """Configures and runs everything at once."""

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        _, command, *refs = spec.argv
        configs = [{"outputs": [{"str": ref}], "args": [ref]} for ref in refs] if command == "config" else []
        return ProcessResult(exit_code=0, stdout=json.dumps({"configs": configs}).encode())


class FullLog(ForwardingLog):
    """A log in memory whose disk is full for one append, after a number of others."""

    def __init__(self, takes: int) -> None:
        super().__init__(open_event_log("memory:"))
        self.takes = takes
        self.taken = 0

    def append(self, events: Sequence[BuildEvent]) -> Awaitable[None]:
        self.taken += 1
        return self.fail() if self.taken == self.takes + 1 else self.log.append(events)

    async def fail(self) -> NoReturn:
        raise EventLogError("the disk is full")


@pytest.mark.parametrize("takes", range(1, 9))
async def test_the_first_error_of_the_event_log_is_the_one_that_is_raised(takes: int, tmp_path: Path) -> None:
    job = Job(label=LABEL, executable="a", outputs=("a/{name}",))
    log = FullLog(takes)

    with pytest.raises(EventLogError, match="the disk is full"):
        await run_build(
            BuildRequest(build_request_id="b", requested=tuple(f"a/{number}" for number in range(9))),
            BuildContext(
                catalog=JobCatalog(graph_label="//:g", jobs={LABEL: job}),
                event_log=log,
                executor=FakeExecutor(),
                settings=Settings(working_directory=str(tmp_path), log_directory=str(tmp_path)),
            ),
        )

    await log.close()


def test_an_input_output_error_on_a_full_file_system_is_a_full_disk(tmp_path: Path) -> None:
    error = sqlite3.OperationalError("disk I/O error")

    full = str(event_log_error(error, "/proc/events.db"))  # of a disk that is always full
    other = str(event_log_error(error, f"{tmp_path}/events.db"))

    assert "the disk is full; free space on the disk and try again" in full
    assert "disk I/O error" in other
    assert "full" not in other
