"""Renders the documentation of events as Markdown: render_events.py DESCRIPTORS.

DESCRIPTORS is a serialized `google.protobuf.FileDescriptorSet` with source information, so that each message and field
comes with its comment; the state diagrams are drawn from the lifecycle's own tables.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
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

Every fact of a build is a `BuildEvent` in the event log, whoever started the build: the command line, the service and
the client go through the same orchestrator. `events BUILD` prints them, `events BUILD --follow` as they come, `events
diff A B` compares two builds with ids, times and durations masked, and `--event_sink=jsonl:PATH` copies every event
as one line of protobuf JSON.

What holds for the events of every build:

- They are numbered 1, 2, 3 without a gap. The number is the only authority on their order.
- The first is the build RECEIVED. The last is its one terminal event, and nothing follows it.
- Every scheduled job run and partition reaches exactly one end, and what never ran says why.
- Causes stand before their effects: a job run is SCHEDULED and RUNNING before its partitions are BUILDING, and a
  partition is AVAILABLE before a job run that needs it is SCHEDULED.
- A move that the tables below do not allow is refused by the orchestrator, and again by the store, and leaves nothing
  behind.

Some events are of no build but an operation of their own, with an id of its own: a taint, an adoption, the request to
cancel a build, and results that came after others had ended their build.

`prune` removes the events of builds that have ended, all of one build or none; those of operations are never removed.
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
    parts.append("## What may follow what\n")
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


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
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
