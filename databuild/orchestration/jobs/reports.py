"""Reads what a job appends to its report file: JSON lines, each a JobReport."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from databuild.graph.refs import nfc
from databuild.v1 import events_pb2 as ev
from databuild.v1 import job_pb2
from databuild.v1 import partition_pb2 as pt


class ReportFaultError(ValueError):
    """A report line cannot be used; the message says why."""


def parse_report(line: bytes, outputs: Collection[str], inputs: Collection[str] = ()) -> job_pb2.JobReport | None:
    """Returns what one line reports; None for an empty line.

    Args:
        line: The line.
        outputs: The outputs of the job run, the only partitions that it may report.
        inputs: The inputs of the job run, which it may check as well.

    Raises:
        ReportFaultError: The line is no JobReport, or reports a partition that is not an output of the run, or what
            cannot be kept, or checks what is neither an output nor an input.
    """
    if not line.strip():
        return None
    from google.protobuf import json_format

    shown = line[:200].decode(errors="replace")
    try:
        report: Any = json_format.Parse(line, job_pb2.JobReport())
    except (json_format.ParseError, UnicodeDecodeError) as error:
        message = f"the report line {shown!r} cannot be read: {str(error).splitlines()[0]}"
        raise ReportFaultError(message) from error
    kind = report.WhichOneof("report")
    if kind is None:
        message = f"the report line {shown!r} reports nothing: it needs one of partition, metric, check or progress"
        raise ReportFaultError(message)
    if kind == "partition" and report.partition.ref not in outputs:
        message = f"the report names {_shown(report.partition.ref)}, which is not an output of this job run"
        raise ReportFaultError(message)
    if kind == "check" and report.check.ref and report.check.ref not in outputs and report.check.ref not in inputs:
        message = (
            f"the report checks {_shown(report.check.ref)}, which is neither an output nor an input of this job run"
        )
        raise ReportFaultError(message)
    if kind == "partition" and report.partition.HasField("metadata"):
        _check_metadata(report.partition.metadata, shown)
    return report  # type: ignore[no-any-return]


def distrusted(check: pt.CheckResult, outputs: Collection[str]) -> frozenset[str]:
    """Returns the partitions that a check says must not be trusted.

    Args:
        check: What came of the check.
        outputs: The outputs of its job run, all of which a check of no one partition is about.
    """
    if check.passed or check.severity != pt.CheckResult.SEVERITY_ERROR:
        return frozenset()
    return frozenset([check.ref] if check.ref else outputs)


def _shown(ref: str) -> str:
    """Returns a ref with the form that all refs have, where it is in another."""
    normal = nfc(ref)
    return repr(ref) if normal == ref else f"{ref!r} (in Unicode normalization form C it is {normal!r}, {normal!a})"


def _check_metadata(metadata: Any, shown: str) -> None:
    """Checks that metadata can be kept: it may be too deep for an event, or have a number that JSON has not."""
    from google.protobuf import json_format, message

    try:
        event = ev.BuildEvent(partition=ev.PartitionEvent(metadata=metadata))
        json_format.MessageToJson(ev.BuildEvent.FromString(event.SerializeToString()))
    except (json_format.Error, message.DecodeError) as error:
        fault = f"the metadata of the report line {shown!r} cannot be kept: {error}"
        raise ReportFaultError(fault) from error
