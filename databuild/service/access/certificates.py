"""Who a client is by its TLS certificate: the common name of its subject or, without one, its first alternative name.

That the certificate leads to the root of clients, TLS has seen to before anything here is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

NAME_IN_STATE: Final = "certificate_name"
"""Where the state of a request over HTTP has the name, if a certificate was shown."""


def name_over_http(certificate: Mapping[str, Any] | None) -> str | None:
    """Returns the name in a certificate as `SSLSocket.getpeercert` gives it; None where none was shown."""
    if not certificate:
        return None
    subject = (pair for part in certificate.get("subject", ()) for pair in part)
    return _first(
        (value for key, value in subject if key == "commonName"),
        (value for _, value in certificate.get("subjectAltName", ())),
    )


def name_over_grpc(context: Mapping[str, Iterable[bytes]]) -> str | None:
    """Returns the name in the certificate that gRPC tells of a connection; None where none was shown."""
    if "x509_pem_cert" not in context:
        return None
    return _first(
        *(
            (value.decode(errors="replace") for value in context.get(key, ()))
            for key in ("x509_common_name", "x509_subject_alternative_name")
        )
    )


def _first(*names: Iterable[str]) -> str:
    return next((name for some in names for name in some if name), "")
