"""Ids of runs, which follow from the ids of builds and job runs, so that an event that is sent again has the same."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp


def run_id(name: str, time: Timestamp) -> str:
    """Returns the id of a run: a UUID of version 7 (RFC 9562) whose random bits are a hash.

    OpenLineage recommends this version, since its ids are in the order of time.

    Args:
        name: The id of the build or of the job run.
        time: The time of its first event.
    """
    milliseconds = time.seconds * 1000 + time.nanos // 1_000_000
    digest = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=10).digest(), "big")
    bits = (milliseconds & (1 << 48) - 1) << 80 | digest
    bits = bits & ~(0xF << 76) | 7 << 76
    bits = bits & ~(0x3 << 62) | 2 << 62
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
