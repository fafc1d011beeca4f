"""Reports of running jobs: the lines of a report file, each a JobReport (job.proto) as protobuf JSON."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from typing import Any, Final

from databuild.graph.refs import nfc
from databuild.v1 import events_pb2 as ev
from databuild.v1 import job_pb2
from databuild.v1 import partition_pb2 as pt

_MAX_SHOWN_BYTES: Final = 200


class ReportFaultError(ValueError):
    """A report line is invalid."""


def parse_report(line: bytes, outputs: Collection[str], inputs: Collection[str] = ()) -> job_pb2.JobReport | None:
    """Parses and checks one line; returns None for an empty line.

    Args:
        line: The line.
        outputs: The outputs of the job run. It may report no other partition.
        inputs: The inputs of the job run. It may check inputs and outputs.

    Raises:
        ReportFaultError: The line is not a JobReport, names a partition that the job run may not report or check, or
            has metadata that an event cannot hold.
    """
    if not line.strip():
        return None
    from google.protobuf import json_format

    shown = _without_credentials(line.decode(errors="replace"))[:_MAX_SHOWN_BYTES]
    try:
        report: Any = json_format.Parse(line, job_pb2.JobReport())
    except (json_format.ParseError, UnicodeDecodeError) as error:
        message = f"the report line {shown!r} is not a JobReport in JSON: {str(error).splitlines()[0]}"
        raise ReportFaultError(_without_credentials(message)) from error
    kind = report.WhichOneof("report")
    if kind is None:
        message = f"the report line {shown!r} is empty; it needs one of partition, metric, check, progress or missing"
        raise ReportFaultError(message)
    if kind == "partition" and report.partition.ref not in outputs:
        message = f"the report names {_shown(report.partition.ref)}, which is not an output of this job run"
        raise ReportFaultError(message)
    if kind == "metric" and report.metric.ref and report.metric.ref not in outputs:
        message = f"the report measures {_shown(report.metric.ref)}, which is not an output of this job run"
        raise ReportFaultError(message)
    if kind == "missing" and (not report.missing.ref or report.missing.ref in outputs):
        message = f"the report says that {_shown(report.missing.ref)} is missing, which is not an input of this job run"
        raise ReportFaultError(message)
    if kind == "check" and report.check.ref and report.check.ref not in outputs and report.check.ref not in inputs:
        message = (
            f"the report checks {_shown(report.check.ref)}, which is neither an output nor an input of this job run"
        )
        raise ReportFaultError(message)
    if kind == "partition" and report.partition.HasField("location") and not _is_uri(report.partition.location.uri):
        message = (
            f"the location of {report.partition.ref!r} has the uri "
            f"{_without_credentials(report.partition.location.uri)!r}, which is not a "
            "URI; write file:///PATH for a file"
        )
        raise ReportFaultError(message)
    if kind == "partition":
        _check_credentials(report.partition)
    if kind == "partition" and report.partition.HasField("metadata"):
        _check_metadata(report.partition.metadata, shown)
    return report  # type: ignore[no-any-return]


def add_location(report: job_pb2.PartitionReport, working_directory: str) -> None:
    """Adds the location to a report of a job that only reports its `path`, as metadata.

    A path where nothing is may mean something else, such as a path in a container, and is no location.

    Args:
        report: The report.
        working_directory: The directory to which a path is relative.
    """
    path = report.metadata.fields["path"].string_value if "path" in report.metadata.fields else ""
    if not path or report.HasField("location"):
        return
    from databuild.job.locations import file_uri, file_version

    if _is_uri(path):
        report.location.uri = path
        return
    path = os.path.join(working_directory, path)  # noqa: PTH118
    try:
        facts = os.stat(path)  # noqa: PTH116 - a text
    except (OSError, ValueError):
        return
    report.location.uri = file_uri(path)
    if not stat.S_ISDIR(facts.st_mode):  # the size of a folder takes a listing
        report.location.size_bytes = facts.st_size
        report.location.version = file_version(facts)


def tainted_by(check: pt.CheckResult, outputs: Collection[str]) -> frozenset[str]:
    """Returns the partitions that a check taints: none unless it failed with severity ERROR.

    Args:
        check: The result of the check.
        outputs: The outputs of its job run; a check without a partition is about all of them.
    """
    if check.passed or check.severity != pt.CheckResult.SEVERITY_ERROR:
        return frozenset()
    return frozenset([check.ref] if check.ref else outputs)


def _is_uri(text: str) -> bool:
    from databuild.job.locations import is_uri

    return is_uri(text)


def _check_credentials(report: job_pb2.PartitionReport) -> None:
    """Checks that neither the location nor the path contains credentials: everybody may read an event log."""
    from databuild.job.locations import has_credentials

    path = report.metadata.fields["path"].string_value if "path" in report.metadata.fields else ""
    for name, uri in (("uri of its location", report.location.uri), ("path in its metadata", path)):
        if has_credentials(uri):
            message = (
                f"the report of {report.ref!r} has credentials in the {name}, {_without_credentials(uri)!r}; report "
                "the URI without a password or a signature, and give programs that read it their own credentials"
            )
            raise ReportFaultError(message)


def _without_credentials(text: str) -> str:
    from databuild.job.locations import without_credentials

    return without_credentials(text)


def _shown(ref: str) -> str:
    """Quotes a ref, with its normalized form if it is not normalized: the two may look the same."""
    normal = nfc(ref)
    return repr(ref) if normal == ref else f"{ref!r} (in Unicode normalization form C it is {normal!r}, {normal!a})"


def _check_metadata(metadata: Any, shown: str) -> None:
    """Checks that an event can hold metadata: its nesting may be too deep, or a number may not exist in JSON."""
    from google.protobuf import json_format, message

    # The limits of protobuf and of its JSON apply to the whole event, so an event is encoded and decoded.
    try:
        event = ev.BuildEvent(partition=ev.PartitionEvent(metadata=metadata))
        json_format.MessageToJson(ev.BuildEvent.FromString(event.SerializeToString()))
    except (json_format.Error, message.DecodeError) as error:
        fault = f"the metadata of the report line {shown!r} cannot be stored: {error}"
        raise ReportFaultError(fault) from error
