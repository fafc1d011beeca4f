"""A watchdog process that kills the processes of a build when its orchestrator is killed.

A killed orchestrator cannot end the process groups of its jobs. The watchdog reads from a pipe that the orchestrator
holds open: a line means that the build has ended, end of file without a line means that the orchestrator has died.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Final

from databuild.executors.executor import ENGINE_VARIABLE

_SHELL: Final = "/bin/sh"

# $1 is an environment variable that all processes of the build have (proc(5)) and no others; those that an engine has
# started on this machine have $2 as well, and go on. Both are looked for in one reading of the environment, because a
# process that is just starting or ending has none. The loop ends after two rounds in a row that find no process: a
# process that was being forked in the first round is visible in the second. It gives up after half a minute, since a
# process that waits in the kernel cannot be killed.
_SCRIPT: Final = """
read -r word && exit
newline='
'
empty=0 rounds=0
while [ "$empty" -lt 2 ] && [ "$rounds" -lt 600 ]; do
  empty=$((empty + 1)) rounds=$((rounds + 1))
  for environ in $(grep -lszxF -e "$1" /proc/[0-9]*/environ); do
    variables="$newline$(tr '\\n\\0' '\\001\\n' <"$environ")$newline"
    case "$variables" in
      *"$newline$2="*) continue ;;
      *"$newline$1$newline"*) ;;
      *) continue ;;
    esac
    empty=0
    read -r stat <"${environ%environ}stat" || continue
    set -- "$1" "$2" ${stat##*) }
    kill -s KILL -- "-$5"
  done
  sleep 0.05
done
"""


@contextlib.contextmanager
def watchdog(variable: str) -> Iterator[None]:
    """Kills all processes with an environment variable, written `NAME=VALUE`, if this process dies inside the context.

    Does nothing if no watchdog can be started: the next build kills the orphans.
    """
    pid = 0
    try:
        reading, writing = os.pipe2(os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        pid = os.posix_spawn(
            _SHELL,
            (_SHELL, "-c", _SCRIPT, "databuild-watchdog", variable, ENGINE_VARIABLE),
            {"PATH": "/usr/bin:/bin"},  # without the variable, so that the watchdog does not find and kill itself
            file_actions=(
                (os.POSIX_SPAWN_DUP2, reading, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ),
            setsid=True,  # in its own session, so that Ctrl-C on the terminal does not reach it
        )
    except OSError:
        pass
    finally:
        os.close(reading)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.write(writing, b"ended\n")
        os.close(writing)
        if pid:
            os.waitpid(pid, 0)  # takes no time: the watchdog exits when it has read the line
