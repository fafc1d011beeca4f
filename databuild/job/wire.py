"""Wire format of JobRequest and JobResponse (proto/databuild/v1/job.proto), without the protobuf package.

A job runs with the packages of its author, which may lack protobuf or have any version of it. The format:
https://protobuf.dev/programming-guides/encoding/. Unknown fields are skipped, as protobuf does.
"""

from __future__ import annotations

# `dataclasses` and `typing` take longer to import than a worker otherwise takes to start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import BinaryIO

    from databuild.job.answers import Config

_VARINT, _FIXED64, _LENGTH, _GROUP, _END_GROUP, _FIXED32 = range(6)
_CONTINUATION_BIT = 0x80
_VARINT_BYTES = 10
_UINT32_BYTES = 5
_INT64_BITS = 64
_USER = 1
"""FAILURE_CATEGORY_USER of proto/databuild/v1/partition.proto."""
_MATERIALIZE = 1
_PROTOCOL_VERSION = 1


class WireError(ValueError):
    """The bytes are not a valid message."""


class Request:
    """A JobRequest.

    Attributes:
        request_id: The id that the response repeats.
        kind: `configure` or `execute`; empty for an unknown kind.
        refs: The refs to configure.
        args: The arguments of the run.
        env: The environment variables of the request.
    """

    __slots__ = ("args", "env", "kind", "refs", "request_id")

    def __init__(self) -> None:
        self.request_id = 0
        self.kind = ""
        self.refs: list[str] = []
        self.args: list[str] = []
        self.env: dict[str, str] = {}


def read_framed(stream: BinaryIO) -> bytes | None:
    """Reads a length and then a message of that length; returns None at the end of the stream.

    Raises:
        EOFError: The stream ends within a message.
        WireError: The length is invalid.
    """
    prefix = bytearray()
    while not prefix or prefix[-1] >= _CONTINUATION_BIT:
        byte = stream.read(1)
        if not byte:
            if prefix:
                raise EOFError("the stream of requests ends within a length")
            return None
        prefix += byte
        if len(prefix) > _VARINT_BYTES:
            raise WireError("the stream of requests has an invalid length")
    size, _ = _read_varint(prefix, 0)
    data = stream.read(size)
    if len(data) < size:
        raise EOFError("the stream of requests ends within a request")
    return data


def write_framed(stream: BinaryIO, message: bytes) -> None:
    """Writes the length of a message and the message, and flushes the stream."""
    stream.write(_varint(len(message)) + message)
    stream.flush()


def parse_request(data: bytes) -> Request:
    """Parses a JobRequest.

    Raises:
        WireError: The bytes are not a JobRequest.
    """
    request = Request()
    for number, wire_type, value in _fields(data):
        if number == 1 and wire_type == _VARINT:
            request.request_id = _signed(value)
        elif number == 2 and wire_type == _LENGTH:
            # Of a oneof, the last field on the wire is set. A message that occurs twice is merged.
            if request.kind != "configure":
                request.kind, request.args, request.env = "configure", [], {}
            request.refs += [_ref(element) for element in _repeated(value, 1)]
            request.env.update(_entry(element) for element in _repeated(value, 40))
        elif number == 3 and wire_type == _LENGTH:
            if request.kind != "execute":
                request.kind, request.refs, request.env = "execute", [], {}
            request.args += [_text(element) for element in _repeated(value, 1)]
            request.env.update(_entry(element) for element in _repeated(value, 2))
    return request


def execute_request(request_id: int, args: Sequence[str], env: Mapping[str, str]) -> bytes:
    """Returns a JobRequest to run a job."""
    parts = [_bytes_field(1, arg.encode()) for arg in args] + [_variable(*variable) for variable in env.items()]
    return _varint_field(1, request_id) + _bytes_field(3, b"".join(parts))


def exit_code_of(response: bytes) -> int:
    """Returns the exit code in a JobResponse to an execute request; 1 for a failure."""
    for number, _, value in _fields(response):
        if number == 3 and isinstance(value, bytes):
            return next((_signed(code) for inner, _, code in _fields(value) if inner == 1), 0)
    return 1


def greeting() -> bytes:
    """Returns the first JobResponse of a worker."""
    return _bytes_field(40, _varint_field(1, _PROTOCOL_VERSION))


def configured(request_id: int, configs: list[Config]) -> bytes:
    """Returns the JobResponse to a configure request.

    Raises:
        UnicodeEncodeError: A text has a lone surrogate, such as that of a file name that is not UTF-8.
    """
    return _response(request_id, 2, b"".join(_bytes_field(1, _config(config)) for config in configs))


def executed(request_id: int, exit_code: int) -> bytes:
    return _response(request_id, 3, _varint_field(1, exit_code))


def failed(request_id: int, message: str) -> bytes:
    """Returns the JobResponse to a request that could not be served."""
    return _response(request_id, 4, _varint_field(1, _USER) + _text_field(2, message, errors="backslashreplace"))


def _response(request_id: int, number: int, message: bytes) -> bytes:
    return _varint_field(1, request_id) + _bytes_field(number, message)


