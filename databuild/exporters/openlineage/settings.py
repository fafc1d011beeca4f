"""The settings of the exporter, from the standard variables and files of OpenLineage.

https://openlineage.io/docs/client/python/configuration defines them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final
from urllib.parse import urljoin

from databuild.errors import InvalidRequestError
from databuild.exporters.http_urls import http_url
from databuild.exporters.openlineage.http_sender import HttpSender
from databuild.exporters.openlineage.senders import NullSender, Sender

_DEFAULT_NAMESPACE: Final = "databuild"
_DEFAULT_ENDPOINT: Final = "api/v1/lineage"
_CONFIG: Final = "OPENLINEAGE_CONFIG"
_FILE: Final = "openlineage.yml"


def namespace_of(environ: Mapping[str, str]) -> str:
    """Returns the namespace of jobs and datasets."""
    return environ.get("OPENLINEAGE_NAMESPACE", "").strip() or _DEFAULT_NAMESPACE


def sender_for(environ: Mapping[str, str]) -> tuple[str, Sender]:
    """Returns the names of the receivers, without secrets, and a sender to them.

    Raises:
        InvalidRequestError: The configuration is invalid, or names no transport.
    """
    if environ.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return "", NullSender()
    file = _config_file(environ)
    url = environ.get("OPENLINEAGE_URL", "").strip()
    if url and not file and not any(name.startswith("OPENLINEAGE__") for name in environ):
        return _http_sender(url, environ)
    from databuild.exporters.openlineage.client_sender import client_sender

    sender = client_sender(environ, file)
    return ",".join(dict.fromkeys(filter(None, sender.receivers))), sender


def _http_sender(url: str, environ: Mapping[str, str]) -> tuple[str, Sender]:
    parts = http_url(url)
    if parts is None:
        raise InvalidRequestError("OPENLINEAGE_URL must be http://HOST:PORT or https://HOST:PORT")
    headers = {}
    if key := environ.get("OPENLINEAGE_API_KEY", ""):
        if not (key.isascii() and key.isprintable()):
            raise InvalidRequestError("OPENLINEAGE_API_KEY has characters that a header cannot have")
        headers["Authorization"] = f"Bearer {key}"
    endpoint = environ.get("OPENLINEAGE_ENDPOINT", "") or _DEFAULT_ENDPOINT
    return parts.netloc.rpartition("@")[2], HttpSender(urljoin(url, endpoint), headers)


def _config_file(environ: Mapping[str, str]) -> str:
    """Returns the configuration file: that of the environment, of the working directory or of the user; else empty."""
    folder = environ.get("BUILD_WORKING_DIRECTORY") or "."
    if name := environ.get(_CONFIG, ""):
        path = os.path.join(folder, name)  # noqa: PTH118 (pathlib takes 1 ms to import)
        if not os.path.isfile(path):  # noqa: PTH113
            raise InvalidRequestError(f"{_CONFIG} names {name!r}, which is no file")
        return path
    places = [f"{folder}/{_FILE}", *([f"{environ['HOME']}/.openlineage/{_FILE}"] if environ.get("HOME") else [])]
    return next((path for path in places if os.path.isfile(path)), "")  # noqa: PTH113
