"""Hashes a job's code: code_digest.py OUTPUT PARAMETERS.

PARAMETERS is a file with pairs of lines, the path of a file as the job will see it and the path where it is now, which
is empty for an empty file. The digest covers what the job sees and where, and nothing else: neither order, nor times,
nor bytecode, whose bytes depend on the machine.
"""

import hashlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path


def code_digest(files: Iterable[tuple[str, str]]) -> str:
    """Returns the digest of files, in hexadecimal.

    Args:
        files: The path of each as the job sees it, and where it is now; empty for an empty file.
    """
    digest = hashlib.sha256()
    for seen, present in sorted(set(_expanded(files))):
        digest.update(f"{len(seen.encode())} {seen} {_content_digest(present)}\n".encode())
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


def _read_parameters(path: str) -> list[tuple[str, str]]:
    lines = Path(path).read_text().split("\n")
    return list(zip(lines[:-1:2], lines[1::2], strict=True))


if __name__ == "__main__":
    output, parameters = sys.argv[1:]
    Path(output).write_text(code_digest(_read_parameters(parameters)) + "\n")
