"""Requests that the OpenAPI document allows, and such that it does not, as schemathesis thinks of them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from databuild.service.api.routes import PREFIX, ROUTES, Route
from databuild.service.http.openapi import openapi_document
from tests.support.served import Served

EXAMPLES = 25
MODES = {"allowed": GenerationMode.POSITIVE, "not-allowed": GenerationMode.NEGATIVE}

# No schema says which partitions there are, and protobuf reads JSON that the schema does not allow, such as null for
# what is not set, and text for numbers.
NOT_CHECKED: list[CheckFunction] = [positive_data_acceptance, negative_data_rejection]


def cases() -> Iterator[object]:
    for route in ROUTES:
        for name, mode in MODES.items():
            has_fields = route.method == "POST" or len(route.request.fields) > len(route.path_fields)
            if has_fields or name == "allowed":
                yield pytest.param(route, mode, id=f"{route.rpc}-{route.media_type[:4]}-{name}")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of a service, and values that exist in it, by the name of the field."""
    started: concurrent.futures.Future[tuple[str, str, asyncio.AbstractEventLoop, asyncio.Event]]
    started = concurrent.futures.Future()

    async def serve() -> None:
        stop = asyncio.Event()
        served = await Served(tmp_path_factory.mktemp("logs")).start()
        build = await served.build("clean/1")
        started.set_result((served.http, build, asyncio.get_running_loop(), stop))
        await stop.wait()
        await served.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    address, build, loop, stop = started.result(60)
    run = f"{build}.1.1"
    yield (
        address,
        {"build_request_id": build, "job_run_id": run, "ref": "clean/1", "job_label": "//:raw", "stream": "stdout"},
    )
    loop.call_soon_threadsafe(stop.set)
    thread.join()


@pytest.mark.parametrize(("route", "mode"), list(cases()))
def test_every_answer_is_one_that_the_document_has_and_none_is_our_fault(
    service: tuple[str, dict[str, str]], route: Route, mode: GenerationMode
) -> None:
    address, known = service
    operation = schemathesis.openapi.from_dict(openapi_document())[PREFIX + route.path][route.method]

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), of_what_is_there=st.booleans())
    def ask(case: schemathesis.Case[Any], of_what_is_there: bool) -> None:
        if of_what_is_there:
            for place in (case.path_parameters, case.query):
                place.update({name: known[name] for name in place if name in known})
            if isinstance(case.body, dict) and "partitions" in case.body:
                case.body["partitions"] = ["raw/1"]
        answer = case.call(base_url=address, timeout=20)
        case.validate_response(answer, excluded_checks=NOT_CHECKED)

    ask()
