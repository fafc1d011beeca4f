"""Plan files: a protobuf message `Plan`, which `plan --output=FILE` writes and `build --plan=FILE` reads."""

from __future__ import annotations

from pathlib import Path

from google.protobuf.message import DecodeError

from databuild.errors import InvalidRequestError
from databuild.model.job_graph import Plan
from databuild.model.plan_messages import plan_from_message, plan_to_message
from databuild.v1 import plan_pb2


def write_plan(plan: Plan, path: Path) -> None:
    message = plan_to_message(plan)
    message.time.GetCurrentTime()
    path.write_bytes(message.SerializeToString(deterministic=True))


def read_plan(path: Path) -> Plan:
    """Reads a plan.

    Raises:
        InvalidRequestError: The file cannot be read, or is not a plan.
    """
    try:
        message = plan_pb2.Plan.FromString(path.read_bytes())
    except OSError as error:
        raise InvalidRequestError(f"{path}: {error.strerror}; `plan --output=FILE` writes a plan") from None
    except DecodeError:
        raise InvalidRequestError(f"{path} is not a plan; `plan --output=FILE` writes one") from None
    if not message.graph_label:  # an empty file decodes to an empty message
        raise InvalidRequestError(f"{path} is not a plan; `plan --output=FILE` writes one")
    return plan_from_message(message)
