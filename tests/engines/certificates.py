"""Certificates for TLS tests, made by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Certificate(NamedTuple):
    """Paths of files in PEM.

    Attributes:
        authority: The certificate of the authority that signed the certificate.
        certificate: The certificate.
        key: Its key.
    """

    authority: str
    certificate: str
    key: str


def make_certificate(folder: Path, name: str, *, host: str = "IP:127.0.0.1,DNS:localhost") -> Certificate:
    """Makes an authority and a certificate that it signed.

    Args:
        folder: The folder for the files.
        name: The beginning of their names.
        host: The names of the host, in the form of OpenSSL.
    """

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    authority = ("-keyout", f"{name}-ca.key", "-out", f"{name}-ca.pem", "-subj", f"/CN={name}-ca")
    openssl("req", "-x509", *_KEY, *authority)
    openssl("req", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    (folder / f"{name}.extensions").write_text(f"subjectAltName={host}\n")
    signed = ("-CA", f"{name}-ca.pem", "-CAkey", f"{name}-ca.key", "-CAcreateserial")
    openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-extfile", f"{name}.extensions", "-out", f"{name}.pem")
    return Certificate(*(str(folder / file) for file in (f"{name}-ca.pem", f"{name}.pem", f"{name}.key")))
