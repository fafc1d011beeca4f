"""Computes the code digest of a job: code_digest.py OUTPUT PROGRAM FILES.

PROGRAM is a JSON object with the fields of `Program`. FILES is a file with three lines per file: its path in the
runfiles, relative to the workspace; its path in the action, empty for an empty file; and its origin: `source`,
`generated` or `empty`.

The digest covers the paths and contents of the runfiles. It does not depend on their order, on times, on bytecode
(which differs between machines), on canonical repository names (which differ between versions of Bazel), or on the
package of the program; see docs/adr/0015-the-code-digest-is-relative-to-the-program.md.
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
"""Maximum size of a generated file in which the name of the package is replaced: launchers are small."""


class File(NamedTuple):
    """A file of a program.

    Attributes:
        runfile: Path in the runfiles, relative to the workspace.
        path: Path in the action; empty for an empty file.
        origin: `source`, `generated` or `empty`.
    """

    runfile: str
    path: str
    origin: str


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program whose code is hashed.

    Attributes:
        label: Label of the job.
        executable: Path of the executable in the action.
        environment: Environment variables that the target of the program sets.
        repository: Canonical name of the repository; empty for the main repository.
        package: Package of the program.
        workspace: Name of the main repository in the runfiles.
    """

    label: str
    executable: str
    environment: Mapping[str, str]
    repository: str = ""
    package: str = ""
    workspace: str = "_main"

    @property
    def home(self) -> str:
        """Prefix of the paths of the package in the runfiles, with a slash at the end."""
        return "".join(part + "/" for part in (self.repository and f"../{self.repository}", self.package) if part)


def main(arguments: Sequence[str]) -> str:
    """Writes the digest. Returns an error message, or an empty string."""
    output, program_json, files_path = arguments
    program = Program(**json.loads(program_json))
    files = _read_files(files_path)
    if not os.access(program.executable, os.X_OK):
        return f"{program.executable}, the binary of {program.label}, is not executable: run `chmod +x` on it"
    for file in files:
        if file.origin == "source" and Path(file.path).is_dir():
            return (
                f"the source directory {file.runfile} is among the runfiles of {program.label}: Bazel does not notice "
                f'changes in it, so stale data would count as fresh. Use glob(["{Path(file.runfile).name}/**"]) instead'
            )
    Path(output).write_text(code_digest(program, files) + "\n")
    return ""


def code_digest(program: Program, files: Iterable[File]) -> str:
    """Returns the code digest in hexadecimal."""
    executable = _content_digest(File("", program.executable, "generated"), program)
    lines = set()
    for file in _expanded(files):
        if file.origin == "empty" and _is_above(file.runfile, program.home):
            continue
        content = _content_digest(file, program)
        # The script of a shell program occurs twice: as itself, and as a copy named after its target.
        if content != executable or file.path == program.executable:
            lines.add((_path_in_digest(file.runfile, program.home), content))
    digest = hashlib.sha256()
    for path, content in sorted(lines):
        digest.update(f"{len(path.encode())} {path} {content}\n".encode())
    if program.environment:
        variables = json.dumps(dict(program.environment), sort_keys=True).encode()
        digest.update(b"environment %s\n" % _without_package(variables, program))
    return digest.hexdigest()


def _expanded(files: Iterable[File]) -> Iterator[File]:
    """Yields the files, with directories replaced by the files in them, without bytecode."""
    for file in files:
        folder = Path(file.path)
        if file.path and folder.is_dir():
            for path in folder.rglob("*"):
                if not path.is_dir() and not _is_bytecode(path.as_posix()):
                    yield File(f"{file.runfile}/{path.relative_to(folder).as_posix()}", str(path), file.origin)
        elif not _is_bytecode(file.runfile):
            yield file


def _is_above(runfile: str, home: str) -> bool:
    """Returns true for a file in a parent directory of the package, where Bazel creates `__init__.py` files."""
    folder = runfile[: runfile.rfind("/") + 1]
    return folder != home and home.startswith(folder)


def _path_in_digest(runfile: str, home: str) -> str:
    """Returns the path of a file relative to the package of the program, or `_stable_path` outside the package."""
    if runfile.startswith(home) and (home or not runfile.startswith("../")):
        return "./" + runfile.removeprefix(home)
    return _stable_path(runfile)


def _stable_path(runfile: str) -> str:
    """Returns a path with a repository name that is the same in all versions of Bazel.

    The canonical name of a module has two parts: name and version. That of a repository of an extension has at least
    three; the last two are the names of the extension and of the repository. The separator is `~` up to Bazel 7 and
    `+` from Bazel 8.
    """
    if not runfile.startswith("../"):
        return runfile
    repository, _, path = runfile.removeprefix("../").partition("/")
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
    """Returns the digest of the content of a file; for a dangling link that of its target."""
    if not file.path:
        return hashlib.sha256(b"").hexdigest()
    path = Path(file.path)
    if path.is_symlink() and not path.exists():
        return "link " + hashlib.sha256(str(path.readlink()).encode()).hexdigest()
    if file.origin == "generated" and path.stat().st_size <= _MAX_REWRITTEN_BYTES:
        return hashlib.sha256(_without_package(path.read_bytes(), program)).hexdigest()
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _without_package(content: bytes, program: Program) -> bytes:
    """Returns generated content with the name of the program's package replaced by a placeholder.

    Launchers that rules generate contain paths in the runfiles, and some contain the label of their target.
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
    sys.exit(main(sys.argv[1:]) or 0)
