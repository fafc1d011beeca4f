"""The import of asyncio without the modules that few of its users need, which take a third of the time."""

from __future__ import annotations

import sys

from databuild.lazy_modules import load_on_first_use

_TLS = "asyncio.sslproto"
_FOR_MESSAGES = ("inspect", "locale", "textwrap", "tokenize")


def import_asyncio() -> None:
    """Imports asyncio; the modules left out are loaded when something uses them, such as a connection with TLS."""
    for name in ("ssl", _TLS, *_FOR_MESSAGES):
        load_on_first_use(name)
    import asyncio

    vars(asyncio)["sslproto"] = sys.modules[_TLS]  # as an import of that module would do
