"""What a client is told when it is made, the same for both."""

from __future__ import annotations

import os
from collections.abc import Callable

from databuild.client.connection import Connection, metadata_of
from databuild.client.endpoint import Endpoint, Tls, parse_endpoint
from databuild.client.transport import Transport
from databuild.user import user_name

TOKEN_VARIABLE = "DATABUILD_TOKEN"  # noqa: S105 (its name)


def connection_to(
    endpoint: str,
    make_transport: Callable[[Endpoint, Tls], Transport],
    *,
    token: str | None,
    author: str | None,
    graph: str,
    tls: Tls | None,
    retry_timeout: float,
) -> Connection:
    """Returns a connection to a service; nothing is sent yet.

    Args:
        endpoint: `HOST:PORT`, or `grpcs://HOST:PORT` for TLS.
        make_transport: Makes what carries requests there.
        token: The token to show; None for that of the environment.
        author: Who asks; None for the user of this process.
        graph: The label of the graph that is meant; empty for whichever the service has.
        tls: The files of TLS, which is then spoken; None for none.
        retry_timeout: The seconds for which a service that has answered before is retried.

    Raises:
        InvalidRequestError: That is no address of a service, or a file cannot be read.
    """
    tls = tls or Tls()
    where = parse_endpoint(endpoint)
    if tls:
        where = Endpoint(target=where.target, secure=True)
    if token is None:
        token = os.environ.get(TOKEN_VARIABLE, "")
    metadata = metadata_of(token.strip(), user_name(os.environ) if author is None else author, graph)
    return Connection(make_transport(where, tls), endpoint=str(where), metadata=metadata, retry_timeout=retry_timeout)
