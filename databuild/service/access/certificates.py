"""Names of clients from their TLS certificates.

The name is the common name of the subject or, without one, the first subject alternative name. The TLS layer has
already verified the client certificate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

CERTIFICATE_NAME_KEY: Final = "certificate_name"
"""The key of the name in the ASGI `state` of an HTTP request. It is absent without a client certificate."""


def http_certificate_name(certificate: Mapping[str, Any] | None) -> str | None:
    """Returns the name in a certificate; None without one.

    Args:
        certificate: The result of `SSLSocket.getpeercert`.
    """
    if not certificate:
        return None
    # A subject is a sequence of relative distinguished names, each a sequence of (key, value) pairs.
    subject = (pair for part in certificate.get("subject", ()) for pair in part)
    return _first_nonempty(
        (value for key, value in subject if key == "commonName"),
        (value for _, value in certificate.get("subjectAltName", ())),
    )


def grpc_certificate_name(auth_context: Mapping[str, Iterable[bytes]]) -> str | None:
    """Returns the name in a certificate; None without one.

    Args:
        auth_context: The result of `ServicerContext.auth_context`.
    """
    if "x509_pem_cert" not in auth_context:
        return None
    return _first_nonempty(
        *(
            (value.decode(errors="replace") for value in auth_context.get(key, ()))
            for key in ("x509_common_name", "x509_subject_alternative_name")
        )
    )


def _first_nonempty(*groups: Iterable[str]) -> str:
    return next((name for group in groups for name in group if name), "")
