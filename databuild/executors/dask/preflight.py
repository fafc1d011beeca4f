"""Finds out in plain words why a scheduler of Dask cannot be used, before the client of Dask tries for long."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from typing import Any, Final

from databuild.model.client_tls import ClientTls

SECONDS: Final = 10.0
"""The maximum time for a connection."""

_SILENCE_SECONDS: Final = 5.0


def tls_context(tls: ClientTls) -> tuple[ssl.SSLContext, str]:
    """Returns the settings for TLS, and the fault of the files; empty if there is none."""
    context = ssl.create_default_context()
    if not (tls.authority and tls.certificate):
        return context, (
            "Dask uses certificates of its own for both sides; name the authority, and the certificate and key of this "
            "client, for TLS"
        )
    name = tls.authority
    try:
        context = ssl.create_default_context(cafile=tls.authority)
        context.check_hostname = False  # as in Dask: machines of a cluster share a certificate
        name = tls.certificate
        context.load_cert_chain(tls.certificate, tls.key or None)
    except OSError as error:
        return context, f"the file {name}, or its key, cannot be used for TLS: {error.strerror or error}"
    return context, ""


async def connection_fault(host: str, port: int, context: ssl.SSLContext | None) -> str:
    """Returns the reason why there is no scheduler at an address, with the next step; empty if there is one.

    Args:
        host: The host.
        port: The port.
        context: The settings for TLS; None for a connection without TLS.
    """
    try:
        spoke = await _speaks(host, port, context)
    except OSError as error:
        return _explain(error)
    if spoke:
        return ""
    if context is None and await _speaks_tls(host, port):
        return f"it speaks TLS; use dask+tls://{host}:{port}"
    return "it is not a scheduler of Dask; check the port, which is not that of the dashboard"


def cluster_fault(facts: Mapping[str, Any], version: str) -> str:
    """Returns the reason why a cluster does not fit, with the next step; empty if it fits.

    Args:
        facts: The answer of the plugin on the scheduler (`RunRegistry.describe`).
        version: The version of distributed here.
    """
    if facts["allowed_failures"] != 0:
        return (
            f"Dask would start a job again up to {facts['allowed_failures']} times when its worker dies, and only "
            "DataBuild knows which jobs may be tried again; start the scheduler with "
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=0 in its environment"
        )
    faults = (version_fault(f"worker {worker}", found, version) for worker, found in facts["workers"].items())
    return next(filter(None, faults), "")


def version_fault(machine: str, found: str, expected: str) -> str:
    """Returns the reason why a machine with a version of distributed does not fit to another; empty if it fits."""
    if found == expected:
        return ""
    return (
        f"its {machine} has version {found or 'unknown'} of distributed, and this client {expected}; install the same "
        "version on all machines"
    )


async def _speaks(host: str, port: int, context: ssl.SSLContext | None) -> bool:
    """Returns True if a server begins to speak, as a scheduler does."""
    async with asyncio.timeout(SECONDS):
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        async with asyncio.timeout(_SILENCE_SECONDS):
            return bool(await reader.read(1))
    except TimeoutError:
        return False
    except ConnectionResetError:
        return False
    finally:
        await _close(writer)


async def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except OSError:
        return False
    await _close(writer)
    return True


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _explain(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}; name the authority that signed it for TLS"
    if isinstance(error, ssl.SSLError):
        return _explain_tls(error.reason or str(error))
    if isinstance(error, TimeoutError):
        return f"it does not answer within {SECONDS:g} s; check the address, and that no firewall is in between"
    return f"it cannot be reached: {error.strerror or error}; check the address, and that the scheduler runs"


def _explain_tls(reason: str) -> str:
    if "WRONG_VERSION" in reason or "RECORD_LAYER" in reason:
        return "it does not speak TLS; use dask://, or start the cluster with certificates"
    if "UNKNOWN_CA" in reason or "CERTIFICATE" in reason:
        return f"it refuses the certificate of this client ({reason}); use one that its own authority has signed"
    return f"TLS fails: {reason}"
