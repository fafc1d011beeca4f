"""A job under test: calls its functions as the orchestrator would, and collects its reports."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from databuild.job import found
from databuild.job.answers import Config, ConfigError, ask, to_json
from databuild.job.found import CheckError, Found
from databuild.job.run import Run
from databuild.testing.given_task import GivenInput, task_json
from databuild.testing.worker_check import WorkerCheck

if TYPE_CHECKING:
    from databuild.job.program import CheckFunction


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


_TASK = "task.json"


class JobUnderTest:
    """Calls the functions of a job from tests: `JobUnderTest(config, run)`, or `JobUnderTest(run)` without a config.

    Args:
        functions: The functions, as passed to `databuild.job.main`.
        check: The check function, if the job has one.
        patterns: The partition patterns of outputs and inputs, which give them their fields; as in the BUILD file.

    Raises:
        TypeError: There are neither one nor two functions.
    """

    def __init__(
        self, *functions: Callable[..., Any], check: CheckFunction | None = None, patterns: Sequence[str] = ()
    ) -> None:
        if len(functions) not in {1, 2}:
            raise TypeError("a job under test has two functions, config and run, or the run function alone")
        self._config: Callable[[Sequence[str]], Iterable[Config]] | None = (None, *functions)[-2]
        self._run: Callable[[Run], None] = functions[-1]
        self._check = check
        self._patterns = tuple(patterns)

    def configure(self, *refs: str) -> list[Config]:
        """Configures the job twice, and returns the answer.

        Raises:
            ConfigError: The job has no config function, its answer is invalid, or the two answers differ.
        """
        if self._config is None:
            raise ConfigError("the job has no config function; call execute with its outputs and inputs")
        answer = ask(self._config, refs)
        again = ask(self._config, refs)
        if to_json(answer) != to_json(again):
            raise ConfigError(f"two calls of the config function gave different answers: {answer} and {again}")
        return answer

    def check(self, *refs: str) -> dict[str, Found | Exception]:
        """Asks the job which partitions exist.

        Returns:
            The facts about the data that exists, by ref, or the reason why it cannot be read. Other partitions are
            missing.

        Raises:
            CheckError: The job has no check function, or its answer is invalid.
        """
        if self._check is None:
            raise CheckError("the job has no check function; pass it as `check`")
        return found.ask(self._check, refs)

    def execute(
        self,
        args: Sequence[str] = (),
        *,
        folder: Path,
        outputs: Sequence[str] = (),
        inputs: Iterable[str | GivenInput] = (),
        env: Mapping[str, str] | None = None,
        attempt: int = 1,
        history: Sequence[Mapping[str, float]] | None = None,
    ) -> RunResult:
        """Runs the job in a folder. Working directory and environment of the process are restored afterwards.

        Args:
            args: The arguments of the run, after `exec` if the job has a config.
            folder: The working directory of the run. The reports are written to its file `report.jsonl`, and the task
                description to its file `task.json`.
            outputs: The refs of its outputs. Without any, the run has no task description.
            inputs: Its inputs. A ref stands for an input that is available and has no metadata.
            env: Environment variables of the run.
            attempt: The number of the attempt.
            history: The numbers of the partitions before each output, newest first, such as `[{"rows": 842}]`; None for
                a job without `history`.
        """
        report = folder / "report.jsonl"
        report.unlink(missing_ok=True)
        self._write_task(folder, outputs, inputs, history)
        before, directory = dict(os.environ), Path.cwd()
        os.environ.update({**_environment(folder, attempt, outputs), **(env or {})})
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

    def check_worker(
        self,
        args: Sequence[str] = (),
        *,
        folder: Path,
        outputs: Sequence[str] = (),
        inputs: Iterable[str | GivenInput] = (),
        env: Mapping[str, str] | None = None,
        prepare: Callable[[Path], object] = lambda _: None,
    ) -> None:
        """Runs the job once in a process of its own and twice in one worker, and compares outputs and reports.

        Other processes import the functions of the job, so that they see its modules as they are at a start. Outputs
        are files in the folder, and must not depend on the time or on process ids.

        Args:
            args: As for `execute`.
            folder: The working directory of the runs. It is emptied before each of them.
            outputs: As for `execute`.
            inputs: As for `execute`.
            env: As for `execute`.
            prepare: Writes the files that the job reads into the folder.

        Raises:
            WorkerDifferenceError: The runs differ, so that the job must not have workers.
            TypeError: A function of the job cannot be imported.
        """
        given = tuple(inputs)

        def prepare_all() -> None:
            self._write_task(folder, outputs, given)
            prepare(folder)

        functions = [function for function in (self._config, self._run) if function is not None]
        environment = {**_environment(folder, 1, outputs), **(env or {})}
        WorkerCheck(functions, args, folder, environment, prepare_all).check()

    def _write_task(
        self,
        folder: Path,
        outputs: Sequence[str],
        inputs: Iterable[str | GivenInput],
        history: Sequence[Mapping[str, float]] | None = None,
    ) -> None:
        given = [GivenInput(ref=one) if isinstance(one, str) else one for one in inputs]
        if outputs:
            (folder / _TASK).write_text(task_json(outputs, given, self._patterns, history))

    def execute_for(
        self, *refs: str, folder: Path, inputs: Iterable[GivenInput] = (), env: Mapping[str, str] | None = None
    ) -> RunResult:
        """Configures the job for refs, which must result in one configuration, and runs that in a folder.

        Args:
            refs: The refs.
            folder: The working directory of the run.
            inputs: Inputs of that configuration, with their metadata; the others have none.
            env: Environment variables of the run.

        Raises:
            ConfigError: The answer is invalid, has more than one configuration, or lacks one of the inputs.
        """
        configs = self.configure(*refs)
        if len(configs) != 1:
            raise ConfigError(f"{len(configs)} configurations produce {', '.join(refs)}; run each with execute")
        (config,) = configs
        given = {ref: GivenInput(ref=ref) for ref in config.materialize}
        given |= {ref: GivenInput(ref=ref, kind="QUERY") for ref in config.query}
        for one in inputs:
            if one.ref not in given:
                raise ConfigError(f"{one.ref!r} is not an input of {config}")
            given[one.ref] = one
        return self.execute(
            config.args,
            folder=folder,
            outputs=config.outputs,
            inputs=given.values(),
            env={**config.env, **(env or {})},
        )


def _environment(folder: Path, attempt: int, outputs: Sequence[str]) -> dict[str, str]:
    """Returns the environment variables that DataBuild sets for a run."""
    return {
        "DATABUILD_ATTEMPT": str(attempt),
        "DATABUILD_JOB_RUN_ID": "test",
        "DATABUILD_REPORT": str(folder / "report.jsonl"),
        "DATABUILD_TASK": str(folder / _TASK) if outputs else "",
    }
