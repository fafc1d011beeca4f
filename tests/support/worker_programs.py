"""Programs of workers for tests, with known faults, and an executor that they serve."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from databuild.executors.executor import Capacity, ProcessResult, ProcessSpec, WorkerSpec
from databuild.executors.local import LocalExecutor
from tools.python import child

_PROGRAM = r"""
import os, signal, subprocess, sys, threading, time
from databuild.job import Config, main, writing

def later(path, text):
    def write():
        while not os.path.exists(path):
            time.sleep(0.005)
        os.write(1, text.encode())
        open(path + ".written", "w").close()

    threading.Thread(target=write).start()

def config(refs):
    print("configuring")
    for ref in refs:
        yield Config(outputs=[ref], materialize=["in/1"], query=["seen"], args=[ref], env={"A": "1"})

def run(run):
    what, *rest = run.args
    print("served", what, flush=True)
    if what == "code":
        exec(rest[0], {"os": os, "signal": signal, "subprocess": subprocess, "sys": sys, "time": time, "run": run,
             "later": later, "writing": writing})

STARTED
main(config, run)
"""


class Served:
    """An executor with a worker program, and the logs of its runs."""

    def __init__(self, folder: Path, *, at_start: str = "", **settings: Any) -> None:
        """Writes the program.

        Args:
            folder: An empty folder.
            at_start: Code that the program runs before it is ready for requests.
            **settings: Arguments of the executor.
        """
        self.folder = folder
        self.program = folder / "program"
        command = child.command("-c", _PROGRAM.replace("STARTED", at_start))
        words = " ".join("'" + word.replace("'", "'\\''") + "'" for word in command)
        self.program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        self.program.chmod(0o755)
        defaults = {"grace_seconds": 5.0, "max_processes": 2, "capacity": Capacity(4, "the test")}
        self.executor = LocalExecutor(base_env={"PATH": os.environ["PATH"]}, **{**defaults, **settings})
        self._count = 0

    def spec(self, *arguments: str, configure: bool = False, **worker: Any) -> ProcessSpec:
        """Returns a run whose output goes to files of its own."""
        self._count += 1
        base = str(self.folder / f"run-{self._count}")
        command = "config" if configure else "exec"
        spec = WorkerSpec(env={"START": "1"}, code_digest="1", arguments=arguments, configure=configure)
        return ProcessSpec(
            argv=(str(self.program), command, *arguments),
            env={"START": "1", "RUN": str(self._count), "DATABUILD_REPORT": f"{base}.report"},
            cwd=str(self.folder),
            stdout="" if configure else f"{base}.stdout",
            stderr="" if configure else f"{base}.stderr",
            report="" if configure else f"{base}.report",
            worker=spec._replace(**worker),
        )

    async def run(self, *arguments: str, **worker: Any) -> ProcessResult:
        return await self.executor.run(self.spec(*arguments, **worker))

    async def execute(self, code: str) -> ProcessResult:
        """Lets a worker run Python code."""
        return await self.run("code", code)

    def out(self, number: int = 0, stream: str = "stdout") -> str:
        """Returns the output of a run by its number; 0 for the last."""
        path = self.folder / f"run-{number or self._count}.{stream}"
        return path.read_text() if path.exists() else ""


def python_worker(path: Path, body: str) -> None:
    """Writes a program in Python that speaks the protocol, or something else, by itself.

    Args:
        path: The path of the program.
        body: Code, with the functions `hello()`, `request()` (waits for one, and returns its bytes), `send(data)` and
            `answer(number)` (a successful execute response).
    """
    program = f"""
import os, sys, time
def send(data): os.write(4, bytes([len(data)]) + data)
def hello(version=1): send(bytes([0xC2, 2, 2, 8, version]))
def answer(number): send(bytes([8, number, 26, 0]))
def request():
    length = os.read(3, 1)
    return os.read(3, 65536) if length else sys.exit(0)
{body}
"""
    path.write_text(f"#!{sys.executable} -I \n{program}")
    path.chmod(0o755)


def has_ended(pid: int) -> bool:
    """Returns True if a process is a zombie or is gone. A process that is ending loses its environment before."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def processes_of(worker_id: str) -> list[int]:
    """Returns the living processes of a worker."""
    variable = f"DATABUILD_WORKER_ID={worker_id}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and variable in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found
