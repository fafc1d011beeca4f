"""The exporter to OpenTelemetry is configured by the standard variables alone."""

from __future__ import annotations

import pytest

from databuild.errors import InvalidRequestError
from databuild.exporters.otlp.settings import GRPC, HTTP, LOGS, METRICS, TRACES, settings_from


def test_without_variables_traces_and_metrics_go_to_this_machine_over_http() -> None:
    settings = settings_from({})

    assert settings.endpoints.keys() == {TRACES, METRICS}
    traces = settings.endpoints[TRACES]
    assert (traces.protocol, traces.url, traces.secure) == (HTTP, "http://localhost:4318/v1/traces", False)
    assert (traces.headers, traces.seconds, traces.gzip) == ({}, 10.0, False)
    assert settings.endpoints[METRICS].url == "http://localhost:4318/v1/metrics"
    assert settings.resource == {"service.name": "databuild"}
    assert (settings.metric_seconds, settings.max_span_events, settings.max_links) == (60.0, 128, 128)


@pytest.mark.parametrize(
    ("variables", "url", "secure"),
    [
        ({}, "http://localhost:4317", False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://host:1/"}, "https://host:1/", True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "host:1"}, "https://host:1", True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "host:1", "OTEL_EXPORTER_OTLP_INSECURE": "true"}, "http://host:1", False),
    ],
)
def test_endpoints_of_grpc(variables: dict[str, str], url: str, secure: bool) -> None:
    endpoint = settings_from({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", **variables}).endpoints[TRACES]

    assert (endpoint.protocol, endpoint.url, endpoint.secure) == (GRPC, url, secure)


def test_the_variables_of_a_signal_override_the_others() -> None:
    endpoints = settings_from(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://user@all:1/base/",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://traces:2/as/it/is",
            "OTEL_EXPORTER_OTLP_HEADERS": "X-One=1, two=a%20b",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-three=3",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2500",
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "500",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "none",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": "/ca.pem",
            "OTEL_LOGS_EXPORTER": "console,otlp",
        }
    ).endpoints

    traces, logs = endpoints[TRACES], endpoints[LOGS]
    assert (traces.url, logs.url) == ("http://traces:2/as/it/is", "https://user@all:1/base/v1/logs")
    assert (traces.host, logs.host) == ("traces:2", "all:1")
    assert (traces.headers, logs.headers) == ({"x-three": "3"}, {"x-one": "1", "two": "a b"})
    assert (traces.seconds, logs.seconds) == (0.5, 2.5)
    assert (traces.gzip, logs.gzip) == (False, True)
    assert (traces.authority, logs.authority) == ("/ca.pem", "/ca.pem")


@pytest.mark.parametrize(
    ("variables", "signals"),
    [
        ({"OTEL_TRACES_EXPORTER": "none"}, {METRICS}),
        ({"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_LOGS_EXPORTER": "none"}, {TRACES}),
        ({"OTEL_LOGS_EXPORTER": "otlp"}, {TRACES, METRICS, LOGS}),
        ({"OTEL_LOGS_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "True"}, set()),
    ],
)
def test_signals_are_chosen_by_their_exporters(variables: dict[str, str], signals: set[str]) -> None:
    assert settings_from(variables).endpoints.keys() == signals


def test_the_resource_has_the_attributes_of_the_environment() -> None:
    attributes = {"OTEL_RESOURCE_ATTRIBUTES": "service.name=x,team=data%2Ceng"}

    assert settings_from(attributes).resource == {"service.name": "x", "team": "data,eng"}
    assert settings_from({**attributes, "OTEL_SERVICE_NAME": "y"}).resource["service.name"] == "y"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "DataBuild sends grpc and http/protobuf"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://h", "must be http://HOST:PORT or https://HOST:PORT"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:port", "must be http://HOST:PORT or https://HOST:PORT"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:70000", "must be http://HOST:PORT or https://HOST:PORT"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1", "must be http://HOST:PORT or https://HOST:PORT"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "must be gzip or none"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x", "must be NAME=VALUE"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x=a%0Ab", "a header that cannot be sent: 'x'"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1s", "must be a whole number"),
    ],
)
def test_a_variable_that_is_invalid_is_named(name: str, value: str, said: str) -> None:
    with pytest.raises(InvalidRequestError, match=name) as refused:
        settings_from({name: value})
    assert said in str(refused.value)
