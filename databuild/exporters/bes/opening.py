"""The first events of a stream, from the request of a build."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from databuild.exporters.bes import build_event_stream_pb2 as bep
from databuild.exporters.bes import stream_ids
from databuild.model.bes_invocation import invocation_of
from databuild.model.build_options import BuildOptions
from databuild.model.executor_uri import LOCAL
from databuild.v1 import events_pb2 as ev

if TYPE_CHECKING:
    from databuild.exporters.bes.build_event_stream_pb2 import BuildEventId

COMMAND: Final = "build"

_TOOL: Final = "databuild"
_MAX_REFS: Final = 100
"""The maximum number of requested partitions that a stream names."""

_ORIGINAL: Final = "original"
"""The label of a command line that user interfaces show."""


def opening(event: ev.BuildEvent, first_progress: BuildEventId) -> Iterator[bep.BuildEvent]:
    """Yields the events about the request of a build.

    Args:
        event: RECEIVED.
        first_progress: The id of the first progress event.
    """
    received = event.build_request
    options = _options(received)
    command_line = stream_ids.structured_command_line(_ORIGINAL)
    children = (
        stream_ids.UNSTRUCTURED_COMMAND_LINE,
        command_line,
        stream_ids.BUILD_METADATA,
        stream_ids.WORKSPACE_STATUS,
        stream_ids.CONFIGURED,
        requested_pattern(received),
        first_progress,
        stream_ids.BUILD_FINISHED,
    )
    started = bep.BuildStarted(
        uuid=invocation_of(event.build_request_id).invocation_id,
        start_time=event.time,
        start_time_millis=event.time.ToMilliseconds(),
        build_tool_version=_TOOL,
        options_description=" ".join(option.combined_form for option in options),
        command=COMMAND,
    )
    yield bep.BuildEvent(id=stream_ids.STARTED, children=children, started=started)
    refs = _some([ref.str for ref in received.downstream_of or received.requested])
    words = [_TOOL, COMMAND, *(option.combined_form for option in options), *refs]
    yield bep.BuildEvent(
        id=stream_ids.UNSTRUCTURED_COMMAND_LINE, unstructured_command_line=bep.UnstructuredCommandLine(args=words)
    )
    sections = (
        bep.CommandLineSection(section_label="executable", chunk_list=bep.ChunkList(chunk=[_TOOL])),
        bep.CommandLineSection(section_label="command", chunk_list=bep.ChunkList(chunk=[COMMAND])),
        bep.CommandLineSection(section_label="command options", option_list=bep.OptionList(option=options)),
        bep.CommandLineSection(section_label="residual", chunk_list=bep.ChunkList(chunk=refs)),
    )
    structured = bep.CommandLine(command_line_label=_ORIGINAL, sections=sections)
    yield bep.BuildEvent(id=command_line, structured_command_line=structured)
    metadata = bep.BuildMetadata(metadata=_metadata(event.build_request_id, received))
    yield bep.BuildEvent(id=stream_ids.BUILD_METADATA, build_metadata=metadata)
    items = [bep.WorkspaceStatus.Item(key=key, value=value) for key, value in _status(event).items()]
    yield bep.BuildEvent(id=stream_ids.WORKSPACE_STATUS, workspace_status=bep.WorkspaceStatus(item=items))
    configuration = bep.Configuration(
        mnemonic=stream_ids.CONFIGURATION, platform_name=received.options.executor or LOCAL
    )
    yield bep.BuildEvent(id=stream_ids.CONFIGURED, configuration=configuration)


def requested_pattern(received: ev.BuildRequestEvent) -> BuildEventId:
    """Returns the id of the event about the requested partitions."""
    return stream_ids.pattern(_some([ref.str for ref in received.requested]))


def _some(refs: Sequence[str]) -> Sequence[str]:
    return refs if len(refs) <= _MAX_REFS else [*refs[:_MAX_REFS], f"and {len(refs) - _MAX_REFS:,} more"]


def _options(received: ev.BuildRequestEvent) -> Sequence[bep.Option]:
    """Returns the options that differ from their defaults, by the names that the command line gives them."""
    options, defaults = BuildOptions.from_message(received.options), BuildOptions()
    changed = []
    if name := received.environment:
        changed.append(bep.Option(combined_form=f"--environment={name}", option_name="environment", option_value=name))
    for name in defaults.differences(options):
        flag, value = ("stale", "reuse") if name == "reuse_stale" else (name, getattr(options, name))
        form = f"--{flag}" if value is True else f"--{flag}={value}"
        changed.append(bep.Option(combined_form=form, option_name=flag, option_value=str(value).lower()))
    return changed


def _metadata(build_request_id: str, received: ev.BuildRequestEvent) -> dict[str, str]:
    facts = {
        "DATABUILD_BUILD_REQUEST_ID": build_request_id,
        "DATABUILD_ENVIRONMENT": received.environment,
        "DATABUILD_GRAPH": received.graph_label,
        "DATABUILD_RETRY_OF": received.retry_of_build_request_id,
        "BAZEL_INVOCATION_ID": received.bazel_invocation_id,
        "TRACEPARENT": received.traceparent,
    }
    return {name: value for name, value in facts.items() if value}


def _status(event: ev.BuildEvent) -> dict[str, str]:
    """Returns the status of the workspace: the time by the name that Bazel gives it, and the graph."""
    return {"BUILD_TIMESTAMP": str(event.time.seconds), "DATABUILD_GRAPH": event.build_request.graph_label}
