"""What no text of a request may hold: a NUL character, which event logs and processes cannot take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from databuild.errors import InvalidRequestError


def check_texts(message: Message) -> None:
    """Checks all texts of a request.

    Raises:
        InvalidRequestError: One has a NUL character.
    """
    for field, value in message.ListFields():
        for one in _values(field, value):
            if isinstance(one, str):
                if "\0" in one:
                    raise InvalidRequestError(f"the field {field.name!r} has a NUL character")
            elif isinstance(one, Message):
                check_texts(one)


def _values(field: FieldDescriptor, value: Any) -> Iterable[Any]:
    """Returns what a field holds; of a map, its keys and values."""
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return (*value.keys(), *value.values())
    return value if field.is_repeated else (value,)
