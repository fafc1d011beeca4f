"""A job called as the orchestrator would call it, and what it reported."""

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
    """How a run ended and what it reported.

    Attributes:
        error: What the run function raised; None where it returned.
        reports: Every line of the report, parsed, in order: JobReport messages as JSON.
    """

    error: BaseException | None
    reports: Sequence[Mapping[str, Mapping[str, object]]]

    @property
    def exit_code(self) -> int:
        """The exit code that the program would have had."""
        if isinstance(self.error, SystemExit) and (self.error.code is None or isinstance(self.error.code, int)):
            return self.error.code or 0
        return 0 if self.error is None else 1

    @property
    def finished(self) -> list[str]:
        """The refs that were reported finished, in order."""
        return [str(report["ref"]) for report in self.of("partition")]

    def metadata(self, ref: str) -> Mapping[str, object]:
        """Returns what was last reported of a partition.

        Raises:
            KeyError: The partition was not reported finished.
        """
        found = [report for report in self.of("partition") if report["ref"] == ref]
        if not found:
            raise KeyError(ref)
        metadata = found[-1].get("metadata", {})
        assert isinstance(metadata, dict)
        return metadata

    def of(self, kind: str) -> list[Mapping[str, object]]:
        """Returns the reports of one kind: `partition`, `metric`, `check` or `progress`."""
        return [report[kind] for report in self.reports if kind in report]


class JobUnderTest:
    """A job's two functions, to be called from tests.

    Args:
        config: The function that `databuild.job.main` would be given to configure.
        run: The function that it would be given to run.
    """

    def __init__(self, config: Callable[[Sequence[str]], Iterable[Config]], run: Callable[[Run], None]) -> None:
        self._config = config
        self._run = run

    def configure(self, *refs: str) -> list[Config]:
        """Configures the job twice, and returns the answer.

        Raises:
            ConfigError: The answer lacks a ref, has one twice, or was another one the second time.
        """
        answer = ask(self._config, refs)
        again = ask(self._config, refs)
        if to_json(answer) != to_json(again):
            raise ConfigError(f"configured twice, the job gave two answers: {answer} and {again}")
        return answer

    def execute(
        self, args: Sequence[str] = (), *, folder: Path, env: Mapping[str, str] | None = None, attempt: int = 1
    ) -> RunResult:
        """Runs the job in a folder, and returns what came of it.

        Args:
            args: What would follow `exec`.
            folder: The working directory of the run. The report is written into it, as `report.jsonl`.
            env: Environment variables of the run.
            attempt: Which attempt it is to look like.
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
        """Configures the job for refs that one configuration produces, and runs that one in a folder.

        Raises:
            ConfigError: The answer is no answer, or has more than one configuration.
        """
        configs = self.configure(*refs)
        if len(configs) != 1:
            raise ConfigError(f"{len(configs)} configurations produce {', '.join(refs)}; run each with execute")
        return self.execute(configs[0].args, folder=folder, env={**configs[0].env, **(env or {})})
