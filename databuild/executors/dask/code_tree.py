"""Archives of the code of a job, and the comparison of code on two machines."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator
from typing import Final

from databuild.executors.code_files import TREE, code_files
from databuild.executors.executor import Code

_READ_BYTES: Final = 1 << 20


def fingerprint(code: Code) -> str:
    """Returns a hash of the paths, sizes and modification times of the files of a program.

    It is equal on two machines if they share the files, and needs no file to be read.

    Raises:
        OSError: The list or a file cannot be read.
    """
    found = hashlib.sha256()
    for file in code_files(code):
        modified = os.stat(file.source).st_mtime_ns  # noqa: PTH116
        found.update(f"{file.path}\0{file.size}\0{modified}\0{file.executable:d}\n".encode(errors="surrogateescape"))
    return found.hexdigest()


def archive(code: Code) -> Iterator[bytes]:
    """Yields an archive (tar) of the files of a program, in parts of about 1 MiB.

    Raises:
        OSError: The list or a file cannot be read, or changes meanwhile.
    """
    part = bytearray()
    for file in code_files(code):
        member = tarfile.TarInfo(f"{TREE}/{file.path}")
        member.size = file.size
        member.mode = 0o755 if file.executable else 0o644
        part += member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        left = file.size
        with open(file.source, "rb") as content:  # noqa: PTH123
            while left:
                data = content.read(min(left, _READ_BYTES))
                if not data:
                    raise OSError(f"{file.source} became shorter while it was read")
                left -= len(data)
                part += data
                if len(part) >= _READ_BYTES:
                    yield bytes(part)
                    part.clear()
        part += bytes(-file.size % tarfile.BLOCKSIZE)
    yield bytes(part) + bytes(2 * tarfile.BLOCKSIZE)


def unpack(path: str, sha256: str, tree: str) -> None:
    """Unpacks an archive into a new directory.

    Args:
        path: The archive.
        sha256: Its hash.
        tree: The directory.

    Raises:
        ValueError: The hash is wrong, or this is not an archive.
        OSError: A file cannot be written.
    """
    found = hashlib.sha256()
    with open(path, "rb") as file:  # noqa: PTH123
        while data := file.read(_READ_BYTES):
            found.update(data)
        if found.hexdigest() != sha256:
            raise ValueError("its hash is wrong")
        file.seek(0)
        try:
            with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as archived:
                archived.extractall(tree, filter="data")
        except tarfile.TarError as error:
            raise ValueError(str(error)) from error
