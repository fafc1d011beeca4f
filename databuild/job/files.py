"""Files that are complete or absent, as partitions are."""

# pathlib takes longer to import than a config function takes to run.
# ruff: noqa: PTH103, PTH105, PTH108, PTH110, PTH118, PTH120, PTH123
import os

from databuild.job.scratch import path_to_read, path_to_write

TYPE_CHECKING = False
if TYPE_CHECKING:
    import hashlib
    from types import TracebackType


_unfinished: "set[str]" = set()
_MAX_NAME = 255  # bytes of a file name on most file systems


class writing:  # noqa: N801 - read as a verb: with writing(path) as temporary
    """Writes a file atomically: to a temporary path beside it, which replaces `path` at the end of the block.

        with writing("data/report.csv") as temporary, open(temporary, "w") as file:
            file.write(...)

    If the block raises or the process dies, an earlier file at `path` is unchanged. Missing folders are created. In a
    reproduction, the file is written to the scratch folder.

    Args:
        path: The path of the file.
        sync: True to wait until the data is on the disk, so that it survives a loss of power.
    """

    def __init__(self, path: "str | os.PathLike[str]", *, sync: bool = False) -> None:
        self._path = path_to_write(os.fspath(path))
        self._sync = sync
        self._temporary = temporary_path(self._path)

    def __enter__(self) -> str:
        os.makedirs(os.path.dirname(self._path) or ".", exist_ok=True)
        _unfinished.add(self._temporary)
        return self._temporary

    def __exit__(
        self, error_type: "type[BaseException] | None", error: "BaseException | None", trace: "TracebackType | None"
    ) -> None:
        _unfinished.discard(self._temporary)
        if error_type is None:
            if self._sync:
                _sync(self._temporary)
            os.replace(self._temporary, self._path)
            if self._sync:
                # The rename is durable once the folder is.
                _sync(os.path.dirname(self._path) or ".")
        elif os.path.exists(self._temporary):
            os.unlink(self._temporary)


def temporary_path(path: str) -> str:
    """Returns a path beside another one for data that is not complete.

    It names the job run, so that `partitions clean` finds what killed runs have left behind. It keeps the extension of
    the path, since libraries choose a format by it.
    """
    folder, name = os.path.split(path)
    suffix = f"{os.getpid()}.partial.{name}"
    run, token = os.environ.get("DATABUILD_JOB_RUN_ID"), os.environ.get("DATABUILD_FENCING_TOKEN")
    if run and token and len(os.fsencode(f".{run}.{token}.{suffix}")) <= _MAX_NAME:
        suffix = f"{run}.{token}.{suffix}"
    return os.path.join(folder, f".{suffix}")


def remove_unfinished() -> None:
    """Removes the temporary files of blocks that have not ended, such as those of a generator that was given up."""
    while _unfinished:
        path = _unfinished.pop()
        if os.path.exists(path):
            os.unlink(path)


def content_digest(*paths: "str | os.PathLike[str]") -> str:
    """Returns `sha256:` and a hexadecimal digest of the contents of files, in the given order.

    A folder counts with the relative paths and the contents of the files below it; names that begin with a dot are left
    out. `partitions verify --content` computes the digest of the one file or folder where a partition is.
    """
    import hashlib

    digest = hashlib.sha256()
    for path in [path_to_read(os.fspath(path)) for path in paths]:
        if os.path.isdir(path):  # noqa: PTH112
            file_digest = _folder_digest(path)
        else:
            with open(path, "rb") as file:
                file_digest = hashlib.file_digest(file, "sha256")
        if len(paths) == 1:
            return "sha256:" + file_digest.hexdigest()
        digest.update(file_digest.digest())
    return "sha256:" + digest.hexdigest()


def _folder_digest(folder: "str | os.PathLike[str]") -> "hashlib._Hash":
    import hashlib

    from databuild.job.locations import files_below

    digest = hashlib.sha256()
    for name, entry in files_below(folder):
        with open(entry.path, "rb") as file:
            digest.update(os.fsencode(name) + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return digest


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
