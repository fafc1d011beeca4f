"""The import of gRPC for blocking calls, without modules that only asyncio and TLS need, a third of the time."""

from __future__ import annotations

from databuild.lazy_modules import load_on_first_use


def import_grpc() -> None:
    """Imports gRPC; the modules left out are loaded when something uses them, such as a server for asyncio."""
    # The package imports `grpc.aio`, has a name from `typing_extensions` in an annotation, and reads the public root
    # certificates with `pkgutil`.
    for name in ("grpc.aio", "pkgutil", "typing_extensions"):
        load_on_first_use(name)
    import grpc  # noqa: F401 - whatever is imported later uses it
