"""The standard variables of OpenTelemetry enable telemetry. Each test uses a new process: providers are set once."""

from __future__ import annotations

import os
import subprocess

import pytest

from databuild.orchestration.telemetry.telemetry_setup import telemetry_from_environment
from tools.python import child

PROGRAM = """
import os, sys
{before}
from databuild.orchestration.telemetry.telemetry_setup import telemetry_from_environment
from databuild.v1 import events_pb2 as ev
telemetry = telemetry_from_environment(os.environ, lambda text: print("warned:", text))
if telemetry is not None:
    with telemetry.span("databuild.build", {{}}):
        telemetry.observe(ev.BuildEvent(build_request=ev.BuildRequestEvent(status=ev.BUILD_STATUS_COMPLETED)))
print("telemetry:", telemetry is not None)
print("imported:", any(name.startswith("opentelemetry") for name in sys.modules))
"""


def said(before: str = "", **variables: str) -> str:
    """Returns the output of a process that is set up from these variables."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    command = child.command("-c", PROGRAM.format(before=before))
    result = subprocess.run(command, env={**environ, **variables}, check=True, capture_output=True, timeout=60)
    return result.stdout.decode()


def warnings_of(**variables: str) -> list[str]:
    """Returns the warnings of a set-up in this process, which does not enable telemetry."""
    warnings: list[str] = []
    assert telemetry_from_environment(variables, warnings.append) is None
    return warnings


def test_traces_and_metrics_are_exported_when_the_process_exits() -> None:
    output = said(OTEL_TRACES_EXPORTER="console", OTEL_METRICS_EXPORTER="console")

    assert '"name": "databuild.build"' in output
    assert '"name": "databuild.builds"' in output
    assert '"service.name": "databuild"' in output
    assert "warned" not in output


def test_the_service_name_of_the_environment_counts() -> None:
    output = said(OTEL_TRACES_EXPORTER="console", OTEL_SERVICE_NAME="nightly")

    assert '"service.name": "nightly"' in output
    assert '"name": "databuild.builds"' not in output


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_SERVICE_NAME": "nightly"},
    ],
)
def test_nothing_is_imported_where_nothing_asks_for_it(variables: dict[str, str]) -> None:
    assert said(**variables) == "telemetry: False\nimported: False\n"


def test_a_missing_sdk_is_named_in_one_line() -> None:
    output = said("sys.modules['opentelemetry.sdk.trace'] = None", OTEL_EXPORTER_OTLP_ENDPOINT="http://localhost:1")

    warning, outcome, _ = output.splitlines()
    assert warning.startswith("warned: telemetry is off: an OTEL_* variable enables it, but the OpenTelemetry SDK is")
    assert outcome == "telemetry: False"


def test_an_exporter_that_is_not_installed_is_named() -> None:
    assert warnings_of(OTEL_TRACES_EXPORTER="nothing") == [
        "telemetry is off: no installed package has the exporter 'nothing' for traces"
    ]


def test_a_protocol_that_otlp_does_not_have_is_named() -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "smtp"}

    assert warnings_of(**variables) == [
        "telemetry is off: the OTLP protocol 'smtp' is not supported; it must be grpc or http/protobuf"
    ]
