"""The files of a job's program, for executors that ship code.

Bazel writes the list (rules/private/code_files.bzl): the name of the main repository in the runfiles, and then one path
per line, relative to that repository. A directory stands for all files in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Final

from databuild.executors.executor import Code
from databuild.tuples import NamedTuple

TREE: Final = "program.runfiles"
"""The directory of the files on the machine that runs the program. Programs find their runfiles by such a name."""

_REPO_MAPPING: Final = "_repo_mapping"


class CodeFile(NamedTuple):
    """One file of a program.

    Attributes:
        path: Its path below `TREE`, with slashes.
        source: Its path on this machine, without symbolic links.
        executable: True if its owner may execute it.
        size: Its size in bytes.
    """

    path: str
    source: str
    executable: bool
    size: int


def code_files(code: Code) -> Iterator[CodeFile]:
    """Yields the files of a program, sorted by path, without bytecode.

    Raises:
        OSError: The list or a file cannot be read.
    """
    paths: dict[str, str] = {}
    for path in [_REPO_MAPPING, *_listed(code.files)]:
        source = f"{code.root}/{path}"
        if os.path.isdir(source):  # noqa: PTH112 - several times as fast as pathlib, for thousands of files
            paths.update(_below(source, path))
        elif path != _REPO_MAPPING or os.path.exists(source):  # noqa: PTH110
            paths[path] = source
    for path, source in sorted(paths.items()):
        if not path.endswith(".pyc"):
            real = os.path.realpath(source)
            status = os.stat(real)  # noqa: PTH116
            yield CodeFile(path, real, bool(status.st_mode & 0o100), status.st_size)


def command_in_tree(code: Code, argv: Sequence[str]) -> tuple[str, ...]:
    """Returns a command line with the path of its program relative to the parent directory of `TREE`."""
    return (f"{TREE}/{os.path.relpath(argv[0], code.root)}", *argv[1:])


def _listed(path: str) -> Sequence[str]:
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        main, *paths = file.read().splitlines()
    return [os.path.normpath(f"{main}/{path}") for path in paths]


def _below(folder: str, prefix: str) -> Iterator[tuple[str, str]]:
    for parent, _, names in os.walk(folder, followlinks=True):
        below = f"{prefix}{parent.removeprefix(folder)}"
        for name in names:
            yield f"{below}/{name}", f"{parent}/{name}"
