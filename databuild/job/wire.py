"""The wire format of JobRequest and JobResponse, proto/databuild/v1/job.proto, read and written without protobuf.

A job runs with the packages of its author, of which protobuf need not be one, or may be of any version. The format:
https://protobuf.dev/programming-guides/encoding/. What a newer sender adds is passed over, as protobuf does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from databuild.job.answers import Config

_VARINT, _FIXED64, _LENGTH, _GROUP, _END_GROUP, _FIXED32 = range(6)
_CONTINUES = 0x80
_VARINT_BYTES = 10
_UINT32_BYTES = 5
_INT64_BITS = 64
_USER = 1
"""FAILURE_CATEGORY_USER of proto/databuild/v1/partition.proto."""
_MATERIALIZE = 1


class WireError(ValueError):
    """Bytes that are not the message they should be."""


@dataclass(kw_only=True)
class Request:
    """A JobRequest.

    Attributes:
        request_id: What the response repeats.
        kind: `configure` or `execute`; empty where the request asks for neither that is known.
        refs: What to configure.
        args: The arguments of the run.
        env: The environment variables of the run.
    """

    request_id: int = 0
    kind: str = ""
    refs: list[str] = field(default_factory=list)
    args: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)


def read_framed(stream: BinaryIO) -> bytes | None:
    """Reads one message after its length; None at the end of the stream.

    Raises:
        EOFError: The stream ends within a message.
        WireError: There is no length.
    """
    prefix = bytearray()
    while not prefix or prefix[-1] >= _CONTINUES:
        byte = stream.read(1)
        if not byte:
            if prefix:
                raise EOFError("the stream of requests ends within a length")
            return None
        prefix += byte
        if len(prefix) > _VARINT_BYTES:
            raise WireError("the stream of requests has no length where one should be")
    size, _ = _read_varint(prefix, 0)
    data = stream.read(size)
    if len(data) < size:
        raise EOFError("the stream of requests ends within a request")
    return data


def write_framed(stream: BinaryIO, message: bytes) -> None:
    """Writes one message after its length, at once."""
    stream.write(_varint(len(message)) + message)
    stream.flush()


def parse_request(data: bytes) -> Request:
    """Reads a JobRequest.

    Raises:
        WireError: It is none.
    """
    request = Request()
    for number, wire_type, value in _fields(data):
        if number == 1 and wire_type == _VARINT:
            request.request_id = _signed(value)
        elif number == 2 and wire_type == _LENGTH:
            # Of a oneof, the last holds; what comes twice is merged.
            request.kind, request.args, request.env = "configure", [], {}
            request.refs += [_ref(one) for one in _repeated(value, 1)]
        elif number == 3 and wire_type == _LENGTH:
            request.kind, request.refs = "execute", []
            request.args += [_text(one) for one in _repeated(value, 1)]
            request.env.update(_entry(one) for one in _repeated(value, 2))
    return request


def configured(request_id: int, configs: list[Config]) -> bytes:
    """Returns the JobResponse to a configure request.

    Raises:
        UnicodeEncodeError: A text is not Unicode, as a file name may be.
    """
    return _response(request_id, 2, b"".join(_bytes_field(1, _config(config)) for config in configs))


def executed(request_id: int, exit_code: int) -> bytes:
    """Returns the JobResponse to an execute request."""
    return _response(request_id, 3, _varint_field(1, exit_code))


def failed(request_id: int, message: str) -> bytes:
    """Returns the JobResponse that says why a request could not be served."""
    return _response(request_id, 4, _varint_field(1, _USER) + _text_field(2, message, errors="backslashreplace"))


def _response(request_id: int, number: int, message: bytes) -> bytes:
    return _varint_field(1, request_id) + _bytes_field(number, message)


def _config(config: Config) -> bytes:
    inputs = [(_MATERIALIZE, ref) for ref in config.materialize] + [(0, ref) for ref in config.query]
    return b"".join(
        (
            *(_bytes_field(1, _text_field(1, ref)) for ref in config.outputs),
            *(_bytes_field(2, _varint_field(1, kind) + _bytes_field(3, _text_field(1, ref))) for kind, ref in inputs),
            # Elements of lists, and names and values of maps, are there even where they are empty.
            *(_bytes_field(3, arg.encode()) for arg in config.args),
            *(
                _bytes_field(4, _bytes_field(1, name.encode()) + _bytes_field(2, value.encode()))
                for name, value in sorted(config.env.items())
            ),
        )
    )


def _bytes_field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH) + _varint(len(value)) + value


def _text_field(number: int, text: str, errors: str = "strict") -> bytes:
    """Returns a text; nothing where it is empty."""
    return _bytes_field(number, text.encode(errors=errors)) if text else b""


def _varint_field(number: int, value: int) -> bytes:
    """Returns an integer, 64 bits of it where it is negative; nothing where it is 0."""
    return _varint(number << 3 | _VARINT) + _varint(value % (1 << _INT64_BITS)) if value else b""


def _varint(value: int) -> bytes:
    written = bytearray()
    while value >= _CONTINUES:
        written.append(value & 0x7F | _CONTINUES)
        value >>= 7
    written.append(value)
    return bytes(written)


def _fields(data: bytes) -> Iterator[tuple[int, int, bytes | int]]:
    """Returns number, wire type and value of each field."""
    position = 0
    while position < len(data):
        number, wire_type, value, position = _field(data, position)
        if wire_type == _END_GROUP:
            raise WireError(f"a group ends that has not begun, as field {number}")
        yield number, wire_type, value


def _field(data: bytes, position: int) -> tuple[int, int, bytes | int, int]:
    """Returns number, wire type and value of the field at a position, and the position after it."""
    number, wire_type, position = _read_tag(data, position)
    if wire_type == _VARINT:
        value, position = _read_varint(data, position)
        return number, wire_type, value, position
    if wire_type == _GROUP:
        return number, wire_type, b"", _after_group(data, position, number)
    if wire_type == _LENGTH:
        size, position = _read_varint(data, position, _UINT32_BYTES)
    elif wire_type in {_FIXED64, _FIXED32}:
        size = 8 if wire_type == _FIXED64 else 4
    elif wire_type == _END_GROUP:
        return number, wire_type, b"", position
    else:
        raise WireError(f"there is no wire type {wire_type}, before byte {position}")
    if position + size > len(data):
        raise WireError(f"field {number} is cut off")
    return number, wire_type, data[position : position + size], position + size


def _after_group(data: bytes, position: int, number: int) -> int:
    """Returns the position after a group, the older form of nested messages, which none of these messages has."""
    open_groups = [number]
    while open_groups:
        inner, wire_type, after = _read_tag(data, position)
        if wire_type == _GROUP:
            open_groups.append(inner)
            position = after
        else:
            inner, wire_type, _, position = _field(data, position)
            if wire_type == _END_GROUP and inner != open_groups.pop():
                raise WireError(f"a group ends that is not field {number}")
    return position


def _read_tag(data: bytes, position: int) -> tuple[int, int, int]:
    """Returns number and wire type of the field at a position, and the position of its value."""
    tag, position = _read_varint(data, position, _UINT32_BYTES)
    if not 1 <= tag >> 3 < 1 << 29:
        raise WireError(f"no field has the number {tag >> 3}, before byte {position}")
    return tag >> 3, tag & 7, position


def _read_varint(data: bytes | bytearray, position: int, most: int = _VARINT_BYTES) -> tuple[int, int]:
    """Returns the 64 bits of an integer at a position, of so many bytes at most, and the position after it."""
    value = 0
    for place, byte in enumerate(data[position : position + most]):
        value |= (byte & 0x7F) << 7 * place
        if byte < _CONTINUES:
            return value % (1 << _INT64_BITS), position + place + 1
    raise WireError(f"an integer is cut off or too long, from byte {position} on")


def _repeated(data: bytes | int, number: int) -> Iterator[bytes]:
    """Returns the values of a repeated field of messages or texts."""
    assert isinstance(data, bytes)
    for found, wire_type, value in _fields(data):
        if found == number and isinstance(value, bytes) and wire_type == _LENGTH:
            yield value


def _ref(data: bytes) -> str:
    return _last_text(data, 1)


def _entry(data: bytes) -> tuple[str, str]:
    return _last_text(data, 1), _last_text(data, 2)


def _last_text(data: bytes, number: int) -> str:
    """Returns the text of a field: the last, where it is there more than once, and empty without any."""
    texts = [_text(value) for value in _repeated(data, number)]
    return texts[-1] if texts else ""


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise WireError(f"{data[:50]!r} is not UTF-8") from None


def _signed(value: bytes | int) -> int:
    assert isinstance(value, int)
    return value - (1 << _INT64_BITS) if value >> _INT64_BITS - 1 else value
