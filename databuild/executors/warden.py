"""A small process that ends what a build has left running when its orchestrator dies without a word.

A process that is killed can do nothing any more, and the process groups of its jobs live on. The warden holds the other
end of a pipe: a word on it means that all is well; its end without one that the orchestrator is gone.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Final

_SHELL: Final = "/bin/sh"

# $1 is a variable that all processes of the build have in their environment (proc(5)), and nothing else has. Twice in a
# row nobody: what was just being started is there by then. What cannot be ended, since it waits in the kernel, is left
# alone after half a minute.
_SCRIPT: Final = """
read -r word && exit
nobody=0 rounds=0
while [ "$nobody" -lt 2 ] && [ "$rounds" -lt 600 ]; do
  nobody=$((nobody + 1)) rounds=$((rounds + 1))
  for environ in $(grep -lszxF -e "$1" /proc/[0-9]*/environ); do
    nobody=0
    read -r stat <"${environ%environ}stat" || continue
    set -- "$1" ${stat##*) }
    kill -s KILL -- "-$4"
  done
  sleep 0.05
done
"""


@contextlib.contextmanager
def warden(variable: str) -> Iterator[None]:
    """Has what runs with an environment variable, written `NAME=VALUE`, ended if this process dies inside.

    Where no warden can be started, the next build ends what is left.
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
            (_SHELL, "-c", _SCRIPT, "databuild-warden", variable),
            {"PATH": "/usr/bin:/bin"},
            file_actions=(
                (os.POSIX_SPAWN_DUP2, reading, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ),
            setsid=True,
        )
    except OSError:
        pass
    finally:
        os.close(reading)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.write(writing, b"well\n")
        os.close(writing)
        if pid:
            os.waitpid(pid, 0)
