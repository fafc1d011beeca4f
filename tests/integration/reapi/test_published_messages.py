"""The messages of the executor are those of the published APIs on the wire. The wheel of buildstream has the latter."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

from databuild.executors.reapi import remote_execution_pb2 as api

FILES = (
    "build/bazel/remote/execution/v2/remote_execution.proto",
    "build/bazel/semver/semver.proto",
    "google/bytestream/bytestream.proto",
    "google/longrunning/operations.proto",
    "google/rpc/status.proto",
)
NOT_IN_THE_WHEEL = {"PreconditionFailure", "PreconditionFailure.Violation"}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> FileDescriptorSet:
    """Returns the published messages."""
    spec = importlib.util.find_spec("buildstream")
    assert spec is not None
    assert spec.origin is not None, "install the locked package buildstream: tools/dev/venv.sh"
    root = Path(os.path.realpath(spec.origin)).parent / "_protos"
    output = tmp_path_factory.mktemp("protos") / "published.binpb"
    well_known = resources.files("grpc_tools") / "_proto"
    code = protoc.main(["protoc", f"-I{root}", f"-I{well_known}", f"--descriptor_set_out={output}", *FILES])
    assert code == 0
    descriptors = FileDescriptorSet()
    descriptors.ParseFromString(output.read_bytes())
    return descriptors


def messages(declared: Iterable[DescriptorProto], prefix: str = "") -> Iterator[tuple[str, DescriptorProto]]:
    for message in declared:
        yield prefix + message.name, message
        yield from messages(message.nested_type, f"{prefix}{message.name}.")


def fields(message: DescriptorProto) -> dict[str, tuple[int, int, int, str]]:
    return {field.name: (field.number, field.type, field.label, kind(field)) for field in message.field}


def kind(field: FieldDescriptorProto) -> str:
    return field.type_name.rpartition(".")[2]


def enums(declared: Iterable[DescriptorProto]) -> dict[str, dict[str, int]]:
    return {
        f"{name}.{enum.name}": {value.name: value.number for value in enum.value}
        for name, message in messages(declared)
        for enum in message.enum_type
    }


def test_fields_have_the_published_numbers_and_types(published: FileDescriptorSet) -> None:
    known = {name: message for file in published.file for name, message in messages(file.message_type)}

    compared = 0
    for name, message in messages(_own().message_type):
        if name in NOT_IN_THE_WHEEL:
            continue
        for field, description in fields(message).items():
            assert fields(known[name])[field] == description, f"{name}.{field}"
            compared += 1
    assert compared > 80


def test_enums_have_the_published_values(published: FileDescriptorSet) -> None:
    known = enums(message for file in published.file for message in file.message_type)

    for name, values in enums(_own().message_type).items():
        assert values.items() <= known[name].items(), name


def test_the_messages_can_be_loaded_beside_the_published_ones(published: FileDescriptorSet) -> None:
    # protobuf accepts the name of a file, and the full name of a message, only once.
    assert _own().package not in {file.package for file in published.file}
    assert _own().name not in {file.name for file in published.file}


def _own() -> FileDescriptorProto:
    own = FileDescriptorProto()
    api.DESCRIPTOR.CopyToProto(own)
    return own
