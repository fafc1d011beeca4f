"""Hashes a job's code: code_digest.py OUTPUT DESCRIPTION FILES.

DESCRIPTION is a JSON object: the `label` of the job, the path of the `executable`, and the `environment` that the
program's target sets. FILES is a file with three lines for each file: its path as the job will see it, the path where
it is now, which is empty for an empty file, and where it is from, `source`, `generated` or `empty`. The digest covers
what the job sees and where, and nothing else: neither order, nor times, nor bytecode, whose bytes depend on the
machine, nor the canonical names of repositories, which depend on the version of Bazel.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path


def main(arguments: Sequence[str]) -> str:
    """Writes the digest and returns what is wrong with the program; empty where nothing is."""
    output, description, files = arguments
    described = json.loads(description)
    executable = described["executable"]
    if not os.access(executable, os.X_OK):
        return f"{executable}, the binary of {described['label']}, is not executable: run `chmod +x` on it"
    listed = _read_files(files)
    for seen, present, origin in listed:
        if origin == "source" and Path(present).is_dir():
            return (
                f"the source directory {seen} is among the runfiles of {described['label']}: Bazel does not notice "
                f'changes in it, and stale data would be taken for fresh. Use glob(["{Path(seen).name}/**"]) instead'
            )
    pairs = [(seen, present) for seen, present, _ in listed]
    Path(output).write_text(code_digest(pairs, described["environment"]) + "\n")
    return ""


def code_digest(files: Iterable[tuple[str, str]], environment: Mapping[str, str] | None = None) -> str:
    """Returns the digest of files and environment, in hexadecimal.

    Args:
        files: The path of each as the job sees it, and where it is now; empty for an empty file.
        environment: The variables that the program's target sets.
    """
    digest = hashlib.sha256()
    for seen, content in sorted({(_stable_path(seen), _content_digest(present)) for seen, present in _expanded(files)}):
        digest.update(f"{len(seen.encode())} {seen} {content}\n".encode())
    if environment:
        digest.update(f"environment {json.dumps(dict(environment), sort_keys=True)}\n".encode())
    return digest.hexdigest()


def _expanded(files: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yields the files, with folders replaced by what is in them."""
    for seen, present in files:
        folder = Path(present)
        if present and folder.is_dir():
            for path in folder.rglob("*"):
                if not path.is_dir() and not _is_bytecode(path.as_posix()):
                    yield f"{seen}/{path.relative_to(folder).as_posix()}", str(path)
        elif not _is_bytecode(seen):
            yield seen, present


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


def _content_digest(present: str) -> str:
    """Returns the digest of a file's content; of a dangling link, that of where it points."""
    if not present:
        return hashlib.sha256(b"").hexdigest()
    path = Path(present)
    if path.is_symlink() and not path.exists():
        return "link " + hashlib.sha256(str(path.readlink()).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_files(path: str) -> list[tuple[str, str, str]]:
    lines = Path(path).read_text().split("\n")
    return list(zip(lines[:-1:3], lines[1::3], lines[2::3], strict=True))


if __name__ == "__main__":
    fault = main(sys.argv[1:])
    if fault:
        sys.exit(fault)
