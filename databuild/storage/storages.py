"""Opens the storage of a URI by its scheme.

Libraries of object stores are extensions: they are among the runfiles of a graph only if it names them, and are
imported only by a process that uses them.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection, Mapping, Sequence

from databuild.errors import InvalidRequestError, StorageError
from databuild.storage.storage import Storage
from databuild.storage.storage_uri import check_storage_uri, extension_of, without_credentials

_NAMESPACE_PACKAGES = ("google",)
"""Packages that libraries of stores share with those of DataBuild."""


def check_storage(uri: str, extensions: Collection[str]) -> None:
    """Checks a URI, and that the graph has the extension for it.

    Args:
        uri: A URI or an absolute path.
        extensions: The extensions that the graph names.

    Raises:
        InvalidRequestError: The URI is invalid or contains credentials, or the graph does not name its extension.
    """
    check_storage_uri(uri)
    extension = extension_of(uri)
    if extension is not None and extension not in extensions:
        raise InvalidRequestError(
            f"the graph cannot use {without_credentials(uri)!r}; add storage = [{extension!r}] to its databuild_graph"
        )


class Storages:
    """The storages of a process. Each is opened at its first use.

    Args:
        import_paths: The directories of the packages of each extension that the graph names, by extension.
    """

    def __init__(self, import_paths: Mapping[str, Sequence[str]]) -> None:
        self._import_paths = import_paths
        self._opened: dict[str, Storage] = {}
        self._lock = threading.Lock()

    @property
    def extensions(self) -> Collection[str]:
        """The extensions that the graph names."""
        return self._import_paths.keys()

    def for_uri(self, uri: str) -> Storage:
        """Returns the storage of a URI. The first call for a scheme imports its library, which takes some 0.5 seconds.

        Raises:
            InvalidRequestError: As for `check_storage`.
            StorageError: The library cannot be used.
        """
        check_storage(uri, self._import_paths)
        extension = extension_of(uri)
        if extension is None:
            from databuild.storage.local_storage import LocalStorage

            return LocalStorage()
        root = uri[: (uri + "/").index("/", uri.index("://") + 3)]
        with self._lock:
            if root not in self._opened:
                self._opened[root] = self._open(uri, extension)
            return self._opened[root]

    def _open(self, uri: str, extension: str) -> Storage:
        import pkgutil

        sys.path.extend(path for path in self._import_paths[extension] if path not in sys.path)
        for name in _NAMESPACE_PACKAGES:
            # A package that computed its path at its import does not see the directories that were added since.
            if package := sys.modules.get(name):
                package.__path__ = pkgutil.extend_path(package.__path__, name)
        try:
            from databuild.storage.object_storage import ObjectStorage
        except ImportError as error:
            raise StorageError(uri, f"its library cannot be imported: {error}") from error
        return ObjectStorage(uri, extension)
