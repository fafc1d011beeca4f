"""The files of environments: each has a database in a folder of its own, beside the database of the base."""

from __future__ import annotations

import os
import shutil
from typing import Final

from databuild.errors import EventLogError

_FOLDER: Final = "environments"


def environment_path(path: str, environment: str) -> str:
    """Returns the path of the database of an environment; `path` is that of the base."""
    folder, name = os.path.split(path)
    return os.path.join(folder, _FOLDER, environment, name)  # noqa: PTH118


def environments(path: str) -> list[str]:
    """Returns the names of the environments of a database, in order."""
    folder, name = os.path.split(path)
    try:
        names = os.listdir(os.path.join(folder, _FOLDER))  # noqa: PTH118, PTH208
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(one for one in names if os.path.isfile(os.path.join(folder, _FOLDER, one, name)))  # noqa: PTH113, PTH118


def remove_environment(path: str, environment: str) -> None:
    """Removes the folder of an environment, with the job logs in it.

    Raises:
        EventLogError: It cannot be removed.
    """
    database = environment_path(path, environment)
    try:
        shutil.rmtree(os.path.dirname(database))  # noqa: PTH120
    except OSError as error:
        message = f"the environment {environment!r} cannot be removed: {error.strerror}"
        raise EventLogError(message, uri=f"sqlite:{database}") from error
