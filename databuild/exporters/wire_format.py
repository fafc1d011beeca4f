"""Messages of protobuf that are composed of serialized parts.

The fields of a serialized message follow each other (https://protobuf.dev/programming-guides/encoding), so parts that
are serialized already need no message around them: a message would copy them, and keep the memory of every value that
its fields had before.
"""

from __future__ import annotations

from typing import Final

_LENGTH_DELIMITED: Final = 2
_CONTINUED: Final = 0x80


def varint(number: int) -> bytes:
    """Returns a number that is not negative."""
    if number < _CONTINUED:
        return bytes((number,))
    encoded = bytearray()
    while number >= _CONTINUED:
        encoded.append(number & (_CONTINUED - 1) | _CONTINUED)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def delimited(field: int, value: bytes) -> bytes:
    """Returns a field whose value is a serialized message, bytes, or a text in UTF-8.

    Args:
        field: The number of the field.
        value: The value.
    """
    return varint(field << 3 | _LENGTH_DELIMITED) + varint(len(value)) + value
