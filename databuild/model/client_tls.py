"""The files of a TLS client."""

from __future__ import annotations

from databuild.tuples import NamedTuple


class ClientTls(NamedTuple):
    """Files of a TLS client, in PEM. Empty paths mean none.

    Attributes:
        authority: The certificate that signed that of the server; empty for the public roots.
        certificate: The certificate of this client.
        key: The key of that certificate.
    """

    authority: str = ""
    certificate: str = ""
    key: str = ""
