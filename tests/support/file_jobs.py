"""Jobs that keep each partition in a file, for tests with an event log in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from databuild.executors.executor import ProcessResult
from databuild.job.locations import file_uri, size_and_version
from tests.support.build_world import CLEAN, DONE, RAW, Report, World, number_of

MISSED = ProcessResult(exit_code=3)


class Files:
    """Jobs that keep each partition in a file; `clean/N` is made from `raw/N`, and reports if that is missing."""

    def __init__(self, world: World, folder: Path, *, reports: bool = True, digests: bool = True) -> None:
        self.world = world
        self.made: list[str] = []
        self.before: dict[str, Callable[[], None]] = {}
        self._folder = folder
        self._reports = reports
        self._digests = digests
        world.executor.runs[RAW] = lambda env, report: self._run("raw", env, report)
        world.executor.runs[CLEAN] = lambda env, report: self._run("clean", env, report)

    def path(self, ref: str) -> Path:
        return self._folder / ref.replace("/", "-")

    def remove(self, ref: str) -> None:
        self.path(ref).unlink(missing_ok=True)

    def _run(self, kind: str, env: Mapping[str, str], report: Report) -> ProcessResult:
        number = number_of(self.world, env)
        ref = f"{kind}/{number}"
        if ref in self.before:
            self.before.pop(ref)()
        if kind == "clean" and not self.path(f"raw/{number}").exists():
            if self._reports:
                report({"missing": {"ref": f"raw/{number}"}})
            return MISSED
        self.made.append(ref)
        path = self.path(ref)
        path.write_text(ref)
        size, version = size_and_version(path)
        location = {"uri": file_uri(path), "size_bytes": size, "version": version}
        finished = {"ref": ref, "location": location}
        report({"partition": {**finished, "content_digest": f"sha256:{ref}"} if self._digests else finished})
        return DONE
