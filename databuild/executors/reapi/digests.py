"""Blobs and their digests, which are SHA-256."""

from __future__ import annotations

import hashlib
from typing import Final

from google.protobuf.message import Message

from databuild.executors.reapi.remote_execution_pb2 import Digest
from databuild.tuples import NamedTuple

_READ_BYTES: Final = 1 << 20


class Blob(NamedTuple):
    """Content to send.

    Attributes:
        digest: Its digest.
        data: The content, if it is in memory.
        path: The file that has it otherwise.
    """

    digest: Digest
    data: bytes | None = None
    path: str = ""


def blob(data: bytes) -> Blob:
    return Blob(Digest(hash=hashlib.sha256(data).hexdigest(), size_bytes=len(data)), data)


def message_blob(message: Message) -> Blob:
    return blob(message.SerializeToString(deterministic=True))


def file_digest(path: str) -> Digest:
    """Returns the digest of a file, which it reads in pieces.

    Raises:
        OSError: The file cannot be read.
    """
    content = hashlib.sha256()
    size = 0
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        while piece := file.read(_READ_BYTES):
            content.update(piece)
            size += len(piece)
    return Digest(hash=content.hexdigest(), size_bytes=size)
