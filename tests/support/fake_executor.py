"""The base of executors for tests. They start no process, so they have no limits and leave nothing behind."""

import contextlib

from databuild.executors.executor import Capacity


class NoProcesses:
    """Everything that an executor offers but `run`."""

    capacity = Capacity(1000, "nothing")

    def command_fault(self, _argv, _env):
        return ""

    def guarded(self, _build_request_id):
        return contextlib.nullcontext()

    async def kill_orphans(self, _build_request_id) -> None:
        pass
