"""Compares two runs in one worker with a run in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from databuild.job.wire import execute_request, exit_code_of, read_framed, write_framed

_PROGRAM = """
import importlib, json, sys
path, names = json.loads(sys.argv.pop(1)), json.loads(sys.argv.pop(1))
sys.path[:] = path
from databuild.job import main
def function(module, name):
    value = importlib.import_module(module)
    for part in name.split("."):
        value = getattr(value, part)
    return value
main(*[function(*name) for name in names])
"""
# Requests and responses pass through named pipes, which the program gets as descriptors 3 and 4.
_SHELL = 'exec 3<"$1" 4>"$2"; shift 2; exec "$@"'


class WorkerDifferenceError(AssertionError):
    """A run in a worker differs from a run in a process of its own, or from the run before it.

    Args:
        differences: The differences, one sentence each.
        output: The output of the runs.
    """

    def __init__(self, differences: Sequence[str], output: str) -> None:
        self.differences = tuple(differences)
        printed = f"\nThe runs printed:\n{output}" if output else ""
        super().__init__(
            "\n".join((*differences, "State that a run leaves in its process changes later runs.")) + printed
        )


@dataclass(frozen=True)
class _Left:
    """Everything that a run leaves."""

    exit_code: int
    reports: Sequence[str]
    files: Mapping[str, bytes]


class WorkerCheck:
    """The runs of one task in an otherwise empty folder."""

    def __init__(
        self,
        functions: Sequence[Callable[..., Any]],
        args: Sequence[str],
        folder: Path,
        env: Mapping[str, str],
        prepare: Callable[[], None],
    ) -> None:
        """Runs nothing yet.

        Args:
            functions: The functions of the job, which other processes can import.
            args: The arguments of the run.
            folder: The working directory. It is emptied before each run.
            env: The environment variables of the run, besides those of this process.
            prepare: Writes the inputs into the empty folder.

        Raises:
            TypeError: A function cannot be imported, such as one that is defined in another function.
        """
        for function in functions:
            if "<" in function.__qualname__ or function.__module__ == "__main__":
                raise TypeError(f"{function.__qualname__} cannot be imported; define it at the top level of a module")
        names = [(function.__module__, function.__qualname__) for function in functions]
        path = [str(Path(entry).absolute()) for entry in sys.path]
        self._command = (sys.executable, "-I", "-c", _PROGRAM, json.dumps(path), json.dumps(names))
        self._args = (*(("exec",) if len(functions) == 2 else ()), *args)
        self._run_args = tuple(args)
        self._folder = folder
        self._env = dict(env)
        self._prepare = prepare

    def check(self) -> None:
        """Makes the three runs, and compares them.

        Raises:
            WorkerDifferenceError: They differ.
        """
        pipes = self._folder.parent / f".{self._folder.name}.worker"
        pipes.mkdir()
        try:
            with (pipes / "output").open("wb") as output:
                process = self._left_by(lambda: self._run_process(output))
                with self._worker(pipes, output) as ask:
                    first, second = self._left_by(lambda: ask(1)), self._left_by(lambda: ask(2))
            differences = [
                *_differences("the first run in a worker", first, process),
                *_differences("the second run in the same worker", second, process),
            ]
            if differences:
                raise WorkerDifferenceError(differences, (pipes / "output").read_text(errors="replace"))
        finally:
            shutil.rmtree(pipes)

    def _run_process(self, output: BinaryIO) -> int:
        env = {**os.environ, **self._env}
        done = subprocess.run(
            [*self._command, *self._args], cwd=self._folder, env=env, stdout=output, stderr=output, check=False
        )
        return done.returncode

    @contextlib.contextmanager
    def _worker(self, pipes: Path, output: BinaryIO) -> Iterator[Callable[[int], int]]:
        """Starts a worker, and returns a function that lets it serve the run and returns the exit code."""
        requests, responses = pipes / "requests", pipes / "responses"
        os.mkfifo(requests)
        os.mkfifo(responses)
        command = ["/bin/sh", "-c", _SHELL, "sh", str(requests), str(responses), *self._command, "worker"]
        env = {**os.environ, "DATABUILD_WORKER": "1"}
        worker = subprocess.Popen(command, cwd=self._folder, env=env, stdout=output, stderr=output)
        with requests.open("wb") as sending, responses.open("rb") as receiving:
            read_framed(receiving)  # the hello

            def ask(number: int) -> int:
                write_framed(sending, execute_request(number, self._run_args, self._env))
                response = read_framed(receiving)
                return worker.wait() if response is None else exit_code_of(response)

            yield ask
        worker.wait()

    def _left_by(self, run: Callable[[], int]) -> _Left:
        # The folder itself stays: it is the working directory of the worker.
        for entry in self._folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        self._prepare()
        given = _files(self._folder)
        exit_code = run()
        left = _files(self._folder)
        reports = left.pop("report.jsonl", b"").decode().splitlines()
        return _Left(exit_code, reports, {name: data for name, data in left.items() if given.get(name) != data})


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _comparable(line: str) -> Any:
    """Returns a report without the version of a file, which contains the time at which the file was written."""
    try:
        report = json.loads(line)
    except ValueError:
        return line
    location = report.get("partition", {}).get("location", {}) if isinstance(report, dict) else {}
    location.pop("version", None)
    return report


def _differences(name: str, run: _Left, process: _Left) -> Iterator[str]:
    if run.exit_code != process.exit_code:
        yield f"{name} ended with exit code {run.exit_code}, and one in a process with {process.exit_code}."
    if [_comparable(line) for line in run.reports] != [_comparable(line) for line in process.reports]:
        yield f"{name} reported {run.reports}, and one in a process {process.reports}."
    for path in sorted({*run.files, *process.files}):
        ours, others = run.files.get(path), process.files.get(path)
        if ours is None or others is None:
            yield f"{path} is left by {name if others is None else 'a run in a process'} alone."
        elif ours != others:
            yield f"{name} left another {path} than one in a process."
