"""Hashes a job's code: code_digest.py OUTPUT PROGRAM FILES.

PROGRAM is a JSON object with the fields of `Program`. FILES is a file with three lines for each file: its path as the
job will see it, relative to the workspace, the path where it is now, which is empty for an empty file, and its origin,
`source`, `generated` or `empty`.

The digest covers what the job sees and where, and nothing else: neither order, nor times, nor bytecode, whose bytes
depend on the machine, nor the canonical names of repositories, which depend on the version of Bazel, nor the package
that the program is in. docs/adr/0015-the-code-digest-is-relative-to-the-program.md tells what follows from the last.
"""

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_MAX_REWRITTEN_BYTES = 1 << 20
"""How large a generated file may be in which the program's package is looked for: a launcher is small."""


class File(NamedTuple):
    """A file of a program: its path as the job sees it, where it is now (empty for an empty file), and its origin."""

    seen: str
    present: str
    origin: str


@dataclass(frozen=True, kw_only=True)
class Program:
    """What is hashed besides the files.

    Attributes:
        label: The label of the job.
        executable: The path where the executable is now.
        environment: The variables that the program's target sets.
        repository: The canonical name of the program's repository; empty for the main repository.
        package: The program's package.
        workspace: The name of the main repository among the runfiles.
    """

    label: str
    executable: str
    environment: Mapping[str, str]
    repository: str = ""
    package: str = ""
    workspace: str = "_main"

    @property
    def home(self) -> str:
        """The beginning of the paths of files in the package and below it, as the job sees them."""
        return "".join(part + "/" for part in (self.repository and f"../{self.repository}", self.package) if part)


def main(arguments: Sequence[str]) -> str:
    """Writes the digest and returns what is wrong with the program; empty where nothing is."""
    output, described, listed = arguments
    program = Program(**json.loads(described))
    files = _read_files(listed)
    if not os.access(program.executable, os.X_OK):
        return f"{program.executable}, the binary of {program.label}, is not executable: run `chmod +x` on it"
    for file in files:
        if file.origin == "source" and Path(file.present).is_dir():
            return (
                f"the source directory {file.seen} is among the runfiles of {program.label}: Bazel does not notice "
                f'changes in it, and would take stale data for fresh. Use glob(["{Path(file.seen).name}/**"]) instead'
            )
    Path(output).write_text(code_digest(program, files) + "\n")
    return ""


def code_digest(program: Program, files: Iterable[File]) -> str:
    """Returns the digest of a program and its files, in hexadecimal."""
    executable = _content_digest(File("", program.executable, "generated"), program)
    lines = set()
    for file in _expanded(files):
        if file.origin == "empty" and _is_above(file.seen, program.home):
            continue
        content = _content_digest(file, program)
        # The script of a shell program is there twice, and moves without its target.
        if content != executable or file.present == program.executable:
            lines.add((_path_in_digest(file.seen, program.home), content))
    digest = hashlib.sha256()
    for path, content in sorted(lines):
        digest.update(f"{len(path.encode())} {path} {content}\n".encode())
    if program.environment:
        variables = json.dumps(dict(program.environment), sort_keys=True).encode()
        digest.update(b"environment %s\n" % _without_package(variables, program))
    return digest.hexdigest()


def _expanded(files: Iterable[File]) -> Iterator[File]:
    """Yields the files, with folders replaced by what is in them."""
    for file in files:
        folder = Path(file.present)
        if file.present and folder.is_dir():
            for path in folder.rglob("*"):
                if not path.is_dir() and not _is_bytecode(path.as_posix()):
                    yield File(f"{file.seen}/{path.relative_to(folder).as_posix()}", str(path), file.origin)
        elif not _is_bytecode(file.seen):
            yield file


def _is_above(seen: str, home: str) -> bool:
    """Whether a file is in a folder that the program's package is in, where Bazel makes packages of Python."""
    folder = seen[: seen.rfind("/") + 1]
    return folder != home and home.startswith(folder)


def _path_in_digest(seen: str, home: str) -> str:
    """Returns the path of a file: relative to the package of the program if it is in there, or else a stable one."""
    if seen.startswith(home) and (home or not seen.startswith("../")):
        return "./" + seen.removeprefix(home)
    return _stable_path(seen)


def _stable_path(seen: str) -> str:
    """Returns the path of a file with the name of its repository, if it is another one, as in all versions of Bazel.

    A canonical name has two parts for a module, which are its name and version, and at least three for a repository
    that an extension made, of which the last two are the extension and its name for the repository. Bazel separates
    them by `~` up to version 7, and by `+` from 8 on.
    """
    if not seen.startswith("../"):
        return seen
    repository, _, path = seen.removeprefix("../").partition("/")
    parts = repository.split("+" if "+" in repository else "~")
    if len(parts) == 2:
        repository = parts[0]
    elif len(parts) > 2:
        module = parts[0].removeprefix("_main")
        repository = "+".join((module, *parts[-2:]))
    return f"../{repository}/{path}"


def _is_bytecode(path: str) -> bool:
    return path.endswith(".pyc") or "__pycache__" in path.split("/")


def _content_digest(file: File, program: Program) -> str:
    """Returns the digest of a file's content; of a dangling link, that of where it points."""
    if not file.present:
        return hashlib.sha256(b"").hexdigest()
    path = Path(file.present)
    if path.is_symlink() and not path.exists():
        return "link " + hashlib.sha256(str(path.readlink()).encode()).hexdigest()
    if file.origin == "generated" and path.stat().st_size <= _MAX_REWRITTEN_BYTES:
        return hashlib.sha256(_without_package(path.read_bytes(), program)).hexdigest()
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _without_package(content: bytes, program: Program) -> bytes:
    """Returns what Bazel generated with the name of the program's package replaced by a mark.

    The launchers that rules generate name their files by their paths among the runfiles, and some name their target.
    """
    names = (program.repository, program.repository or program.workspace, program.package)
    repository, folder, package = (re.escape(name.encode()) for name in names)
    path = rb"%s/%s(?![\w.-])" % (folder, package) if package else folder + b"(?=/)"
    label = rb"@{1,2}%s//%s(?=:)" % (repository, package)
    return re.sub(rb"(?<![\w.@-])(?:%s|%s)" % (path, label), b"\0package\0", content)


def _read_files(path: str) -> list[File]:
    lines = Path(path).read_text().split("\n")
    return [File(*file) for file in zip(lines[:-1:3], lines[1::3], lines[2::3], strict=True)]


if __name__ == "__main__":
    fault = main(sys.argv[1:])
    if fault:
        sys.exit(fault)
