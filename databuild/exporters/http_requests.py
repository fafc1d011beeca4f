"""HTTP requests of exporters: they follow no redirections, so that they go only to the address that was configured."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from typing import Final

_MAX_FAULT: Final = 200


def opener(context: ssl.SSLContext | None = None) -> urllib.request.OpenerDirector:
    """Returns an opener that follows no redirections. It uses the proxies of the environment.

    Args:
        context: The certificates for `https:`; None for the public roots.
    """
    director = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=context),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        director.add_handler(handler)
    return director


def fault_of(error: Exception) -> str:
    """Returns the reason why a request had no answer, as a clause without the address, which may be secret."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    text = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    return (text or type(cause).__name__)[:_MAX_FAULT]
