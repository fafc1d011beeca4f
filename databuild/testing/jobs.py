"""A job under test: calls its functions as the orchestrator would, and collects its reports."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from databuild.job.answers import Config, ConfigError, ask, to_json
from databuild.job.run import Run


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """Outcome of a run and its reports.

    Attributes:
        error: The exception that the run function raised; None if it returned.
        reports: The reports in order: JobReport messages (job.proto) as parsed JSON.
    """

    error: BaseException | None
    reports: Sequence[Mapping[str, Mapping[str, object]]]

    @property
    def exit_code(self) -> int:
        """The exit code that the program would have."""
        if isinstance(self.error, SystemExit) and (self.error.code is None or isinstance(self.error.code, int)):
            return self.error.code or 0
        return 0 if self.error is None else 1

    @property
    def finished(self) -> list[str]:
        """The refs that were reported as finished, in order."""
        return [str(report["ref"]) for report in self.of("partition")]

    def metadata(self, ref: str) -> Mapping[str, object]:
        """Returns the last reported metadata of a partition.

        Raises:
            KeyError: The partition was not reported as finished.
        """
        reports = [report for report in self.of("partition") if report["ref"] == ref]
        if not reports:
            raise KeyError(ref)
        metadata = reports[-1].get("metadata", {})
        assert isinstance(metadata, dict)
        return metadata

    def of(self, kind: str) -> list[Mapping[str, object]]:
        """Returns the reports of one kind: `partition`, `metric`, `check` or `progress`."""
        return [report[kind] for report in self.reports if kind in report]


class JobUnderTest:
    """Calls the two functions of a job from tests.

    Args:
        config: The config function, as passed to `databuild.job.main`.
        run: The run function, as passed to `databuild.job.main`.
    """

    def __init__(self, config: Callable[[Sequence[str]], Iterable[Config]], run: Callable[[Run], None]) -> None:
        self._config = config
        self._run = run

    def configure(self, *refs: str) -> list[Config]:
        """Configures the job twice, and returns the answer.

        Raises:
            ConfigError: The answer is invalid, or the two answers differ.
        """
        answer = ask(self._config, refs)
        again = ask(self._config, refs)
        if to_json(answer) != to_json(again):
            raise ConfigError(f"two calls of the config function gave different answers: {answer} and {again}")
        return answer

    def execute(
        self, args: Sequence[str] = (), *, folder: Path, env: Mapping[str, str] | None = None, attempt: int = 1
    ) -> RunResult:
        """Runs the job in a folder. Working directory and environment of the process are restored afterwards.

        Args:
            args: The arguments after `exec`.
            folder: The working directory of the run. The reports are written to its file `report.jsonl`.
            env: Environment variables of the run.
            attempt: The number of the attempt.
        """
        report = folder / "report.jsonl"
        report.unlink(missing_ok=True)
        before, directory = dict(os.environ), Path.cwd()
        os.environ.update(
            {"DATABUILD_ATTEMPT": str(attempt), "DATABUILD_JOB_RUN_ID": "test", "DATABUILD_REPORT": str(report)}
        )
        os.environ.update(env or {})
        os.chdir(folder)
        error: BaseException | None = None
        try:
            self._run(Run(args, dict(os.environ)))
        except (Exception, SystemExit) as raised:
            error = raised
        finally:
            os.chdir(directory)
            os.environ.clear()
            os.environ.update(before)
        lines = report.read_text().splitlines() if report.exists() else []
        return RunResult(error=error, reports=[json.loads(line) for line in lines])

    def execute_for(self, *refs: str, folder: Path, env: Mapping[str, str] | None = None) -> RunResult:
        """Configures the job for refs, which must result in one configuration, and runs that in a folder.

        Raises:
            ConfigError: The answer is invalid, or has more than one configuration.
        """
        configs = self.configure(*refs)
        if len(configs) != 1:
            raise ConfigError(f"{len(configs)} configurations produce {', '.join(refs)}; run each with execute")
        return self.execute(configs[0].args, folder=folder, env={**configs[0].env, **(env or {})})
