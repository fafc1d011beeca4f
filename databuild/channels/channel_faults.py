"""Faults of TLS, in words."""

from __future__ import annotations

from typing import Final

_BY_TEXT: Final = (
    (
        "CERTIFICATE_VERIFY_FAILED",
        "its certificate is not trusted; pass the certificate of the authority that signed it",
    ),
    ("Hostname Verification", "its certificate is for another host name; use the name in the certificate"),
    ("Peer name", "its certificate is for another host name; use the name in the certificate"),
    ("CERTIFICATE_REQUIRED", "it wants a client certificate; pass one with its key"),
    ("WRONG_VERSION_NUMBER", "it does not use TLS; write {plain} instead of {secure}, or configure TLS there"),
)
"""Parts of messages of gRPC and BoringSSL, and what they mean."""


def tls_fault(details: str, *, plain: str, secure: str) -> str:
    """Returns the meaning of a message of gRPC, with the next step; empty if it is not about TLS.

    Args:
        details: The message.
        plain: The scheme of addresses without TLS, such as `reapi://`.
        secure: The scheme of addresses with TLS.
    """
    fault = next((fault for text, fault in _BY_TEXT if text in details), "")
    return fault.format(plain=plain, secure=secure)
