"""Conversion of trends and of checks to messages, and back."""

from __future__ import annotations

from databuild.model.records import CheckRecord
from databuild.model.schemas import SchemaComparison
from databuild.model.trends import Trend, TrendPoint, Trends
from databuild.v1 import partition_pb2 as pt
from databuild.v1 import service_pb2 as sv


def trends_to_message(trends: Trends) -> sv.Trends:
    message = sv.Trends(trends=map(_to_message, trends.trends))
    if trends.schema is not None:
        message.schema.since = trends.schema.since
        message.schema.changes.extend(trends.schema.changes)
    return message


def trends_from_message(message: sv.Trends) -> Trends:
    schema = message.schema if message.HasField("schema") else None
    return Trends(
        tuple(map(_from_message, message.trends)),
        None if schema is None else SchemaComparison(schema.since, tuple(schema.changes)),
    )


def check_result_to_message(check: CheckRecord) -> sv.JobRunCheck:
    severity = f"SEVERITY_{check.severity}"
    result = pt.CheckResult(
        name=check.name, passed=check.passed, severity=severity, ref=check.ref, message=check.message
    )
    return sv.JobRunCheck(job_run_id=check.job_run_id, result=result)


def _to_message(trend: Trend) -> sv.Trend:
    points = [
        sv.TrendPoint(ref=point.ref, date=point.date, position=point.position, value=point.value, outlier=point.outlier)
        for point in trend.points
    ]
    return sv.Trend(name=trend.name, unit=trend.unit, points=points, summary=trend.summary)


def _from_message(message: sv.Trend) -> Trend:
    points = tuple(
        TrendPoint(point.ref, point.date, point.position, point.value, point.outlier) for point in message.points
    )
    return Trend(message.name, message.unit, points, message.summary)
