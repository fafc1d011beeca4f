"""The wire format of the worker, compared with the generated messages, which a job does not have."""

from __future__ import annotations

import dataclasses
import io

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from databuild.job import Config
from databuild.job.wire import (
    WireError,
    configured,
    executed,
    failed,
    parse_request,
    read_framed,
    write_framed,
)
from databuild.v1 import job_pb2, partition_pb2

TEXTS = st.text(st.characters(codec="utf-8"), max_size=300)
MAPS = st.dictionaries(TEXTS, TEXTS, max_size=4)
INT64 = st.integers(-(2**63), 2**63 - 1)


def config_message(config: Config) -> job_pb2.JobConfig:
    inputs = [(job_pb2.MATERIALIZE, ref) for ref in config.materialize] + [(job_pb2.QUERY, ref) for ref in config.query]
    return job_pb2.JobConfig(
        outputs=[partition_pb2.PartitionRef(str=ref) for ref in config.outputs],
        inputs=[
            job_pb2.DataDep(dep_type_code=kind, partition_ref=partition_pb2.PartitionRef(str=ref))
            for kind, ref in inputs
        ],
        args=config.args,
        env=config.env,
    )


@st.composite
def configs(draw: st.DrawFn) -> Config:
    some = st.lists(TEXTS, max_size=3)
    outputs = draw(st.lists(TEXTS, min_size=1, max_size=3))
    return Config(outputs=outputs, materialize=draw(some), query=draw(some), args=draw(some), env=draw(MAPS))


@given(INT64, st.lists(configs(), max_size=3))
@settings(deadline=None)
def test_a_configure_response_has_the_bytes_of_protobuf(request_id: int, answer: list[Config]) -> None:
    expected = job_pb2.JobResponse(request_id=request_id)
    expected.configure.SetInParent()
    expected.configure.configs.extend(map(config_message, answer))

    written = configured(request_id, answer)

    assert job_pb2.JobResponse.FromString(written) == expected
    if all(len(config.env) < 2 for config in answer):  # the order of a map is not fixed
        assert written == expected.SerializeToString()


@given(INT64, st.integers(-(2**31), 2**31 - 1))
@settings(deadline=None)
def test_an_execute_response_has_the_bytes_of_protobuf(request_id: int, exit_code: int) -> None:
    expected = job_pb2.JobResponse(request_id=request_id)
    expected.execute.SetInParent()
    expected.execute.exit_code = exit_code

    assert executed(request_id, exit_code) == expected.SerializeToString()


@given(INT64, TEXTS)
@settings(deadline=None)
def test_a_failure_has_the_bytes_of_protobuf(request_id: int, message: str) -> None:
    expected = job_pb2.JobResponse(request_id=request_id)
    expected.failure.category = partition_pb2.FAILURE_CATEGORY_USER
    expected.failure.message = message

    assert failed(request_id, message) == expected.SerializeToString()


def test_a_failure_of_which_the_message_is_not_unicode_is_told() -> None:
    assert job_pb2.JobResponse.FromString(failed(1, "no file \udcff")).failure.message == "no file \\udcff"


@dataclasses.dataclass(kw_only=True)
class Values:
    """The values of a Request."""

    request_id: int
    kind: str = ""
    refs: list[str] = dataclasses.field(default_factory=list)
    args: list[str] = dataclasses.field(default_factory=list)
    env: dict[str, str] = dataclasses.field(default_factory=dict)


def read(data: bytes) -> Values:
    request = parse_request(data)
    return Values(**{field.name: getattr(request, field.name) for field in dataclasses.fields(Values)})


def values_of(message: job_pb2.JobRequest) -> Values:
    return Values(
        request_id=message.request_id,
        kind=message.WhichOneof("request") or "",
        refs=[ref.str for ref in message.configure.outputs],
        args=list(message.execute.args),
        env=dict(message.execute.env),
    )


@given(INT64, st.lists(TEXTS))
@settings(deadline=None)
def test_a_configure_request_is_read(request_id: int, refs: list[str]) -> None:
    message = job_pb2.JobRequest(request_id=request_id)
    message.configure.SetInParent()
    message.configure.outputs.extend(partition_pb2.PartitionRef(str=ref) for ref in refs)

    assert read(message.SerializeToString()) == Values(request_id=request_id, kind="configure", refs=refs)


