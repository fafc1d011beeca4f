"""Conversion between answers about environments and their messages."""

from __future__ import annotations

from databuild.model.environment_views import (
    Difference,
    EnvironmentView,
    PartitionComparison,
    Promotion,
    RemovedEnvironment,
)
from databuild.model.record_messages import time_from_message, time_to_message
from databuild.v1 import service_pb2 as sv


def environment_to_message(view: EnvironmentView) -> sv.Environment:
    return sv.Environment(
        name=view.name,
        builds=view.builds,
        partitions=view.partitions,
        updated_time=time_to_message(view.updated_time),
    )


def environment_from_message(message: sv.Environment) -> EnvironmentView:
    return EnvironmentView(message.name, message.builds, message.partitions, time_from_message(message.updated_time))


def comparison_to_message(comparison: PartitionComparison) -> sv.PartitionComparison:
    return sv.PartitionComparison(
        ref=comparison.ref,
        status=comparison.status,
        differences=[sv.PartitionDifference(**difference._asdict()) for difference in comparison.differences],
        job_label=comparison.job_label,
    )


def comparison_from_message(message: sv.PartitionComparison) -> PartitionComparison:
    return PartitionComparison(
        message.ref,
        message.status,
        tuple(
            Difference(
                one.subject,
                one.base if one.HasField("base") else None,
                one.environment if one.HasField("environment") else None,
            )
            for one in message.differences
        ),
        message.job_label,
    )


def promotion_to_message(promotion: Promotion) -> sv.PromoteEnvironmentResponse:
    return sv.PromoteEnvironmentResponse(
        promoted=promotion.promoted,
        left_out=promotion.left_out,
        operation_id=promotion.operation_id,
        author=promotion.author,
    )


def promotion_from_message(environment: str, message: sv.PromoteEnvironmentResponse) -> Promotion:
    left_out = dict(sorted(message.left_out.items()))
    return Promotion(environment, tuple(message.promoted), left_out, message.operation_id, message.author)


def removal_to_message(removed: RemovedEnvironment) -> sv.RemoveEnvironmentResponse:
    return sv.RemoveEnvironmentResponse(deleted=removed.deleted, kept=removed.kept)


def removal_from_message(environment: str, message: sv.RemoveEnvironmentResponse) -> RemovedEnvironment:
    return RemovedEnvironment(environment, tuple(message.deleted), dict(sorted(message.kept.items())))
