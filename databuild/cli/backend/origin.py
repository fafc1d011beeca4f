"""The origin of builds: the commit and the repository of the workspace, and this machine.

They are read from the files of Git (https://git-scm.com/docs/gitrepository-layout). Starting `git` would take longer
than everything else that a build does before its first event.
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

REPOSITORY_VARIABLE = "DATABUILD_REPOSITORY"
"""The variable with the URL of the repository, for the same machines."""

_HASH_LENGTHS = (40, 64)  # SHA-1 and SHA-256


def with_origin(settings: Settings, call: Invocation) -> Settings:
    """Returns the settings of builds that record their origin."""
    system = os.uname()
    git = git_folder(call.workspace)
    origin = BuildOrigin(
        commit=call.environ.get(COMMIT_VARIABLE, "") or commit_in(git),
        machine=system.nodename,
        platform=f"{system.sysname} {system.release} {system.machine}",
        working_directory=call.cwd,
        repository=call.environ.get(REPOSITORY_VARIABLE, "") or repository_in(git),
    )
    return settings._replace(origin=origin)


def git_folder(folder: str) -> str:
    """Returns the folder with Git's files about a folder or one above it; empty if there is none."""
    while True:
        git = os.path.join(folder, ".git")  # noqa: PTH118 - pathlib costs 8 ms
        if os.path.isfile(git):  # noqa: PTH113 - a further worktree, or a submodule
            return os.path.join(folder, _read(git).removeprefix("gitdir: "))  # noqa: PTH118
        if os.path.exists(git):  # noqa: PTH110
            return git
        parent = os.path.dirname(folder)  # noqa: PTH120
        if parent == folder:
            return ""
        folder = parent


def commit_in(git: str) -> str:
    """Returns the commit that is checked out, by a folder of Git's files; empty if they do not say so."""
    head = _read(f"{git}/HEAD") if git else ""
    if not head.startswith("ref: "):
        return _checked(head)
    name = head.removeprefix("ref: ")
    shared = _shared_folder(git)
    commit = _read(f"{git}/{name}") or _read(f"{shared}/{name}")
    if not commit:
        packed = (line.split(" ") for line in _read(f"{shared}/packed-refs").splitlines())
        commit = next((words[0] for words in packed if words[1:] == [name]), "")
    return _checked(commit)


def repository_in(git: str) -> str:
    """Returns the URL of the remote `origin`, by a folder of Git's files; empty if it has none, or a path.

    An address such as `git@host:path` is returned as a URL with the scheme `ssh`. Credentials are left out.
    """
    section = ""
    for line in _read(f"{_shared_folder(git)}/config").splitlines() if git else ():
        text = line.strip()
        name, _, value = text.partition("=")
        if text.startswith("["):
            section = text
        elif section == '[remote "origin"]' and name.strip() == "url":
            return _url(value.strip())
    return ""


def _shared_folder(git: str) -> str:
    """Returns the folder with what all worktrees share: branches and configuration are those of the main worktree."""
    return os.path.join(git, _read(f"{git}/commondir"))  # noqa: PTH118


def _url(address: str) -> str:
    scheme, separator, rest = address.partition("://")
    if not separator:
        host, colon, path = address.partition(":")
        return f"ssh://{host}/{path.lstrip('/')}" if colon and path and "/" not in host else ""
    user, at, place = rest.rpartition("@")
    if scheme in {"http", "https"}:
        return f"{scheme}://{place}"
    return f"ssh://{user.partition(':')[0]}{at}{place}" if scheme == "ssh" else ""


def _checked(text: str) -> str:
    is_hash = len(text) in _HASH_LENGTHS and set(text) <= set("0123456789abcdef")
    return text if is_hash else ""


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return ""
