"""Certificates, credentials, and a Build Event Service that does not keep to its protocol."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.engines.certificates import Certificate, make_certificate
from tests.support.bes_server import BesServer
from tests.support.script_graph import ScriptGraph


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[ScriptGraph]:
    graph = ScriptGraph(tmp_path, default_partitions=("number/ab",))
    graph.write_catalog(extensions={"bes": {}})
    yield graph
    graph.close()


@pytest.fixture
def server() -> Iterator[BesServer]:
    server = BesServer()
    yield server
    server.stop()


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[BesServer, Certificate, Certificate]]:
    """Returns a service that wants a client certificate, its certificate and that of the client."""
    own, client = make_certificate(tmp_path, "service"), make_certificate(tmp_path, "client")
    pair = (Path(own.key).read_bytes(), Path(own.certificate).read_bytes())
    authority = Path(client.authority).read_bytes()
    server = BesServer(grpc.ssl_server_credentials([pair], authority, require_client_auth=True))
    yield server, own, client
    server.stop()


def test_tls_with_a_client_certificate(graph: ScriptGraph, secure: tuple[BesServer, Certificate, Certificate]) -> None:
    server, own, client = secure
    uri = server.uri.replace("grpc:", "grpcs:")
    files = [f"--tls_client_certificate={client.certificate}", f"--tls_client_key={client.key}"]
    flags = [
        f"--exporter={uri}",
        f"--tls_certificate={own.authority}",
        "--exporter_failure=fail",
        "--exporter_seconds=60",
    ]
    code, _, err = graph.run("build", *flags, *files)
    assert code == 0, err
    assert server.only_stream().finished
    assert not server.faults


@pytest.mark.parametrize(
    ("secure_scheme", "authority", "hint"),
    [
        (True, "client", "its certificate is not trusted"),
        (False, "", "write grpcs:// instead of grpc://"),
    ],
)
def test_a_mistake_about_tls_is_explained(
    graph: ScriptGraph,
    secure: tuple[BesServer, Certificate, Certificate],
    secure_scheme: bool,
    authority: str,
    hint: str,
) -> None:
    server, _, client = secure
    uri = server.uri.replace("grpc:", "grpcs:") if secure_scheme else server.uri
    flags = [f"--tls_certificate={client.authority}"] if authority else []
    code, _, err = graph.run("build", f"--exporter={uri}", "--exporter_seconds=1", *flags)
    assert code == 0
    assert hint in err


def test_a_credential_helper_is_asked_for_headers_and_again_after_they_were_refused(
    graph: ScriptGraph, server: BesServer
) -> None:
    helper = graph.folder / "helper"
    helper.write_text(
        '#!/bin/sh\ncd "${0%/*}"\ncat >>asked\necho x >>times\n'
        'echo "{\\"headers\\": {\\"authorization\\": [\\"token $(wc -l <times | tr -d " ")\\"]}}"\n'
    )
    helper.chmod(0o755)
    server.wants = ("authorization", "token 2")
    flags = [
        "--exporter_failure=fail",
        "--exporter_seconds=60",
        f"--exporter={server.uri}",
        f"--credential_helper={helper}",
    ]
    code, _, err = graph.run("build", *flags)
    assert code == 0, err
    assert "it does not accept the credentials" in err
    assert server.only_stream().finished
    assert f"http://127.0.0.1:{server.port}/" in (graph.folder / "asked").read_text()


def test_a_service_that_acknowledges_nothing_gets_the_build_again(graph: ScriptGraph, server: BesServer) -> None:
    server.acknowledges = False
    code, _, err = graph.run("build", "--exporter_seconds=0.2", f"--exporter={server.uri}")
    assert (code, "not all events were sent" in err) == (0, True)
    server.acknowledges = True
    assert graph.run("export", f"--exporter={server.uri}")[0] == 0
    stream = server.only_stream()
    assert stream.finished
    assert stream.repeated >= len(stream.stored)
    assert not server.faults


def test_an_acknowledgement_out_of_order_is_a_fault_and_the_rest_is_sent_again(
    graph: ScriptGraph, server: BesServer
) -> None:
    server.skips = 5
    code, _, err = graph.run("build", "--exporter_failure=fail", "--exporter_seconds=60", f"--exporter={server.uri}")
    assert code == 0, err
    assert (server.only_stream().finished, server.calls) == (True, 2)
    assert not server.faults


def test_a_service_may_have_no_lifecycle_events(graph: ScriptGraph, server: BesServer) -> None:
    server.has_lifecycle = False
    assert graph.run("build", "--exporter_failure=fail", "--exporter_seconds=60", f"--exporter={server.uri}")[0] == 0
    assert server.only_stream().finished
