"""The origin of builds: the commit of the workspace, and this machine.

The commit is read from the files of Git (https://git-scm.com/docs/gitrepository-layout). Starting `git` would take
longer than everything else that a build does before its first event.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from databuild.v1.events_pb2 import BuildOrigin

if TYPE_CHECKING:
    from databuild.cli.backend.invocation import Invocation
    from databuild.orchestration.build.settings import Settings

COMMIT_VARIABLE = "DATABUILD_COMMIT"
"""The variable with the commit, for machines that have no workspace, such as containers."""

_HASH_LENGTHS = (40, 64)  # SHA-1 and SHA-256


def with_origin(settings: Settings, call: Invocation) -> Settings:
    """Returns the settings of builds that record their origin."""
    system = os.uname()
    origin = BuildOrigin(
        commit=call.environ.get(COMMIT_VARIABLE, "") or commit_of(call.workspace),
        machine=system.nodename,
        platform=f"{system.sysname} {system.release} {system.machine}",
        working_directory=call.cwd,
    )
    return settings._replace(origin=origin)


def commit_of(folder: str) -> str:
    """Returns the commit that is checked out in a folder or above it; empty if Git's files do not say so."""
    while True:
        git = os.path.join(folder, ".git")  # noqa: PTH118 - pathlib costs 8 ms
        if os.path.exists(git):  # noqa: PTH110
            return _commit_in(git)
        parent = os.path.dirname(folder)  # noqa: PTH120
        if parent == folder:
            return ""
        folder = parent


def _commit_in(git: str) -> str:
    if os.path.isfile(git):  # noqa: PTH113 - a further worktree, or a submodule
        git = os.path.join(os.path.dirname(git), _read(git).removeprefix("gitdir: "))  # noqa: PTH118, PTH120
    head = _read(f"{git}/HEAD")
    if not head.startswith("ref: "):
        return _checked(head)
    name = head.removeprefix("ref: ")
    shared = os.path.join(git, _read(f"{git}/commondir"))  # noqa: PTH118 - branches are those of the main worktree
    commit = _read(f"{git}/{name}") or _read(f"{shared}/{name}")
    if not commit:
        packed = (line.split(" ") for line in _read(f"{shared}/packed-refs").splitlines())
        commit = next((words[0] for words in packed if words[1:] == [name]), "")
    return _checked(commit)


def _checked(text: str) -> str:
    is_hash = len(text) in _HASH_LENGTHS and set(text) <= set("0123456789abcdef")
    return text if is_hash else ""


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return ""
