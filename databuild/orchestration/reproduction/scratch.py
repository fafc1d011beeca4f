"""The scratch folder of a reproduction: a tree with the paths of this machine, in which only recorded inputs exist.

The file `/data/day.parquet` of this machine is `ROOT/data/day.parquet` in it. A job that starts in the working
directory of the tree writes below it by relative paths, and `databuild.job` redirects absolute paths to it
(`databuild/job/scratch.py`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from databuild.errors import InvalidRequestError
from databuild.job.locations import DATA_ROOT_VARIABLE, file_path
from databuild.job.scratch import SCRATCH_VARIABLE
from databuild.model.records import Location


class Scratch:
    """A scratch folder.

    Attributes:
        folder: The folder, an absolute path.
        root: The root of the tree in it.
    """

    def __init__(self, folder: Path) -> None:
        """Creates the folder if it does not exist.

        Raises:
            InvalidRequestError: It is not empty, or cannot be created.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            is_empty = next(folder.iterdir(), None) is None
        except OSError as error:
            raise InvalidRequestError(f"the scratch folder {folder} cannot be used: {error.strerror}") from error
        if not is_empty:
            raise InvalidRequestError(f"the scratch folder {folder} is not empty; choose another one")
        self.folder = folder.resolve()
        self.root = self.folder / "root"
        self.root.mkdir()

    def path(self, original: str) -> Path:
        """Returns the path in the tree for an absolute path of this machine."""
        return Path(f"{self.root}{os.path.normpath(original)}")

    def original(self, path: str) -> str:
        """Returns the path of this machine for a path in the tree; other paths stay as they are."""
        return path.removeprefix(str(self.root)) if path.startswith(f"{self.root}/") else path

    def make_folder(self, original: str) -> str:
        """Creates a folder of the tree, and returns its path."""
        path = self.path(original)
        path.mkdir(parents=True, exist_ok=True)
        return str(path)

    def link(self, location: Location) -> bool:
        """Links the files at a location into the tree, if it is a path of this machine. Returns False if it is not.

        The files of a folder are linked one by one, so that what a job adds to the folder stays in the tree.
        """
        try:
            original = file_path(location.uri).rstrip("/")
        except ValueError:
            return False
        if not Path(original).is_dir():
            self._link(original)
            return True
        for folder, _, names in os.walk(original):
            self.make_folder(folder)
            for name in names:
                self._link(f"{folder}/{name}")
        return True

    def environment(self, environ: Mapping[str, str], *, workspace: str, working_directory: str) -> dict[str, str]:
        """Returns the environment of jobs with the folders of the tree in place of those of this machine.

        Args:
            environ: The environment of jobs.
            workspace: The workspace.
            working_directory: The working directory of the job.
        """
        changed = {
            **environ,
            SCRATCH_VARIABLE: str(self.root),
            "BUILD_WORKSPACE_DIRECTORY": self.make_folder(workspace),
            "BUILD_WORKING_DIRECTORY": self.make_folder(working_directory),
            "PWD": self.make_folder(working_directory),
        }
        data_root = environ.get(DATA_ROOT_VARIABLE, "")
        if data_root.startswith("/"):
            changed[DATA_ROOT_VARIABLE] = str(self.path(data_root))
        return changed

    def _link(self, original: str) -> None:
        path = self.path(original)
        path.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(path):  # it belongs to two inputs
            return
        try:
            # Not a symbolic link, since `databuild.job` does not follow those in a folder.
            path.hardlink_to(Path(original).resolve())
        except OSError:  # on another file system, or of another user
            path.symlink_to(original)