def _config(config: Config) -> bytes:
    inputs = [(_MATERIALIZE, ref) for ref in config.materialize] + [(0, ref) for ref in config.query]
    return b"".join(
        (
            *(_bytes_field(1, _text_field(1, ref)) for ref in config.outputs),
            *(_bytes_field(2, _varint_field(1, kind) + _bytes_field(3, _text_field(1, ref))) for kind, ref in inputs),
            # Elements of lists, and keys and values of maps, are written even if they are empty.
            *(_bytes_field(3, arg.encode()) for arg in config.args),
            *(
                _bytes_field(4, _bytes_field(1, name.encode()) + _bytes_field(2, value.encode()))
                for name, value in sorted(config.env.items())
            ),
        )
    )


def _variable(name: str, value: str) -> bytes:
    return _bytes_field(2, _bytes_field(1, name.encode()) + _bytes_field(2, value.encode()))


def _bytes_field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH) + _varint(len(value)) + value


def _text_field(number: int, text: str, errors: str = "strict") -> bytes:
    """Encodes a text; returns nothing if it is empty, the default."""
    return _bytes_field(number, text.encode(errors=errors)) if text else b""


def _varint_field(number: int, value: int) -> bytes:
    """Encodes an integer, a negative one in 64 bits; returns nothing for 0, the default."""
    return _varint(number << 3 | _VARINT) + _varint(value % (1 << _INT64_BITS)) if value else b""


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= _CONTINUATION_BIT:
        encoded.append(value & 0x7F | _CONTINUATION_BIT)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _fields(data: bytes) -> Iterator[tuple[int, int, bytes | int]]:
    """Yields number, wire type and value of each field."""
    position, end = 0, len(data)
    while position < end:
        tag = data[position]
        # Most fields are short texts and messages with low numbers: their tag and their length are one byte each.
        if tag & 7 == _LENGTH and 1 << 3 <= tag < _CONTINUATION_BIT and position + 1 < end:
            size = data[position + 1]
            start = position + 2
            if size < _CONTINUATION_BIT and start + size <= end:
                position = start + size
                yield tag >> 3, _LENGTH, data[start:position]
                continue
        number, wire_type, value, position = _field(data, position)
        if wire_type == _END_GROUP:
            raise WireError(f"a group of field {number} ends, but has not begun")
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
        raise WireError(f"the wire type {wire_type} before byte {position} does not exist")
    if position + size > len(data):
        raise WireError(f"field {number} is truncated")
    return number, wire_type, data[position : position + size], position + size


def _after_group(data: bytes, position: int, number: int) -> int:
    """Skips a group, an old form of nested messages, and returns the position after it. No message here has one."""
    open_groups = [number]
    while open_groups:
        inner, wire_type, after = _read_tag(data, position)
        if wire_type == _GROUP:
            open_groups.append(inner)
            position = after
        else:
            inner, wire_type, _, position = _field(data, position)
            if wire_type == _END_GROUP and inner != open_groups.pop():
                raise WireError(f"a group ends that is not that of field {number}")
    return position


def _read_tag(data: bytes, position: int) -> tuple[int, int, int]:
    """Returns number and wire type of the field at a position, and the position of its value."""
    tag, position = _read_varint(data, position, _UINT32_BYTES)
    if not 1 <= tag >> 3 < 1 << 29:
        raise WireError(f"the field number {tag >> 3} before byte {position} is invalid")
    return tag >> 3, tag & 7, position


def _read_varint(data: bytes | bytearray, position: int, max_bytes: int = _VARINT_BYTES) -> tuple[int, int]:
    """Returns the low 64 bits of the integer at a position, and the position after it."""
    value = 0
    for index, byte in enumerate(data[position : position + max_bytes]):
        value |= (byte & 0x7F) << 7 * index
        if byte < _CONTINUATION_BIT:
            return value % (1 << _INT64_BITS), position + index + 1
    raise WireError(f"the integer at byte {position} is truncated or too long")


def _repeated(data: bytes | int, number: int) -> Iterator[bytes]:
    """Yields the values of a repeated field of messages or texts."""
    assert isinstance(data, bytes)
    for field_number, wire_type, value in _fields(data):
        if field_number == number and isinstance(value, bytes) and wire_type == _LENGTH:
            yield value


def _ref(data: bytes) -> str:
    ref = ""
    for number, wire_type, value in _fields(data):
        if number == 1 and wire_type == _LENGTH and isinstance(value, bytes):
            ref = _text(value)
    return ref


def _entry(data: bytes) -> tuple[str, str]:
    """Returns the key and the value of an entry: of each the last if it occurs several times, empty if it is absent."""
    key = text = ""
    for number, wire_type, value in _fields(data):
        if wire_type == _LENGTH and isinstance(value, bytes):
            if number == 1:
                key = _text(value)
            elif number == 2:
                text = _text(value)
    return key, text


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise WireError(f"{data[:50]!r} is not UTF-8") from None


def _signed(value: bytes | int) -> int:
    assert isinstance(value, int)
    return value - (1 << _INT64_BITS) if value >> _INT64_BITS - 1 else value
