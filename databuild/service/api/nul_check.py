"""Rejects NUL characters in requests. PostgreSQL texts, process arguments and file names cannot contain them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from databuild.errors import InvalidRequestError


def check_no_nul(message: Message) -> None:
    """Checks all texts in a message and in the messages it contains.

    Raises:
        InvalidRequestError: A text has a NUL character.
    """
    for field, value in message.ListFields():
        for item in _items(field, value):
            if isinstance(item, str):
                if "\0" in item:
                    raise InvalidRequestError(f"the field {field.name!r} has a NUL character")
            elif isinstance(item, Message):
                check_no_nul(item)


def _items(field: FieldDescriptor, value: Any) -> Iterable[Any]:
    """Returns the values of a field: one, several for a repeated field, the keys and values of a map."""
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return (*value.keys(), *value.values())
    return value if field.is_repeated else (value,)
