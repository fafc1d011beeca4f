"""Tests of the renderer of the events' documentation."""

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorSet

from docs.render_events import render


def a_file() -> FileDescriptorSet:
    files = FileDescriptorSet()
    file = files.file.add(name="databuild/v1/events.proto")
    envelope = file.message_type.add(name="BuildEvent")
    envelope.oneof_decl.add(name="event")
    envelope.field.add(name="sequence", type=FieldDescriptorProto.TYPE_UINT64)
    job = envelope.field.add(name="job", type_name=".databuild.v1.JobEvent", oneof_index=0)
    job.type = FieldDescriptorProto.TYPE_MESSAGE
    message = file.message_type.add(name="JobEvent")
    message.field.add(name="outputs", type=FieldDescriptorProto.TYPE_STRING, label=FieldDescriptorProto.LABEL_REPEATED)
    status = file.enum_type.add(name="JobStatus")
    status.value.add(name="JOB_STATUS_UNSPECIFIED", number=0)
    status.value.add(name="JOB_STATUS_RUNNING", number=2)
    comments = {
        (4, 0, 2, 0): " Its place.",
        (4, 0, 2, 1): " A job\n run a|b.",
        (4, 1): " About a job run.",
        (4, 1, 2, 0): " Refs.",
        (5, 0, 2, 0): " Never.",
        (5, 0, 2, 1): " It runs.",
    }
    for path, comment in comments.items():
        file.source_code_info.location.add(path=path, leading_comments=comment)
    return files


def test_every_kind_of_event_has_a_section_with_its_fields() -> None:
    text = render(a_file())

    assert "| `sequence` | uint64 | Its place. |" in text
    assert "| `job` | JobEvent | A job run a\\|b. |" in text
    assert "## `job`: JobEvent\n\nAbout a job run.\n" in text
    assert "| `outputs` | list of string | Refs. |" in text
    assert "| `RUNNING` | It runs. |" in text
    assert "UNSPECIFIED" not in text


def test_the_diagrams_are_those_of_the_lifecycle() -> None:
    text = render(a_file())

    assert "  [*] --> RECEIVED\n" in text
    assert "  BUILDING --> AVAILABLE\n" in text
    assert "  SKIPPED --> [*]\n" in text
