"""Ids of runs, which follow from the ids of builds and job runs, so that an event that is sent again has the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

_VARIANT: Final[Mapping[str, str]] = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}
"""The hexadecimal digits whose upper two bits are those of the variant, by a digit with the lower two bits."""


def run_id(name: str, time: Timestamp) -> str:
    """Returns the id of a run: a UUID of version 7 (RFC 9562) whose random bits are a hash.

    OpenLineage recommends this version, since its ids are in the order of time.

    Args:
        name: The id of the build or of the job run.
        time: The time of its first event.
    """
    moment = f"{time.seconds * 1000 + time.nanos // 1_000_000:012x}"
    digest = hashlib.blake2b(name.encode(), digest_size=10).hexdigest()
    return f"{moment[:8]}-{moment[8:]}-7{digest[1:4]}-{_VARIANT[digest[4]]}{digest[5:8]}-{digest[8:]}"
