"""Published messages stay compatible with the golden list, and every element has a comment.

After an addition, `bazel build //databuild/v1:databuild_v1.binpb` and, in an environment with protobuf,
`python3 tests/proto/test_published_messages.py bazel-bin/databuild/v1/databuild_v1.binpb` update the list.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, MethodDescriptorProto

HERE = Path(__file__).parent
DESCRIPTORS = Path("databuild/v1/databuild_v1.binpb")
GOLDEN = HERE / "published.txt"
ERRORS = re.compile(r"^ Errors: (none|[A-Z_]+ \()", re.MULTILINE)


def files(path: Path) -> Sequence[FileDescriptorProto]:
    found: Sequence[FileDescriptorProto] = descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes()).file
    return found


def messages(prefix: str, declared: Iterable[DescriptorProto]) -> Iterator[tuple[str, DescriptorProto]]:
    for message in declared:
        yield f"{prefix}.{message.name}", message
        yield from messages(f"{prefix}.{message.name}", message.nested_type)


def lines(path: Path) -> Iterator[str]:
    """Returns one line for each element that a stored event or an old client relies on."""
    for file in files(path):
        for name, message in messages(file.package, file.message_type):
            yield f"message {name}"
            for field in message.field:
                kind = field.type_name or descriptor_pb2.FieldDescriptorProto.Type.Name(field.type)
                label = descriptor_pb2.FieldDescriptorProto.Label.Name(field.label)
                yield f"field {name}.{field.name} = {field.number} {label} {kind}"
            for enum in message.enum_type:
                yield from (f"value {name}.{enum.name}.{value.name} = {value.number}" for value in enum.value)
        for enum in file.enum_type:
            yield from (f"value {file.package}.{enum.name}.{value.name} = {value.number}" for value in enum.value)
        for service in file.service:
            yield from (f"rpc {file.package}.{service.name}.{rpc(method)}" for method in service.method)


def rpc(method: MethodDescriptorProto) -> str:
    requests = "stream " if method.client_streaming else ""
    responses = "stream " if method.server_streaming else ""
    return f"{method.name} {requests}{method.input_type} {responses}{method.output_type}"


def test_no_published_element_has_changed_or_gone() -> None:
    published = set(GOLDEN.read_text().splitlines())
    now = set(lines(DESCRIPTORS))

    assert published - now == set(), "a published message changed: add a new field instead"
    assert now - published == set(), "new elements: add these lines to tests/proto/published.txt"


def test_every_message_field_value_and_rpc_has_a_comment() -> None:
    undocumented = []
    for file in files(DESCRIPTORS):
        for location in file.source_code_info.location:
            path = list(location.path)
            documented = path and path[0] in {4, 5, 6} and len(path) % 2 == 0 and path[-2] in {2, 3, 4, 5, 6}
            text = location.leading_comments.strip()
            if documented and not is_generated(file, path) and not text.endswith((".", ":")):
                undocumented.append(f"{file.name} line {location.span[0] + 1}")

    assert undocumented == []


def test_every_rpc_lists_its_errors() -> None:
    undocumented = []
    for file in files(DESCRIPTORS):
        for location in file.source_code_info.location:
            path = list(location.path)
            if len(path) == 4 and path[0] == 6 and path[2] == 2 and not ERRORS.search(location.leading_comments):
                undocumented.append(file.service[path[1]].method[path[3]].name)

    assert undocumented == []


def is_generated(file: FileDescriptorProto, path: Sequence[int]) -> bool:
    """Returns true for the path of the entry type of a map, or of an option."""
    if path[0] == 4 and len(path) >= 4 and path[2] == 3:
        is_entry: bool = file.message_type[path[1]].nested_type[path[3]].options.map_entry
        return is_entry
    return len(path) >= 4 and path[0] == 4 and path[2] not in {2, 3, 4, 8}


if __name__ == "__main__":
    GOLDEN.write_text("\n".join(sorted(lines(Path(sys.argv[1])))) + "\n")
