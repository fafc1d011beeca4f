"""Renders the documentation of events as Markdown: render_events.py DESCRIPTORS.

DESCRIPTORS is a serialized `google.protobuf.FileDescriptorSet` with source information, so that each message and field
comes with its comment; the state diagrams are drawn from the lifecycle's own tables.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet

from databuild.model.lifecycle import (
    BUILD_ENDS,
    BUILD_TRANSITIONS,
    JOB_ENDS,
    JOB_TRANSITIONS,
    NOTHING,
    PARTITION_ENDS,
    PARTITION_TRANSITIONS,
    build_status_name,
    job_status_name,
    partition_status_name,
)

_FILE = "databuild/v1/events.proto"
_FILES_OF_VALUES = (_FILE, "databuild/v1/partition.proto")
_MESSAGE_FIELD, _ENUM_FIELD, _VALUE_OR_FIELD = 4, 5, 2

_HEADER = """\
# Events

<!-- Generated from proto/databuild/v1/events.proto and databuild/model/lifecycle.py by `bazel run //docs:update`. -->

This page lists every event of the event log with its fields, and the order in which events may occur. After it you can
read, compare and export events.

Every fact of a build is one `BuildEvent` in the event log. The command line, the service and the client write the same
events, because all builds go through one orchestrator.

| Command | Effect |
|---|---|
| `events BUILD` | Prints the events of a build. |
| `events BUILD --follow` | Prints them as they become durable. |
| `events --all --follow` | Prints the events of all builds. |
| `events diff A B` | Compares two builds; ids, times and durations are masked. |
| `--event_sink=jsonl:PATH` | Copies every event to a file, one line of protobuf JSON each. |

The events of every build have these properties:

- They are numbered 1, 2, 3 without a gap. Only the number defines their order.
- The first is the build RECEIVED. The last is its one terminal event.
- Every scheduled job run and partition reaches exactly one end. A task that never ran has an event with the reason.
- Causes come before their effects: a job run is SCHEDULED and RUNNING before its partitions are BUILDING, and a
  partition is AVAILABLE before a job run that needs it is SCHEDULED.
- The orchestrator refuses a transition that the tables below do not allow. The store refuses it again, and then writes
  nothing.

Some events belong to no build. Each is an operation with an id of its own: a taint, an adoption, the request to cancel
a build, and results that arrived after their build had been ended by others.

`prune` removes all events of an ended build. It never removes events of operations.
"""


def render(files: FileDescriptorSet) -> str:
    """Returns the page."""
    file = next(one for one in files.file if one.name == _FILE)
    comments = _comments(file)
    messages = {message.name: number for number, message in enumerate(file.message_type)}
    parts = [_HEADER, "## The envelope\n", _message(file, messages["BuildEvent"], comments)]
    envelope = file.message_type[messages["BuildEvent"]]
    for field in envelope.field:
        name = field.type_name.rpartition(".")[2]
        if field.HasField("oneof_index") and name in messages:
            parts += [f"## `{field.name}`: {name}\n", comments[_MESSAGE_FIELD, messages[name]] + "\n"]
            parts.append(_message(file, messages[name], comments))
    parts.append("## Lifecycle\n")
    parts += _diagram("A build", BUILD_TRANSITIONS, BUILD_ENDS, build_status_name)
    parts += _diagram("A job run", JOB_TRANSITIONS, JOB_ENDS, job_status_name)
    parts += _diagram("A partition within one build", PARTITION_TRANSITIONS, PARTITION_ENDS, partition_status_name)
    parts.append("## Values\n")
    for one in files.file:
        if one.name in _FILES_OF_VALUES:
            parts += _values(one, _comments(one))
    return "\n".join(parts)


def _comments(file: FileDescriptorProto) -> dict[tuple[int, ...], str]:
    return {tuple(place.path): _prose(place.leading_comments) for place in file.source_code_info.location}


def _values(file: FileDescriptorProto, comments: Mapping[tuple[int, ...], str]) -> Iterator[str]:
    for number, enum in enumerate(file.enum_type):
        prefix = "_".join(_words(enum.name)).upper() + "_"
        rows = [
            (f"`{value.name.removeprefix(prefix)}`", comments[_ENUM_FIELD, number, _VALUE_OR_FIELD, index])
            for index, value in enumerate(enum.value)
            if value.number
        ]
        yield f"### {enum.name}\n"
        yield _table(("Value", "Means"), rows)


def _message(file: FileDescriptorProto, number: int, comments: Mapping[tuple[int, ...], str]) -> str:
    message = file.message_type[number]
    rows = [
        (f"`{field.name}`", _type(field, message), comments[_MESSAGE_FIELD, number, _VALUE_OR_FIELD, index])
        for index, field in enumerate(message.field)
    ]
    return _table(("Field", "Type", "Means"), rows)


def _type(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    name = (
        field.type_name.rpartition(".")[2] or FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    )
    if any(nested.name == name and nested.options.map_entry for nested in message.nested_type):
        return "map"
    return f"list of {name}" if field.label == FieldDescriptorProto.LABEL_REPEATED else name


def _diagram(
    title: str, transitions: Mapping[int, frozenset[int]], ends: frozenset[int], name: Callable[[int], str]
) -> Iterator[str]:
    yield f"### {title}\n"
    yield "```mermaid\nstateDiagram-v2"
    for status, following in transitions.items():
        for after in sorted(following):
            yield f"  {'[*]' if status == NOTHING else name(status)} --> {name(after)}"
    for status in sorted(ends):
        yield f"  {name(status)} --> [*]"
    yield "```\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in lines)


def _prose(comment: str) -> str:
    return " ".join(comment.split())


def _words(name: str) -> Iterator[str]:
    word = ""
    for character in name:
        if character.isupper() and word:
            yield word
            word = ""
        word += character
    yield word


if __name__ == "__main__":
    sys.stdout.write(render(FileDescriptorSet.FromString(Path(sys.argv[1]).read_bytes())))
