"""The settings of OTLP exporters, from the standard variables of OpenTelemetry.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/ and
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ define the variables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

from databuild.errors import InvalidRequestError
from databuild.exporters.http_urls import http_url
from databuild.tuples import NamedTuple

TRACES: Final = "traces"
METRICS: Final = "metrics"
LOGS: Final = "logs"

GRPC: Final = "grpc"
HTTP: Final = "http/protobuf"

_PREFIX: Final = "OTEL_EXPORTER_OTLP_"
_DEFAULT_ENDPOINTS: Final = {GRPC: "http://localhost:4317", HTTP: "http://localhost:4318"}
_HEADER_NAME: Final = re.compile(r"[0-9a-z!#$%&'*+.^_`|~-]+")


class Endpoint(NamedTuple):
    """The receiver of one signal.

    Attributes:
        signal: TRACES, METRICS or LOGS.
        protocol: GRPC or HTTP.
        url: The URL of a request over HTTP; for gRPC only its host and port count.
        secure: True for TLS.
        headers: The headers of each request, by name in lower case.
        seconds: The time limit of a request.
        gzip: True to compress requests.
        authority: The file with the certificate that signed that of the receiver; empty for the public roots.
        certificate: The file with the certificate of this client; empty for none.
        key: The file with the key of that certificate.
    """

    signal: str
    protocol: str
    url: str
    secure: bool
    headers: Mapping[str, str]
    seconds: float
    gzip: bool
    authority: str = ""
    certificate: str = ""
    key: str = ""

    @property
    def host(self) -> str:
        """The host and the port, without a user."""
        return urlsplit(self.url).netloc.rpartition("@")[2]


class Settings(NamedTuple):
    """The settings of an exporter.

    Attributes:
        endpoints: The receivers of the signals that are sent, by signal.
        resource: The attributes of the resource.
        metric_seconds: The minimum interval between metrics during a build.
        max_span_events: The maximum number of events of a span.
        max_links: The maximum number of links of a span.
    """

    endpoints: Mapping[str, Endpoint]
    resource: Mapping[str, str]
    metric_seconds: float
    max_span_events: int
    max_links: int


def settings_from(environ: Mapping[str, str]) -> Settings:
    """Returns the settings of an environment.

    Raises:
        InvalidRequestError: A variable is invalid.
    """
    signals = [] if _is_true(environ, "OTEL_SDK_DISABLED") else [TRACES, METRICS]
    signals = [signal for signal in signals if "otlp" in _exporters(environ, signal, default="otlp")]
    # Logs are large, so they are sent only if the environment says so.
    if "otlp" in _exporters(environ, LOGS, default="none") and not _is_true(environ, "OTEL_SDK_DISABLED"):
        signals.append(LOGS)
    resource = {"service.name": "databuild", **_pairs(environ, "OTEL_RESOURCE_ATTRIBUTES")}
    if name := environ.get("OTEL_SERVICE_NAME"):
        resource["service.name"] = name
    return Settings(
        endpoints={signal: _endpoint(environ, signal) for signal in signals},
        resource=resource,
        metric_seconds=_number(environ, "OTEL_METRIC_EXPORT_INTERVAL", 60_000) / 1000,
        max_span_events=_number(environ, "OTEL_SPAN_EVENT_COUNT_LIMIT", 128),
        max_links=_number(environ, "OTEL_SPAN_LINK_COUNT_LIMIT", 128),
    )


def _endpoint(environ: Mapping[str, str], signal: str) -> Endpoint:
    def setting(name: str) -> str:
        return environ.get(f"{_PREFIX}{signal.upper()}_{name}") or environ.get(_PREFIX + name) or ""

    protocol = setting("PROTOCOL") or HTTP
    if protocol not in _DEFAULT_ENDPOINTS:
        raise InvalidRequestError(
            f"{_PREFIX}PROTOCOL is {protocol!r}; DataBuild sends {' and '.join(_DEFAULT_ENDPOINTS)}"
        )
    own = environ.get(f"{_PREFIX}{signal.upper()}_ENDPOINT", "")
    url = own or environ.get(f"{_PREFIX}ENDPOINT") or _DEFAULT_ENDPOINTS[protocol]
    if protocol == GRPC and "://" not in url:
        url = f"{'http' if setting('INSECURE').lower() == 'true' else 'https'}://{url}"
    if http_url(url) is None:
        raise InvalidRequestError(f"{_PREFIX}ENDPOINT must be http://HOST:PORT or https://HOST:PORT")
    if protocol == HTTP and not own:
        url = f"{url.rstrip('/')}/v1/{signal}"
    compression = setting("COMPRESSION")
    if compression not in {"", "none", "gzip"}:
        raise InvalidRequestError(f"{_PREFIX}COMPRESSION is {compression!r}; it must be gzip or none")
    general, specific = f"{_PREFIX}HEADERS", f"{_PREFIX}{signal.upper()}_HEADERS"
    headers = _pairs(environ, specific if environ.get(specific) else general)
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name.lower()) or not (value.isascii() and value.isprintable()):
            raise InvalidRequestError(f"{general} has a header that cannot be sent: {name!r}")
    timeout = specific if environ.get(specific := f"{_PREFIX}{signal.upper()}_TIMEOUT") else f"{_PREFIX}TIMEOUT"
    return Endpoint(
        signal=signal,
        protocol=protocol,
        url=url,
        secure=url.startswith("https:"),
        headers={name.lower(): value for name, value in headers.items()},
        seconds=_number(environ, timeout, 10_000) / 1000,
        gzip=compression == "gzip",
        authority=setting("CERTIFICATE"),
        certificate=setting("CLIENT_CERTIFICATE"),
        key=setting("CLIENT_KEY"),
    )


def _exporters(environ: Mapping[str, str], signal: str, *, default: str) -> set[str]:
    text = environ.get(f"OTEL_{signal.upper()}_EXPORTER") or default
    return {name.strip() for name in text.split(",")}


def _pairs(environ: Mapping[str, str], name: str) -> dict[str, str]:
    """Returns the pairs `NAME=VALUE,...` of a variable; values are escaped as in URLs."""
    pairs = {}
    for text in environ.get(name, "").split(","):
        key, separator, value = text.partition("=")
        if not text.strip():
            continue
        if not (separator and key.strip()):
            raise InvalidRequestError(f"{name} must be NAME=VALUE,...")
        pairs[unquote(key.strip())] = unquote(value.strip())
    return pairs


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not text.isdecimal():
        raise InvalidRequestError(f"{name} is {text!r}; it must be a whole number")
    return int(text)


def _is_true(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").strip().lower() == "true"
