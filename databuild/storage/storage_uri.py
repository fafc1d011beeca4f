"""URIs of files: which scheme they have, and that they contain no credentials.

A URI is recorded in the event log and shown to everybody who may read that. Credentials are for the libraries of the
stores, which take them from the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from databuild.errors import InvalidRequestError

EXTENSIONS: Final[Mapping[str, str]] = {
    "s3": "s3",
    "gs": "gs",
    "abfs": "abfs",
    "az": "abfs",
}
"""The extension of DataBuild that serves each scheme. rules/private/extensions.bzl lists the same schemes."""

_LIBRARIES_EXPAND: Final = "*?["
"""Characters with a meaning for the libraries of object stores, as in patterns of a shell."""

_INVALID_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})|%00|\0")
"""An escape without two hexadecimal digits, or a zero byte, which no path has."""


def check_storage_uri(uri: str) -> None:
    """Checks that a text is an absolute path, a `file:` URI, or a URI of an object store with a bucket.

    Raises:
        InvalidRequestError: It is not, or it contains credentials.
    """
    if local_path(uri) is not None:
        return
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme not in EXTENSIONS:
        known = ", ".join(("file:///", *(f"{scheme}://" for scheme in EXTENSIONS)))
        raise InvalidRequestError(
            f"{without_credentials(uri)!r} is no place for files; it must be an absolute path or begin with {known}"
        )
    authority, _, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    # adlfs has the form CONTAINER@ACCOUNT.
    if ":" in user or (at and EXTENSIONS[scheme] != "abfs") or "?" in uri or "#" in uri:
        raise InvalidRequestError(
            f"{without_credentials(uri)!r} must contain neither a user nor a password nor a query; the library of the "
            "store takes credentials from the environment"
        )
    if not host or any(character in path for character in _LIBRARIES_EXPAND):
        raise InvalidRequestError(
            f"{uri!r} must be SCHEME://BUCKET/PATH, and the path must contain none of {' '.join(_LIBRARIES_EXPAND)}"
        )


def without_credentials(uri: str) -> str:
    """Returns a URI, valid or not, without user, password, query and fragment."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return uri
    rest = rest.partition("?")[0].partition("#")[0]
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    keeps_user = at and ":" not in user and EXTENSIONS.get(scheme) == "abfs"
    return f"{scheme}://{authority if keeps_user else host}{slash}{path}"


def local_path(uri: str) -> str | None:
    """Returns the absolute path of a file on this machine, with the escapes of a URI decoded; None for other URIs.

    Decodes as `databuild.job.locations.file_path` does, which jobs use.

    Raises:
        InvalidRequestError: A `file:` URI has a host, a relative path or an invalid escape.
    """
    if uri.startswith("/"):
        return uri
    if not uri.startswith("file:"):
        return None
    path = uri.removeprefix("file:")
    if path.startswith("//"):
        path = path.removeprefix("//").removeprefix("localhost")
    if not path.startswith("/"):
        raise InvalidRequestError(f"{uri!r} must be file:///PATH with an absolute path")
    if _INVALID_ESCAPE.search(path):
        raise InvalidRequestError(f"{uri!r} has an invalid escape; a percent sign is written as %25")
    return os.fsdecode(unquote_to_bytes(os.fsencode(path)))


def extension_of(uri: str) -> str | None:
    """Returns the name of the extension that serves a valid URI; None for files on this machine."""
    return None if local_path(uri) is not None else EXTENSIONS[urlsplit(uri).scheme]
