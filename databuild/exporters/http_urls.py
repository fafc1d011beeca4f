"""Addresses of receivers over HTTP and gRPC, as the environment and flags give them."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def http_url(url: str) -> SplitResult | None:
    """Returns the parts of an `http:` or `https:` URL; None if it is none, or has no host or no valid port."""
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bracket without the other one, or a port that is no number or too large
        return None
    return parts if is_valid else None
