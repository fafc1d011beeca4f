"""The base of executors for tests. They start no processes, so they have no limits and no orphans."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

from databuild.executors.executor import Capabilities, Capacity


class NoProcesses:
    """All methods of an executor except `run`."""

    capabilities = Capabilities(
        ships_code=False, survives_client=False, live_logs=True, hard_cancel=True, may_run_twice=False
    )
    capacity = Capacity(1000, "nothing")

    def command_fault(self, _argv: Sequence[str], _env: Mapping[str, str]) -> str:
        return ""

    def guarded(self, _build_request_id: str) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def expect_runs(self, slots: int, count: int) -> None:
        pass

    def queue_room(self, _slots: int, _waiting: int) -> int | None:
        return None

    async def kill_orphans(self, build_request_id: str, process: str) -> None:
        pass

    async def close(self) -> None:
        pass