@given(INT64, st.lists(TEXTS), MAPS)
@settings(deadline=None)
def test_an_execute_request_is_read(request_id: int, args: list[str], env: dict[str, str]) -> None:
    message = job_pb2.JobRequest(request_id=request_id)
    message.execute.SetInParent()
    message.execute.args.extend(args)
    message.execute.env.update(env)

    assert read(message.SerializeToString()) == Values(request_id=request_id, kind="execute", args=args, env=env)


UNKNOWN = (
    b"\x78\x96\x01",  # field 15, an integer
    b"\x79\x01\x02\x03\x04\x05\x06\x07\x08",  # 64 bits
    b"\x7a\x03abc",  # a length
    b"\x7b\x08\x01\x7b\x7c\x7c",  # a group in a group
    b"\x7d\x01\x02\x03\x04",  # 32 bits
    b"\xaa\x80\x01\x00",  # a large number
)


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_fields_of_a_newer_sender_are_skipped(unknown: bytes) -> None:
    execute = unknown + b"\x0a\x01x" + unknown + b"\x12\x06\x0a\x01A\x12\x011"
    data = unknown + b"\x08\x07" + unknown + b"\x1a" + bytes([len(execute)]) + execute + unknown

    assert read(data) == Values(request_id=7, kind="execute", args=["x"], env={"A": "1"})
    assert read(data) == values_of(job_pb2.JobRequest.FromString(data))


CONFIGURE_A, CONFIGURE_B, EXECUTE_X = b"\x12\x05\x0a\x03\x0a\x01a", b"\x12\x05\x0a\x03\x0a\x01b", b"\x1a\x03\x0a\x01x"

# Pieces of messages, so that their concatenation is often a valid message.
WHOLE = (*UNKNOWN, CONFIGURE_A, CONFIGURE_B, EXECUTE_X, b"\x08\x01", b"\x12\x00", b"\x1a\x00", b"\x0a\x00")
MAPPED = (b"\x12\x06\x0a\x01k\x12\x01v", b"\x1a\x04\x12\x02\x0a\x00")
BROKEN = (b"\x08", b"\x1a\x02", b"\x12\x02", b"\x12\x04\x0a\x02\x0a\xff", b"\x7c", b"\x7b", b"\x00", b"\x0e", b"\x0f")
LONG = (b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", b"\xf8\xff\xff\xff\x1f\x01", b"\x80\x00")
PIECES = st.sampled_from((*WHOLE, *MAPPED, *BROKEN, *LONG))


@given(st.lists(PIECES | st.binary(max_size=4), max_size=6).map(b"".join))
@example(CONFIGURE_A + CONFIGURE_B)
@example(CONFIGURE_A + EXECUTE_X)
@example(EXECUTE_X + CONFIGURE_A + CONFIGURE_B)
@example(CONFIGURE_A + EXECUTE_X + CONFIGURE_B)
@settings(deadline=None)
def test_bytes_are_what_they_are_for_protobuf(data: bytes) -> None:
    try:
        expected = values_of(job_pb2.JobRequest.FromString(data))
    except DecodeError:
        with pytest.raises(WireError):
            parse_request(data)
    else:
        assert read(data) == expected


@given(st.lists(st.binary(max_size=300), max_size=4))
@settings(deadline=None)
def test_messages_keep_their_length(messages: list[bytes]) -> None:
    stream = io.BytesIO()
    for message in messages:
        write_framed(stream, message)
    stream.seek(0)

    assert [read_framed(stream) for _ in messages] == messages
    assert read_framed(stream) is None


@pytest.mark.parametrize("cut", [b"\x05abc", b"\x85", b"\x01"])
def test_a_stream_that_ends_within_a_message_is_told_of(cut: bytes) -> None:
    with pytest.raises(EOFError, match="ends within"):
        read_framed(io.BytesIO(cut))


def test_a_stream_of_something_else_is_told_of() -> None:
    with pytest.raises(WireError, match="an invalid length"):
        read_framed(io.BytesIO(b"\xff" * 20))
