"""Publication of files: a run whose outputs another run is producing already does not overwrite them.

A file beside the published one has the fencing token of the last run that published it. It is locked with flock(2), so
that two runs on machines that share the file system take turns. Network file systems have to support such locks, as
NFS does on Linux.
"""

# pathlib takes longer to import than a config function takes to run.
# ruff: noqa: PTH103, PTH105, PTH108, PTH118
import os

_DIGITS = 20  # of the largest fencing token


class OvertakenError(Exception):
    """A newer run has published a file, so this run must not.

    Args:
        path: The path of the file.
        token: The fencing token of this run.
        newest: The fencing token of the run that published it.
    """

    def __init__(self, path: str, token: int, newest: int) -> None:
        self.path = path
        self.token = token
        self.newest = newest
        super().__init__(
            f"{path} was published by a newer run (fencing token {newest}, this run has {token}); this run was given up"
        )


def publish(source: str, path: str, token: int) -> None:
    """Moves a file to its place, unless a run with a newer token has published it.

    Args:
        source: The complete file, which is moved.
        path: Its place. Missing directories are created.
        token: The fencing token of the run; 0 to move the file in any case.

    Raises:
        OvertakenError: A newer run has published the file; both files are unchanged.
        OSError: The file cannot be moved or the lock cannot be taken.
    """
    folder, name = os.path.split(path)
    os.makedirs(folder or ".", exist_ok=True)
    if not token:
        _move(source, path)
        return
    import fcntl

    record = os.open(os.path.join(folder, f".{name}.token"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(record, fcntl.LOCK_EX)
        newest = int(os.pread(record, _DIGITS, 0) or b"0")
        if newest > token:
            raise OvertakenError(path, token, newest)
        # Before the file is in place: if this process dies in between, older runs are refused, and this one may repeat.
        os.pwrite(record, f"{token:0{_DIGITS}}".encode(), 0)
        os.fsync(record)
        _move(source, path)
    finally:
        os.close(record)  # which releases the lock


def _move(source: str, path: str) -> None:
    import errno

    try:
        os.replace(source, path)
    except OSError as error:
        if error.errno != errno.EXDEV:  # on another file system
            raise
        import shutil

        from databuild.job.files import temporary_path

        beside = temporary_path(path)
        try:
            shutil.copy2(source, beside)
            os.replace(beside, path)
        except BaseException:
            if os.path.exists(beside):  # noqa: PTH110
                os.unlink(beside)
            raise
        os.unlink(source)
