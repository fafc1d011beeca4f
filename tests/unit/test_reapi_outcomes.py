"""The meaning of errors of engines with the Remote Execution API, for every code."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.any_pb2 import Any

from databuild.executors.reapi import remote_execution_pb2 as api
from databuild.executors.reapi.outcomes import Outcome, of_operation, of_request

REFUSED = {"FAILED_PRECONDITION", "INVALID_ARGUMENT", "PERMISSION_DENIED", "UNIMPLEMENTED"}
TRANSIENT = {
    "ABORTED",
    "CANCELLED",
    "DEADLINE_EXCEEDED",
    "INTERNAL",
    "RESOURCE_EXHAUSTED",
    "UNAVAILABLE",
    "UNKNOWN",
}
CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


def error(code: grpc.StatusCode, details: api.Status | None = None) -> grpc.aio.AioRpcError:
    trailing = [("grpc-status-details-bin", details.SerializeToString())] if details else []
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), details="a fault")


def missing(kind: str) -> api.Status:
    failure = api.PreconditionFailure(violations=[api.PreconditionFailure.Violation(type=kind, subject="blobs/x/1")])
    detail = Any(type_url="type.googleapis.com/google.rpc.PreconditionFailure", value=failure.SerializeToString())
    return api.Status(code=grpc.StatusCode.FAILED_PRECONDITION.value[0], details=[detail])


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_the_end_of_an_operation(code: grpc.StatusCode) -> None:
    expected = {
        **dict.fromkeys(REFUSED, Outcome.REFUSED),
        "DEADLINE_EXCEEDED": Outcome.TIMED_OUT,
        "NOT_FOUND": Outcome.INPUTS_MISSING,
    }

    assert of_operation(api.Status(code=code.value[0])) is expected.get(code.name, Outcome.LOST)


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_an_error_of_a_submission(code: grpc.StatusCode) -> None:
    expected = {
        **dict.fromkeys({*REFUSED, "UNAUTHENTICATED", "OUT_OF_RANGE"}, Outcome.REFUSED),
        **dict.fromkeys(TRANSIENT, Outcome.RETRY),
        "NOT_FOUND": Outcome.INPUTS_MISSING,
    }

    assert of_request(error(code), accepted=False) is expected.get(code.name, Outcome.LOST)


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_an_error_after_the_submission_never_starts_the_process_again(code: grpc.StatusCode) -> None:
    expected = Outcome.RETRY if code.name in TRANSIENT else Outcome.LOST  # RETRY attaches to the operation

    assert of_request(error(code), accepted=True) is expected


def test_only_missing_blobs_are_sent_again() -> None:
    assert of_operation(missing("MISSING")) is Outcome.INPUTS_MISSING
    assert of_operation(missing("PLATFORM")) is Outcome.REFUSED
    assert of_request(error(grpc.StatusCode.FAILED_PRECONDITION, missing("MISSING")), accepted=False) is (
        Outcome.INPUTS_MISSING
    )
    assert of_request(error(grpc.StatusCode.FAILED_PRECONDITION, missing("PLATFORM")), accepted=False) is (
        Outcome.REFUSED
    )


def test_a_code_that_nobody_knows_is_a_loss() -> None:
    assert of_operation(api.Status(code=77)) is Outcome.LOST
