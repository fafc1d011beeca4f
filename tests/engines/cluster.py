"""A cluster of Dask on loopback: a scheduler and workers as processes of their own, without dashboards."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from tests.support.waiting import wait_until
from tools.python import child

# Reads a pipe that closes when the test process is gone, however that came, and ends everything then.
_CLEAR_UP: Final = 'read -r _; for f in "$1"/pids/*; do kill -KILL "${f##*/}"; done; sleep 1; rm -rf "$1"'


class Cluster:
    """A scheduler and its workers, each with one thread unless asked otherwise."""

    def __init__(
        self,
        workers: Sequence[Sequence[str]] = ((), ()),
        *,
        env: Mapping[str, str] | None = None,
        tls: Sequence[str] = (),
        allowed_failures: str = "0",
    ) -> None:
        """Starts the cluster, and waits until the workers have registered.

        Args:
            workers: Further arguments for each worker.
            env: Further environment variables for all processes.
            tls: The arguments for TLS of all processes.
            allowed_failures: The setting of the scheduler.
        """
        self.folder: Final = Path(tempfile.mkdtemp(prefix="databuild-dask-"))
        (self.folder / "pids").mkdir()
        self._watchdog = subprocess.Popen(
            ["sh", "-c", _CLEAR_UP, "sh", str(self.folder)], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._env = {
            **os.environ,
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": allowed_failures,
            "DASK_DISTRIBUTED__WORKER__LIFETIME__RESTART": "False",
            **(env or {}),
        }
        self._tls = tls
        self.scheme: Final = "tls" if tls else "tcp"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []
        try:
            self.port = 0
            self.start_scheduler()
            for arguments in workers:
                self.start_worker(*arguments)
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        """The address of the scheduler, as Dask writes it."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def uri(self) -> str:
        """The URI of the executor."""
        return f"dask{'+tls' if self._tls else ''}://127.0.0.1:{self.port}"

    def start_scheduler(self) -> None:
        """Starts the scheduler, at the port of the one before if there was one."""
        file = self.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        self.scheduler = self._start(
            f"scheduler-{len(self._processes)}",
            (),
            *("scheduler", "--host", f"{self.scheme}://127.0.0.1", "--port", str(self.port), "--no-dashboard"),
            *("--no-jupyter", "--scheduler-file", str(file)),
        )
        wait_until(lambda: file.exists() and '"address"' in file.read_text())
        self.port = int(file.read_text().partition('"address": "')[2].partition('"')[0].rpartition(":")[2])

    def start_worker(self, *arguments: str, disk: str = "") -> subprocess.Popen[bytes]:
        """Starts a worker without a nanny, and waits until it has registered.

        Args:
            arguments: Further arguments.
            disk: The size of a file system of its own for its local directory, such as `1m`; empty for none. It is in
                memory, in a mount namespace of its own.
        """
        name = f"worker-{len(self._processes)}"
        (self.folder / name).mkdir()
        script = f'mount -t tmpfs -o size={disk} tmpfs {self.folder / name} && exec "$@"'
        worker = self._start(
            name,
            ("unshare", "--mount", "--", "sh", "-c", script, "sh") if disk else (),
            *("worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard"),
            *("--name", name, "--local-directory", str(self.folder / name), *arguments),
        )
        self.workers.append(worker)
        log = self.folder / f"{name}.log"
        wait_until(lambda: "Registered to" in log.read_text() or worker.poll() is not None)
        assert worker.poll() is None, log.read_text()
        return worker

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kills the scheduler or a worker."""
        _kill(process)
        if process in self.workers:
            self.workers.remove(process)

    def close(self) -> None:
        """Kills everything and removes its files."""
        for process in self._processes:
            _kill(process)
        self._watchdog.kill()
        self._watchdog.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, name: str, prefix: Sequence[str], *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [*prefix, *child.command("-m", "distributed.cli.dask_" + arguments[0], *arguments[1:], *self._tls)],
                env=self._env,
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        (self.folder / "pids" / str(process.pid)).touch()
        self._processes.append(process)
        return process


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL)
    process.wait()
