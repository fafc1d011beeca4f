"""The ids of events of the Build Event Protocol."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from databuild.exporters.bes.build_event_stream_pb2 import BuildEventId

CONFIGURATION: Final = "databuild"
"""The id of the only configuration of a build."""

_CONFIGURATION: Final = BuildEventId.ConfigurationId(id=CONFIGURATION)

STARTED: Final = BuildEventId(started=BuildEventId.BuildStartedId())
UNSTRUCTURED_COMMAND_LINE: Final = BuildEventId(unstructured_command_line=BuildEventId.UnstructuredCommandLineId())
WORKSPACE_STATUS: Final = BuildEventId(workspace_status=BuildEventId.WorkspaceStatusId())
BUILD_METADATA: Final = BuildEventId(build_metadata=BuildEventId.BuildMetadataId())
CONFIGURED: Final = BuildEventId(configuration=_CONFIGURATION)
BUILD_FINISHED: Final = BuildEventId(build_finished=BuildEventId.BuildFinishedId())
BUILD_METRICS: Final = BuildEventId(build_metrics=BuildEventId.BuildMetricsId())


def structured_command_line(label: str) -> BuildEventId:
    return BuildEventId(structured_command_line=BuildEventId.StructuredCommandLineId(command_line_label=label))


def progress(number: int) -> BuildEventId:
    return BuildEventId(progress=BuildEventId.ProgressId(opaque_count=number))


def pattern(patterns: Iterable[str]) -> BuildEventId:
    return BuildEventId(pattern=BuildEventId.PatternExpandedId(pattern=patterns))


def target_configured(label: str) -> BuildEventId:
    return BuildEventId(target_configured=BuildEventId.TargetConfiguredId(label=label))


def target_completed(label: str) -> BuildEventId:
    return BuildEventId(target_completed=BuildEventId.TargetCompletedId(label=label, configuration=_CONFIGURATION))


def test_result(label: str, run: int, attempt: int) -> BuildEventId:
    result = BuildEventId.TestResultId(label=label, configuration=_CONFIGURATION, run=run, shard=1, attempt=attempt)
    return BuildEventId(test_result=result)


def test_summary(label: str) -> BuildEventId:
    return BuildEventId(test_summary=BuildEventId.TestSummaryId(label=label, configuration=_CONFIGURATION))


def named_set(name: str) -> BuildEventId:
    return BuildEventId(named_set=BuildEventId.NamedSetOfFilesId(id=name))
