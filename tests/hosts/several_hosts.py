"""One host is cut off in the middle of its build; another takes over, and the late results of the first are refused.

Runs in a network namespace of its own, which stands for the machine of the database. Two more stand for the machines of
orchestrators, with process ids of their own, so that nobody sees who lives elsewhere; hosts_test.sh sets the first up.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from databuild.event_log.open import open_reader
from tests.chaos import building
from tests.chaos.history import History, read_notes
from tests.postgresql.server import Server
from tests.support.waiting import wait_until
from tools.python import child

MAX_SECONDS = 120
PACE = 3
"""Duration, in seconds, of half of the job that runs while its host is cut off: much longer than the lease."""

PROGRAM = """
import sys
from tests.chaos.building import build
uri, name, folder, pace, *requested = sys.argv[1:]
build(uri, name, folder, tuple(requested), float(pace), jobs=1)
"""
ADDRESSES = ("10.77.1.1", "10.77.2.1")
"""Those of the database, one for each of the other hosts."""

# Reports that the namespaces exist, waits for the cable, and execs the program.
_BOOT = 'echo up; read -r host; ip addr add "10.77.${host#host}.2/24" dev "$host"; ip link set "$host" up; exec "$@"'
_HOST = ("unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-c", _BOOT, "sh")


def command(*words: str) -> None:
    subprocess.run(words, check=True)


class Host:
    """A machine that runs one build."""

    def __init__(self, number: int, uri: str, name: str, folder: Path, pace: float, *requested: str) -> None:
        """Starts the build; the host is connected to the address of the database that has its number."""
        self._number = number
        self.name = name
        self.process = subprocess.Popen(
            [*_HOST, *child.command("-c", PROGRAM, uri, name, str(folder), str(pace), *requested)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "up\n"
        command("ip", "link", "set", f"host{number}", "netns", str(self.process.pid))
        print(f"host{number}", file=self.process.stdin, flush=True)

    def cut_off(self) -> None:
        """Pulls the cable."""
        command("ip", "link", "set", f"lab{self._number}", "down")

    def connect(self) -> None:
        """Plugs the cable in again."""
        command("ip", "link", "set", f"lab{self._number}", "up")

    def ended(self) -> int:
        """Waits for the end of the build, and returns its exit code."""
        return self.process.wait(MAX_SECONDS)


def connect_hosts() -> None:
    """Lays a cable to each host."""
    command("ip", "link", "set", "lo", "up")
    for number, address in enumerate(ADDRESSES, 1):
        command("ip", "link", "add", f"lab{number}", "type", "veth", "peer", "name", f"host{number}")
        command("ip", "addr", "add", f"{address}/24", "dev", f"lab{number}")
        command("ip", "link", "set", f"lab{number}", "up")


def wait_for_note(folder: Path, note: str) -> None:
    """Waits until a job has noted something."""
    notes = folder / "notes"
    wait_until(lambda: notes.exists() and any(line.startswith(note) for line in notes.read_text().splitlines()))


def check(server: Server, folder: Path) -> None:
    """Pulls the cable in the middle of a build, and plugs it in again after another build has taken over."""
    database = server.new_database()
    near, far = (database.replace(str(server.folder / "sockets"), address) for address in ADDRESSES)

    one = Host(1, near, "one", folder, PACE, "raw/0")
    wait_for_note(folder, "start")
    one.cut_off()
    two = Host(2, far, "two", folder, 0, "clean/0")
    assert two.ended() == building.BUILT
    wait_for_note(folder, "end 1 ")
    assert one.process.poll() is None
    one.connect()
    assert one.ended() == building.REFUSED

    reader = open_reader(database)
    history = History(reader)
    history.check()
    history.check_runs(read_notes(folder / "notes"))
    assert history.made == {"raw/0": ["two.1.1"], "clean/0": ["two.2.1"]}
    record = reader.build("one")
    assert record is not None
    assert record.failure is not None
    assert "has not renewed its lease" in record.failure.message
    (late,) = history.late.values()
    assert late.target_build_request_id == "one"
    assert [ref.str for ref in late.partitions] == ["raw/0"]
    reader.close()


def main() -> None:
    connect_hosts()
    server = Server(ADDRESSES)
    try:
        with tempfile.TemporaryDirectory() as folder:
            check(server, Path(folder))
    finally:
        server.close()
    print("hosts_test: passed")


if __name__ == "__main__":
    main()
