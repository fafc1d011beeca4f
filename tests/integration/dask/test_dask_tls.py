"""Certificates between the executor and a cluster of Dask."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from databuild.errors import ExecutorError
from databuild.executors.dask.dask_executor import DaskExecutor
from databuild.executors.registry import ExecutorOptions
from databuild.model.client_tls import ClientTls
from tests.engines.cluster import Cluster
from tests.integration.dask.conftest import Open
from tests.support.executors import Runs

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Certificates(NamedTuple):
    """Two authorities, and a certificate of each."""

    ours: ClientTls
    foreign: ClientTls


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    return Certificates(*(_make(folder, name) for name in ("ours", "foreign")))


@pytest.fixture(scope="module")
def secure(certificates: Certificates) -> Iterator[Cluster]:
    tls = certificates.ours
    with Cluster(tls=["--tls-ca-file", tls.authority, "--tls-cert", tls.certificate, "--tls-key", tls.key]) as cluster:
        yield cluster


async def test_runs_over_tls(secure: Cluster, opened: Open, runs: Runs, certificates: Certificates) -> None:
    executor = await opened(secure, ExecutorOptions(tls=certificates.ours))

    result = await executor.run(runs.shell("echo out; exit 3"))

    assert (result.exit_code, runs.stdout.read_text()) == (3, "out\n")
    assert executor.uri.startswith("dask+tls://")


async def fault_of(uri: str, tls: ClientTls) -> str:
    executor = DaskExecutor(uri, ExecutorOptions(tls=tls))
    with pytest.raises(ExecutorError) as refused:
        await executor.connect()
    assert refused.value.uri == uri
    return refused.value.fault


async def test_a_scheduler_of_another_authority_is_not_trusted(secure: Cluster, certificates: Certificates) -> None:
    fault = await fault_of(secure.uri, certificates.foreign)

    assert fault.startswith("its certificate is not trusted: ")
    assert "name the authority that signed it" in fault


async def test_a_certificate_of_another_authority_is_refused(secure: Cluster, certificates: Certificates) -> None:
    ours, foreign = certificates
    tls = ClientTls(authority=ours.authority, certificate=foreign.certificate, key=foreign.key)

    fault = await fault_of(secure.uri, tls)

    assert fault.startswith("it refuses the certificate of this client ")
    assert "use one that its own authority has signed" in fault


@pytest.mark.parametrize("missing", ["authority", "certificate"])
async def test_missing_files_are_asked_for(secure: Cluster, certificates: Certificates, missing: str) -> None:
    tls = ClientTls(**{**vars_of(certificates.ours), missing: ""})

    assert "Dask uses certificates of its own for both sides; name the authority" in await fault_of(secure.uri, tls)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("authority", lambda tls: "/no/such/file"),
        ("certificate", lambda tls: "/no/such/file"),
        ("key", lambda tls: "/no/such/file"),
        ("key", lambda tls: tls.certificate),
    ],
)
async def test_files_that_cannot_be_used_are_named(
    secure: Cluster, certificates: Certificates, name: str, change: Callable[[ClientTls], str]
) -> None:
    tls = ClientTls(**{**vars_of(certificates.ours), name: change(certificates.ours)})

    fault = await fault_of(secure.uri, tls)

    assert "cannot be used for TLS: " in fault
    assert (tls.authority if name == "authority" else tls.certificate) in fault


async def test_a_cluster_without_tls_says_so(cluster: Cluster, certificates: Certificates) -> None:
    fault = await fault_of(cluster.uri.replace("dask://", "dask+tls://"), certificates.ours)

    assert fault == "it does not speak TLS; use dask://, or start the cluster with certificates"


async def test_a_cluster_with_tls_says_so(secure: Cluster) -> None:
    uri = secure.uri.replace("dask+tls://", "dask://")

    assert await fault_of(uri, ClientTls()) == f"it speaks TLS; use {secure.uri}"


def vars_of(tls: ClientTls) -> dict[str, str]:
    return {"authority": tls.authority, "certificate": tls.certificate, "key": tls.key}


def _make(folder: Path, name: str) -> ClientTls:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-keyout", f"{name}-ca.key", "-out", f"{name}-ca.pem", "-subj", f"/CN={name}-ca")
    openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    signed = ("-CA", f"{name}-ca.pem", "-CAkey", f"{name}-ca.key", "-CAcreateserial")
    openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem")
    authority, certificate, private = (str(folder / f"{name}{end}") for end in ("-ca.pem", ".pem", ".key"))
    return ClientTls(authority=authority, certificate=certificate, key=private)
