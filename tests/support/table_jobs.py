"""Jobs that keep each partition in a table at which DataBuild cannot look, for tests with an event log in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from databuild.executors.executor import ProcessResult
from tests.support.build_world import CLEAN, DONE, RAW, Report, World, jobs, number_of


class Table:
    """Jobs with `check`; `clean/N` is made from `raw/N`, and fails without it.

    Attributes:
        rows: The versions of the rows, by ref.
        made: The partitions in the order in which they were made.
        uris: The locations that jobs report, by ref.
    """

    def __init__(self, world: World, *, check: bool = True) -> None:
        self.rows: dict[str, int] = {}
        self.made: list[str] = []
        self.uris: dict[str, str] = {}
        self._world = world
        world.catalog = jobs(check=check)
        world.executor.checks = self.check
        world.executor.runs[RAW] = lambda env, report: self._run("raw", env, report)
        world.executor.runs[CLEAN] = lambda env, report: self._run("clean", env, report)

    def remove(self, ref: str) -> None:
        self.rows.pop(ref, None)

    def check(self, refs: Sequence[str]) -> ProcessResult:
        found = {ref: {"version": str(self.rows[ref])} for ref in refs if ref in self.rows}
        return ProcessResult(exit_code=0, stdout=json.dumps({"found": found}).encode())

    def _run(self, kind: str, env: Mapping[str, str], report: Report) -> ProcessResult:
        number = number_of(self._world, env)
        if kind == "clean" and f"raw/{number}" not in self.rows:
            return ProcessResult(exit_code=3)
        ref = f"{kind}/{number}"
        self.made.append(ref)
        self.rows[ref] = len(self.made)
        finished: dict[str, object] = {"ref": ref, "content_digest": f"sha256:{ref}"}
        if uri := self.uris.get(ref):
            finished["location"] = {"uri": uri, "version": str(self.rows[ref])}
        report({"partition": finished})
        return DONE
