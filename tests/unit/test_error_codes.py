"""Errors pass between processes without loss."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any, get_args

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from databuild import errors
from databuild.cli.display.error_text import FLAG_WORDS, error_text
from databuild.client.grpc_errors import ERROR_METADATA, error_of
from databuild.error_codes import CODES, code_of, facts_of, restore_error
from databuild.remedies import REQUEST_WORDS, Remedy
from databuild.service.api.errors import detail_of, worded_detail_of
from tests.support.samples import SAMPLES

OF_ONE_PROCESS = {errors.BuildFailedError, errors.HttpRequestError, errors.ServiceError, errors.ServiceUnreachableError}
"""Errors that no service sends: the client raises them itself, or they concern only HTTP."""

ALL = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.DataBuildError)}


def sent(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Returns facts as they are on the other side."""
    message = Struct()
    message.update(facts)
    return MessageToDict(Struct.FromString(message.SerializeToString()))


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_comes_back_with_its_class_its_message_and_its_facts(error: errors.DataBuildError) -> None:
    back = restore_error(code_of(error), str(error), sent(facts_of(error)))

    assert type(back) is type(error)
    assert str(back) == str(error)
    assert {name: _plain(value) for name, value in vars(back).items()} == {
        name: _plain(value) for name, value in vars(error).items()
    }


def _plain(value: object) -> Any:
    return json.loads(json.dumps(value))


def test_every_error_has_a_code_of_its_own_and_a_sample() -> None:
    assert {kind for kind, _ in CODES} == ALL - OF_ONE_PROCESS
    assert len({code for _, code in CODES}) == len(CODES)
    assert {type(error) for error in SAMPLES} == ALL - OF_ONE_PROCESS


def test_subclasses_come_before_their_base_classes() -> None:
    kinds = [kind for kind, _ in CODES]

    for place, kind in enumerate(kinds):
        assert not any(issubclass(kind, earlier) for earlier in kinds[:place])


def test_an_error_without_a_code_gets_that_of_its_base_class() -> None:
    class MissingThingError(errors.InvalidRequestError):
        pass

    back = restore_error(code_of(MissingThingError("no")), "no", {})

    assert type(back) is errors.InvalidRequestError


def test_an_unknown_code_gives_a_service_error() -> None:
    assert type(restore_error("SOMETHING_NEW", "it said no", {})) is errors.ServiceError


def test_an_unexpected_error_has_no_facts() -> None:
    class SecretError(Exception):
        secret = "secret"

    fault = SecretError("secret")

    assert (code_of(fault), facts_of(fault)) == ("INTERNAL", {})


def test_long_facts_are_cut() -> None:
    error = errors.PlanChangedError(["x" * 100] * 100)

    assert facts_of(error, max_text=10, max_items=2) == {"differences": ["x" * 10] * 2}
    assert facts_of(error, max_text=0, max_items=0) == {"differences": []}


def test_every_edge_words_every_remedy() -> None:
    assert set(FLAG_WORDS) == set(REQUEST_WORDS) == set(get_args(Remedy))


def test_a_remedy_comes_back_and_is_worded_by_flags_only_on_the_command_line() -> None:
    error = errors.InvalidRequestError("no job of build b failed").with_remedy("RETRY_EVERYTHING")

    back = restore_error(code_of(error), str(error), sent(facts_of(error)))

    assert str(back) == "no job of build b failed"
    assert error_text(back) == "no job of build b failed; leave --failed_jobs_only out to request everything again"


def test_a_remedy_of_a_newer_service_adds_nothing() -> None:
    back = restore_error("INVALID_REQUEST", "no", {"remedy": "WAIT_FOR_RAIN"})

    assert error_text(back) == "no"


def test_a_service_words_a_remedy_by_fields_for_people_and_sends_the_fact_to_programs() -> None:
    error = errors.InvalidRequestError("no job of build b failed").with_remedy("RETRY_EVERYTHING")
    words = "leave `failed_jobs_only` out to ask for everything again"

    assert worded_detail_of(error).message == f"no job of build b failed; {words}"
    assert detail_of(error).message == "no job of build b failed"
    assert MessageToDict(detail_of(error).facts) == {"remedy": "RETRY_EVERYTHING"}


def test_the_client_notes_the_wording_of_a_remedy_for_tracebacks() -> None:
    class Fault:
        def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
            error = errors.InvalidRequestError("no job of build b failed").with_remedy("RETRY_EVERYTHING")
            return ((ERROR_METADATA, detail_of(error).SerializeToString()),)

    error = error_of(Fault(), "localhost:1", 60)

    assert (str(error), error.remedy) == ("no job of build b failed", "RETRY_EVERYTHING")
    assert error.__notes__ == ["leave `failed_jobs_only` out to ask for everything again"]
