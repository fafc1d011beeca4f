"""OTLP over TLS: an authority of its own, a client certificate, and mistakes about both."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest

from tests.engines.certificates import Certificate, make_certificate
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.script_graph import ScriptGraph

STRICT = ("--exporter=otlp:", "--exporter_failure=fail", "--exporter_seconds=60")
PROTOCOLS = ["http/protobuf", "grpc"]


class Secure(NamedTuple):
    """A receiver that wants a client certificate, its certificate and that of the client."""

    receiver: OtlpReceiver
    own: Certificate
    client: Certificate

    def environ(self, protocol: str, *, authority: str = "", client: bool = True) -> dict[str, str]:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.receiver.grpc if protocol == "grpc" else self.receiver.http,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_CERTIFICATE": authority or self.own.authority,
        }
        if client:
            variables["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"] = self.client.certificate
            variables["OTEL_EXPORTER_OTLP_CLIENT_KEY"] = self.client.key
        return variables


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Secure]:
    own, client = make_certificate(tmp_path, "receiver"), make_certificate(tmp_path, "client")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client.authority)
    context.load_cert_chain(own.certificate, own.key)
    context.verify_mode = ssl.CERT_REQUIRED
    pair = (Path(own.key).read_bytes(), Path(own.certificate).read_bytes())
    authority = Path(client.authority).read_bytes()
    credentials = grpc.ssl_server_credentials([pair], authority, require_client_auth=True)
    receiver = OtlpReceiver(tls=context, credentials=credentials)
    yield Secure(receiver, own, client)
    receiver.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_client_certificate_and_an_authority_of_its_own(graph: ScriptGraph, secure: Secure, protocol: str) -> None:
    code, _, err = graph.run("build", *STRICT, **secure.environ(protocol))
    assert code == 0, err
    assert "build //numbers:graph" in {span.name for span in secure.receiver.spans}
    assert secure.receiver.metrics


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_client_without_a_certificate_is_refused_and_sends_later(
    graph: ScriptGraph, secure: Secure, protocol: str
) -> None:
    flags = ("--exporter=otlp:", "--exporter_seconds=1")
    code, _, err = graph.run("build", *flags, **secure.environ(protocol, client=False))
    assert (code, "not all events were sent to otlp:127.0.0.1:" in err) == (0, True)
    assert secure.receiver.spans == []
    assert graph.run("export", "--exporter=otlp:", **secure.environ(protocol))[0] == 0
    assert "build //numbers:graph" in {span.name for span in secure.receiver.spans}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_receiver_of_another_authority_gets_nothing(graph: ScriptGraph, secure: Secure, protocol: str) -> None:
    flags = ("--exporter=otlp:", "--exporter_seconds=1", "--exporter_failure=fail")
    code, _, err = graph.run("build", *flags, **secure.environ(protocol, authority=secure.client.authority))
    assert code == 3
    assert "certificate" in err.lower()
    assert secure.receiver.spans == []


def test_a_key_that_does_not_fit_the_certificate_is_refused_before_the_build(
    graph: ScriptGraph, secure: Secure
) -> None:
    environ = {**secure.environ("http/protobuf"), "OTEL_EXPORTER_OTLP_CLIENT_KEY": secure.own.key}
    code, out, err = graph.run("build", "--exporter=otlp:", **environ)
    assert (code, out) == (2, "")
    assert "a certificate for OTLP cannot be used: " in err
