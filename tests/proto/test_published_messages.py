"""Published messages stay readable: nothing of the golden descriptor may change, and everything has its sentence.

After an addition, `bazel build //databuild/v1:databuild_v1.binpb` and, in an environment with protobuf,
`python3 tests/proto/test_published_messages.py bazel-bin/databuild/v1/databuild_v1.binpb` write the list anew.
"""

import sys
from pathlib import Path

from google.protobuf import descriptor_pb2

HERE = Path(__file__).parent
DESCRIPTORS = Path("databuild/v1/databuild_v1.binpb")
GOLDEN = HERE / "published.txt"


def files(path):
    return descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes()).file


def messages(prefix, found):
    for message in found:
        yield f"{prefix}.{message.name}", message
        yield from messages(f"{prefix}.{message.name}", message.nested_type)


def lines(path):
    """One line for each thing that a stored event or an old client relies on."""
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


def rpc(method):
    sent = "stream " if method.client_streaming else ""
    answered = "stream " if method.server_streaming else ""
    return f"{method.name} {sent}{method.input_type} {answered}{method.output_type}"


def test_nothing_published_has_changed_or_gone():
    published = set(GOLDEN.read_text().splitlines())
    now = set(lines(DESCRIPTORS))

    assert published - now == set(), "a published message changed: add a new field instead"
    assert now - published == set(), "something is new: add these lines to tests/proto/published.txt"


def test_every_message_field_value_and_rpc_has_its_sentence():
    silent = []
    for file in files(DESCRIPTORS):
        for location in file.source_code_info.location:
            path = list(location.path)
            documented = path and path[0] in {4, 5, 6} and len(path) % 2 == 0 and path[-2] in {2, 3, 4, 5, 6}
            text = location.leading_comments.strip()
            if documented and not is_generated(file, path) and not text.endswith((".", ":")):
                silent.append(f"{file.name} line {location.span[0] + 1}")

    assert silent == []


def is_generated(file, path):
    """Whether a path is that of the type of a map's entries, or of an option."""
    if path[0] == 4 and len(path) >= 4 and path[2] == 3:
        return file.message_type[path[1]].nested_type[path[3]].options.map_entry
    return len(path) >= 4 and path[0] == 4 and path[2] not in {2, 3, 4, 8}


if __name__ == "__main__":
    GOLDEN.write_text("\n".join(sorted(lines(Path(sys.argv[1])))) + "\n")
