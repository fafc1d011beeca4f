"""The digests of a program with its runfiles, made once and kept on disk by the digest of the code."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError

from databuild.executors.code_files import CodeFile, code_files
from databuild.executors.executor import Code
from databuild.executors.reapi import remote_execution_pb2 as api
from databuild.executors.reapi.code_tree_pb2 import CodeTree
from databuild.executors.reapi.digests import Blob, blob, file_digest, message_blob
from databuild.tuples import NamedTuple

_SUFFIX: Final = ".code_tree_1"
"""With the version of the content: other versions do not read it."""

_MAX_AGE_SECONDS: Final = 30 * 24 * 3600.0


class HashedCode(NamedTuple):
    """A program as blobs.

    Attributes:
        root: The digest of its runfiles root.
        blobs: Its files and directories.
    """

    root: api.Digest
    blobs: list[Blob]


class CodeTrees:
    """Hashes programs; blocks, so it is for threads."""

    def __init__(self, directory: str) -> None:
        """Creates nothing yet.

        Args:
            directory: The directory for the digests; empty to keep none.
        """
        self._directory = directory

    def hashed(self, code: Code) -> HashedCode:
        """Returns a program as blobs; reads its files only if no digests are kept.

        Raises:
            OSError: A file cannot be read.
        """
        path = self._path(code)
        tree = _read(path) if path else None
        if tree is None:
            tree = _hash_tree(code)
            if path:
                self._keep(path, tree)
        directories = [blob(data) for data in tree.directories]
        files = [Blob(file.digest, None, f"{code.root}/{file.path}") for file in tree.files]
        return HashedCode(tree.root, files + directories)

    def _path(self, code: Code) -> str:
        name = hashlib.sha256(code.digest.encode()).hexdigest()
        return os.path.join(self._directory, name + _SUFFIX) if self._directory else ""  # noqa: PTH118

    def _keep(self, path: str, tree: CodeTree) -> None:
        """Writes the digests, and removes those that no build has used for a month. A full disk is no error."""
        with contextlib.suppress(OSError):
            directory = Path(self._directory)
            directory.mkdir(parents=True, exist_ok=True)
            partial = Path(f"{path}.{os.getpid()}")
            partial.write_bytes(tree.SerializeToString())
            partial.replace(path)
            for other in directory.glob(f"*{_SUFFIX}*"):
                with contextlib.suppress(FileNotFoundError):  # another build removes it as well
                    if other.stat().st_mtime < time.time() - _MAX_AGE_SECONDS:
                        other.unlink()


def _read(path: str) -> CodeTree | None:
    """Returns the digests in a file, and marks it as used; None if there are none."""
    try:
        tree = CodeTree.FromString(Path(path).read_bytes())
        os.utime(path)
    except (OSError, DecodeError):
        return None
    whole = bool(tree.directories) and blob(tree.directories[-1]).digest == tree.root
    return tree if whole else None


def _hash_tree(code: Code) -> CodeTree:
    tree = CodeTree()
    root = _Folder()
    for file in code_files(code):
        digest = file_digest(file.source)
        tree.files.add(path=file.path, digest=digest)
        root.add(file, digest)
    tree.directories.extend(root.serialized())
    tree.root.CopyFrom(blob(tree.directories[-1]).digest)
    return tree


class _Folder:
    """A directory of a program."""

    def __init__(self) -> None:
        self._files: list[api.FileNode] = []
        self._folders: dict[str, _Folder] = {}

    def add(self, file: CodeFile, digest: api.Digest) -> None:
        *parents, name = file.path.split("/")
        folder = self
        for parent in parents:
            folder = folder._folders.setdefault(parent, _Folder())
        folder._files.append(api.FileNode(name=name, digest=digest, is_executable=file.executable))  # noqa: SLF001

    def serialized(self) -> Iterator[bytes]:
        """Yields the directories below this one, then this one."""
        message = api.Directory()
        message.files.extend(sorted(self._files, key=lambda file: file.name))
        for name, folder in sorted(self._folders.items()):
            *below, last = folder.serialized()
            yield from below
            yield last
            message.directories.add(name=name, digest=blob(last).digest)
        own = message_blob(message).data
        assert own is not None
        yield own
